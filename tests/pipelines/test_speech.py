"""A unit vocabulary fitted on speech, and cross-modal turns in its units: from audio on disk to the exported lines."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builders.export.speechgpt import export
from builders.shards.store import Store
from builders.shards.verify import verify
from builders.speech.audio import decode
from builders.speech.crossmodal import parse_turns
from builders.speech.features import RATE, mfcc_spec
from builders.speech.units import parse_units
from builders.speech.vocabulary import load_vocabulary
from builders.step import Services
from pipelines.cli import show
from pipelines.kinds import make_dag
from pipelines.plan import render_funnel
from schemas.errors import UserError
from schemas.load import load_recipe
from tests.pipelines.milling import data_files, losses, mill, table, times
from tests.pipelines.speaking import by_hand, recipe, samples, speech, told

pytestmark = [pytest.mark.ray, pytest.mark.slow]

COUNT = 14
MOST = 130


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("speech")
    speech(made / "lj", COUNT)
    return made


@pytest.fixture(scope="module")
def fitted(folder: Path, one_ray: None) -> Path:
    """Two vocabularies over the same features."""
    units = recipe(folder, "speech_units", folder / "lj", units={"k": [12, 5]}, output={"unit": 4})
    mill(units, folder / "units")
    return folder / "units"


def turns(folder: Path, fitted: Path, **fields: Any) -> Path:
    """The recipe of turns of the speech below `folder`."""
    fields = {"output": {"unit": 5}, "pack": {"max_length": MOST}, **fields}
    return recipe(folder, "speech_crossmodal", folder / "lj", units=fitted / "fitted/k12", **fields)


@pytest.fixture(scope="module")
def built(folder: Path, fitted: Path) -> Path:
    mill(turns(folder, fitted), folder / "turns")
    return folder / "turns"


# ---- the vocabulary --------------------------------------------------------------------------------------------------


def test_a_vocabulary_is_shown_and_has_no_samples_to_draw_or_export(
    fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(str(fitted), 5, None)
    said = capsys.readouterr().out
    assert "k12 (distortion " in said and "fitted/k12/units.json: " in said

    with pytest.raises(UserError, match="holds an artefact, and no samples to draw"):
        show(str(fitted), 5, str(tmp_path / "x.png"))
    with pytest.raises(UserError, match="holds an artefact, and no samples; give a dataset"):
        export(Store(str(fitted)), tmp_path / "x.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_fitting_build_ends_in_vocabularies_that_are_told_everywhere(folder: Path, fitted: Path) -> None:
    manifest = json.loads((fitted / "manifest.json").read_text())
    assert [file["path"] for file in manifest["artefacts"]] == [
        f"fitted/{k}/{name}" for k in ("k12", "k5") for name in ("units.safetensors", "units.json")
    ]
    line = manifest["fit"]["told"]
    assert line.startswith(f"units: fitted on {manifest['fit']['utterances']} of {COUNT} utterances, ")
    assert line in (fitted / "README.md").read_text() and line in render_funnel(manifest)
    assert (manifest["shards"], manifest["funnel"]["inputs"]["kept"]) == (0, COUNT)
    assert verify(Store(str(fitted))).problems == []
    for k in (12, 5):
        one = load_vocabulary(str(fitted / f"fitted/k{k}"))
        assert (one.k, one.spec, one.sample["frames"]) == (k, mfcc_spec(), manifest["fit"]["frames"])


def test_a_fit_is_the_same_bytes_with_units_of_another_size(folder: Path, fitted: Path, tmp_path: Path) -> None:
    """The cut of the source decides nothing: what is drawn is drawn by seed and key."""
    again = recipe(tmp_path, "speech_units", folder / "lj", units={"k": [12, 5]}, output={"unit": 9})
    mill(again, tmp_path / "again")
    for file in sorted((fitted / "fitted").rglob("units.*")):
        assert (tmp_path / "again" / file.relative_to(fitted)).read_bytes() == file.read_bytes()


def test_speech_that_is_all_rejected_fits_nothing_and_says_which_field(folder: Path, tmp_path: Path) -> None:
    strict = recipe(tmp_path, "speech_units", folder / "lj", audio={"min_seconds": 5}, output={"unit": 8})
    with pytest.raises(UserError, match=r"^source: no utterance was kept to fit units on; gristmill query"):
        mill(strict, tmp_path / "none")


# ---- cross-modal turns -----------------------------------------------------------------------------------------------


def test_every_utterance_is_one_turn_and_the_dataset_is_whole(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    assert manifest["funnel"]["inputs"] == {"total": COUNT, "kept": COUNT, "rejected": 0, "failed": 0, "reasons": {}}
    assert verify(Store(str(built))).problems == []
    packed = [turn for sample in told(built) for turn in sample["turns"]]
    assert sorted(turn["key"] for turn in packed) == [f"LJ{i:03d}" for i in range(COUNT)]
    assert {turn["task"] for turn in packed} == {"asr", "tts"}
    for turn in packed:
        ids = parse_units(turn["units"])
        assert max(ids) < 12 and len(ids) == len(turn["durations"])
        assert sum(turn["durations"]) == 1 + (round(turn["seconds"] * RATE) - 400) // 160


def test_packing_loses_no_turn_and_its_efficiency_is_told(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    tallies = manifest["tallies"]
    assert tallies["n_turns"] == COUNT > manifest["samples"]
    lengths = table(built, "index", "n_turns", "sample_length", "sample_room", "parents")
    assert all(length + room == MOST and length > 0 and room >= 0 for _, length, room, _ in lengths)
    assert Counter(key for *_, keys in lengths for key in keys) == Counter(f"LJ{i:03d}" for i in range(COUNT))
    share = tallies["sample_length"] / (manifest["samples"] * MOST)
    line = f"packing: {COUNT} turns in {manifest['samples']} samples, which are {share:.1%} full"
    assert line in render_funnel(manifest).splitlines()
    assert line in (built / "README.md").read_text()


def test_the_index_tells_of_each_turn_of_a_sample(built: Path) -> None:
    by_key = {sample["__key__"]: json.loads(sample["json"])["turns"] for sample in samples(built)}
    lists = table(built, "index", "key", "parents", "task", "audio_sha256", "text_sha256", "seconds")
    for key, parents, tasks, hashes, words, seconds in lists:
        assert [turn["key"] for turn in by_key[key]] == parents
        assert [turn["task"] for turn in by_key[key]] == tasks
        assert [turn["audio_sha256"] for turn in by_key[key]] == hashes
        assert len(set(words)) == len(parents)
        assert seconds == pytest.approx(sum(turn["seconds"] for turn in by_key[key]), abs=1e-3)


def test_exported_lines_are_read_back_as_every_turn_exactly_once(built: Path, folder: Path, tmp_path: Path) -> None:
    assert export(Store(str(built)), tmp_path / "turns.jsonl") == len(samples(built))
    lines = [json.loads(line) for line in (tmp_path / "turns.jsonl").read_text().splitlines()]
    assert all(line.keys() == {"prefix", "plain_text"} for line in lines)
    read = [turn for line in lines for turn in parse_turns(line["plain_text"])]
    wanted = [turn for sample in told(built) for turn in sample["turns"]]
    assert [(turn.task, turn.units, turn.text) for turn in read] == [(t["task"], t["units"], t["text"]) for t in wanted]
    said = [line.split("|")[2] for line in (folder / "lj/metadata.csv").read_text().splitlines()]
    assert sorted(turn.text for turn in read) == sorted(said)


@pytest.mark.parametrize(("asr", "task"), [(0.0, "tts"), (1.0, "asr")])
def test_the_probability_decides_which_task(folder: Path, fitted: Path, tmp_path: Path, asr: float, task: str) -> None:
    mill(turns(folder, fitted), tmp_path / "out", f"asr={asr}", "style=released", "source.limit=4")
    read = [turn for sample in told(tmp_path / "out") for turn in parse_turns(sample["text"])]
    assert [turn.task for turn in read] == [task] * 4
    assert all(sample["text"].endswith("<eoa> ") for sample in told(tmp_path / "out"))


def test_a_turn_that_is_too_long_is_rejected_whole(folder: Path, fitted: Path, tmp_path: Path) -> None:
    manifest = mill(turns(folder, fitted), tmp_path / "out", "pack.max_length=30")
    funnel = manifest["funnel"]["inputs"]
    assert 0 < funnel["rejected"] < COUNT and set(funnel["reasons"]) == {"rejected/check_length/turn_too_long"}
    kept = [turn["key"] for sample in told(tmp_path / "out") for turn in sample["turns"]]
    assert sorted([*kept, *losses(tmp_path / "out")]) == [f"LJ{i:03d}" for i in range(COUNT)]


# ---- the same bytes --------------------------------------------------------------------------------------------------


def test_one_worker_in_another_order_writes_the_same_bytes(
    built: Path, folder: Path, fitted: Path, tmp_path: Path, services: Services
) -> None:
    by_hand(turns(folder, fitted), tmp_path / "out", [2, 0, 1], services)
    manifest = mill(turns(folder, fitted), tmp_path / "out")
    assert data_files(tmp_path / "out") == data_files(built)
    assert manifest["dataset_digest"] == json.loads((built / "manifest.json").read_text())["dataset_digest"]


def test_a_build_that_lost_a_unit_goes_on_to_the_same_bytes(built: Path, folder: Path, fitted: Path) -> None:
    files, before = data_files(built), times(built)
    for path in ("units/000001.json", "data/000001.tar", "manifest.json"):
        (built / path).unlink()
    mill(turns(folder, fitted), built)
    assert data_files(built) == files
    assert {name for name, when in times(built).items() if when != before[name]} == {"000001.json"}


def test_the_same_vocabulary_elsewhere_is_the_same_and_another_is_refused(
    built: Path, folder: Path, fitted: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(fitted / "fitted/k12", tmp_path / "moved")
    mill(turns(folder, fitted), built, f"units.vocabulary={moved}")
    with pytest.raises(UserError, match=r"models\.units\.vocabulary: .*--overwrite"):
        mill(turns(folder, fitted), built, f"units.vocabulary={fitted / 'fitted/k5'}")


# ---- failed records --------------------------------------------------------------------------------------------------


def test_unreadable_audio_is_a_failed_record_until_it_is_mended(built: Path, fitted: Path, tmp_path: Path) -> None:
    speech(tmp_path / "lj", COUNT)
    broken, lost = tmp_path / "lj/wavs/LJ002.wav", tmp_path / "lj/wavs/LJ011.wav"
    whole = {path: path.read_bytes() for path in (broken, lost)}
    broken.write_bytes(whole[broken][:4000])
    lost.unlink()
    made, out = turns(tmp_path, fitted, max_failed=0.5), tmp_path / "out"

    first = mill(made, out)

    assert losses(out) == {
        "LJ002": ("failed", "check_audio", "unreadable_audio"),
        "LJ011": ("failed", "read_utterance", "missing_audio"),
    }
    assert first["funnel"]["inputs"]["failed"] == 2 and first["tallies"]["n_turns"] == COUNT - 2
    assert "LJ002" not in {turn["key"] for sample in told(out) for turn in sample["turns"]}
    for path, data in whole.items():
        path.write_bytes(data)
    again = mill(made, out, retry_failed=True)
    assert again["funnel"]["inputs"]["kept"] == COUNT
    assert data_files(out) == data_files(built)
    assert verify(Store(str(out))).problems == []


# ---- vocabularies that do not fit ------------------------------------------------------------------------------------


def refused(folder: Path, fitted: Path, vocabulary: Path, *sets: str) -> str:
    """The one line, before anything runs."""
    with pytest.raises(UserError) as error:
        make_dag(load_recipe(turns(folder, fitted), [f"units.vocabulary={vocabulary}", *sets]))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_vocabulary_that_is_none_is_told_by_its_field(
    built: Path, folder: Path, fitted: Path, tmp_path: Path
) -> None:
    assert refused(folder, fitted, tmp_path).startswith(f"units.vocabulary: {tmp_path} holds no units.json; give the")
    assert refused(folder, fitted, tmp_path / "gone").startswith("units.vocabulary: ")
    assert refused(folder, fitted, built).startswith(f"units.vocabulary: {built} holds no units.json")
    several = refused(folder, fitted, fitted)
    assert several.startswith(f"units.vocabulary: {fitted} holds several vocabularies; give one: ")
    assert f"{fitted}/fitted/k12, {fitted}/fitted/k5" in several


def test_a_vocabulary_of_which_a_byte_changed_is_told(folder: Path, fitted: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(fitted / "fitted/k12", tmp_path / "changed")
    tensors = bytearray((changed / "units.safetensors").read_bytes())
    tensors[-1] ^= 1
    (changed / "units.safetensors").write_bytes(tensors)
    assert refused(folder, fitted, changed).startswith(f"units.vocabulary: {changed}/units.safetensors is not the one")


def test_a_model_for_units_of_mfcc_is_told(folder: Path, fitted: Path) -> None:
    told = refused(folder, fitted, fitted / "fitted/k12", "units.model=owner/name")
    assert told.startswith("units.model: ") and "is fitted on mfcc, so there is no model" in told


# ---- read by others --------------------------------------------------------------------------------------------------


def test_the_snippet_in_the_card_reads_every_sample(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (built / "README.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(built)
    names: dict[str, Any] = {}
    exec(code, names)
    read = list(names["data"])
    assert [sample["json"]["text"] for sample in read] == [sample["text"] for sample in told(built)]


def test_audio_is_not_in_packed_samples_and_its_hash_is(built: Path, folder: Path) -> None:
    from builders.speech.audio import Sound, sound_hash

    for sample in samples(built):
        assert {name for name in sample if not name.startswith("__")} == {"json"}
    for turn in (turn for sample in told(built) for turn in sample["turns"]):
        sound = decode((folder / f"lj/wavs/{turn['key']}.wav").read_bytes())
        assert isinstance(sound, Sound) and sound_hash(sound) == turn["audio_sha256"]
