"""Chains of modality from written exchanges: both sides spoken, in units, in the four templates, exported and read."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import webdataset

from builders.export.speechgpt import export
from builders.shards.store import Store
from builders.shards.verify import verify
from builders.speech.audio import Sound, sound_hash
from builders.speech.features import mfcc, mfcc_spec
from builders.speech.templates import FORMS, parse
from builders.speech.units import parse_units
from builders.speech.vocabulary import Vocabulary, load_vocabulary, save_vocabulary
from builders.step import Services
from tests.pipelines.milling import data_files, losses, mill, table
from tests.pipelines.speaking import by_hand, recipe, samples, texts, told, tone

pytestmark = [pytest.mark.ray, pytest.mark.slow]

RELEASED = re.compile(r"\[Human\]: (.*) \[SpeechGPT\]: (.*); \[ta\] (.*); \[ua\] (.*)")
"""What reads the chain samples of the released files; facts.md section 3."""
PAIRS = [
    ("Say hello.", "Hello there."),
    ("What is two and two?", "It is four."),
    ("Name a colour.", "Blue is a colour."),
    ("Is the sea deep?", "Yes; very deep: in places."),
    ("Tell me a secret.", "word " * 35),
    ("Write a poem.", "Roses are red,\nviolets are blue."),
    ("Which marker ends it?", "The marker <eoh> does."),
    ("Good night.", "Sleep well!"),
]
KEPT = [0, 1, 2, 3, 7]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of all four templates, with a vocabulary of 9 units."""
    folder = tmp_path_factory.mktemp("chain")
    frames = np.concatenate([mfcc(Sound(tone(1.0, i, 16_000), 16_000)) for i in range(3)])
    save_vocabulary(Vocabulary(mfcc_spec(), np.ascontiguousarray(frames[::33])), Store(str(folder / "k9")))
    source, tts = texts(folder, PAIRS), {"voices": ["en-us", "en-gb"]}
    more = {"tts": tts, "templates": "all", "output": {"unit": 3}}
    return recipe(folder, "speech_chain", source, units=folder / "k9", **more)


@pytest.fixture(scope="module")
def built(chain: Path, one_ray: None) -> Path:
    mill(chain, chain.parent / "out")
    return chain.parent / "out"


def key(number: int) -> str:
    return f"{number:09d}"


def test_each_exchange_that_can_be_spoken_is_a_sample_of_every_template(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    assert manifest["funnel"]["inputs"] | {"reasons": {}} == {
        "total": 8,
        "kept": 5,
        "rejected": 3,
        "failed": 0,
        "reasons": {},
    }
    assert {lost: reason for lost, (_, _, reason) in losses(built).items()} == {
        key(4): "response_too_long",
        key(5): "several_lines",
        key(6): "template_marker",
    }
    assert {sample["__key__"] for sample in samples(built)} == {f"{key(i)}-{form}" for i in KEPT for form in FORMS}
    assert verify(Store(str(built))).problems == []


def test_a_sample_holds_both_speeches_and_the_json(built: Path) -> None:
    for sample in samples(built):
        names = {name for name in sample if not name.startswith("__")}
        assert names == {"instruction.flac", "response.flac", "json"}
        record = json.loads(sample["json"])
        assert record["id"] == sample["__key__"]
        asked, said = PAIRS[int(record["id"].split("-")[0])]
        assert (record["instruction"], record["response"]) == (asked, said)


def test_speech_is_as_long_and_as_loud_as_the_index_says(built: Path) -> None:
    parts = ("instruction", "response")
    names = [f"{part}_{name}" for part in parts for name in ("seconds", "peak", "rms_db", "audio_sha256", "n_frames")]
    facts = {row[0]: dict(zip(names, row[1:], strict=True)) for row in table(built, "index", "key", *names)}
    for sample in samples(built):
        fact = facts[sample["__key__"]]
        for part in parts:
            wave, rate = soundfile.read(io.BytesIO(sample[f"{part}.flac"]), dtype="float32")
            assert rate == 22_050
            assert fact[f"{part}_seconds"] == round(len(wave) / rate, 4)
            assert fact[f"{part}_peak"] == pytest.approx(float(np.abs(wave).max()), abs=1e-4) and np.abs(wave).max() < 1
            assert -40 < fact[f"{part}_rms_db"] == pytest.approx(10 * np.log10(float((wave**2).mean())), abs=0.02)
            assert fact[f"{part}_audio_sha256"] == sound_hash(Sound(wave, rate))


def test_units_and_durations_are_those_of_the_speech(built: Path, chain: Path) -> None:
    vocabulary = load_vocabulary(str(chain.parent / "k9"))
    for record in told(built):
        for part in ("instruction", "response"):
            ids, durations = parse_units(record[f"{part}_units"]), record[f"{part}_durations"]
            assert len(ids) == len(durations) == record[f"{part}_n_units"] and max(ids) < vocabulary.k
            assert sum(durations) == record[f"{part}_n_frames"]
            assert sum(durations) / record["unit_hz"] == pytest.approx(record[f"{part}_seconds"], abs=0.03)


def test_the_template_of_every_sample_is_read_back(built: Path) -> None:
    forms = Counter()
    for record in told(built):
        read = parse(record["text"])
        forms[read.form] += 1
        assert (read.form, read.text_i, read.text_r) == (record["form"], record["instruction"], record["response"])
        assert read.speech_i in (None, record["instruction_units"])
        assert read.speech_r in (None, record["response_units"])
    assert forms == dict.fromkeys(FORMS, len(KEPT))


def test_the_released_regex_reads_speech_to_speech_in_the_export(built: Path, tmp_path: Path) -> None:
    assert export(Store(str(built)), tmp_path / "chain.jsonl") == 4 * len(KEPT)
    lines = [json.loads(line)["plain_text"] for line in (tmp_path / "chain.jsonl").read_text().splitlines()]
    by_text = {record["text"]: record for record in told(built)}
    assert by_text.keys() == set(lines)
    read = {line: found for line in lines if by_text[line]["form"] == "s2s" and (found := RELEASED.fullmatch(line))}
    assert len(read) == len(KEPT)
    for line, found in read.items():
        record = by_text[line]
        assert record["instruction_units"] in found[1]
        assert found[2] == f"[tq] {record['instruction']}"
        assert found[3] == record["response"]
        assert found[4] == f"{record['response_units']}<eoa>."


def test_a_trainer_shuffles_and_decodes_the_shards(built: Path) -> None:
    shards = sorted(str(path) for path in (built / "data").glob("*.tar"))
    data = webdataset.WebDataset(shards, shardshuffle=False).shuffle(100).decode().to_tuple("json", "response.flac")
    read = list(data)
    assert len(read) == 4 * len(KEPT)
    assert {record["id"] for record, _ in read} == {record["id"] for record in told(built)}
    assert all(speech[:4] == b"fLaC" for _, speech in read)


def test_one_worker_in_another_order_writes_the_same_bytes(
    built: Path, chain: Path, tmp_path: Path, services: Services
) -> None:
    by_hand(chain, tmp_path / "out", [2, 1, 0], services)
    manifest = mill(chain, tmp_path / "out")
    assert data_files(tmp_path / "out") == data_files(built)
    assert manifest["dataset_digest"] == json.loads((built / "manifest.json").read_text())["dataset_digest"]


def test_templates_are_drawn_one_an_exchange_and_the_released_style_is_read_too(chain: Path, tmp_path: Path) -> None:
    manifest = mill(chain, tmp_path / "out", "templates=drawn", "style=released", "weights.t2t=0", "max_words=40")
    assert manifest["samples"] == len(KEPT) + 1
    for sample, record in zip(samples(tmp_path / "out"), told(tmp_path / "out"), strict=True):
        assert sample["__key__"] in map(key, [*KEPT, 4])
        assert parse(record["text"]).form == record["form"] != "t2t"
        assert "step by step" not in record["text"]
