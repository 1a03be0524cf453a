"""The reference data from end to end, and what the units mean, measured: LJSpeech, spoken digits, MOSS's exchanges."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import rankdata

from builders.export.speechgpt import export
from builders.shards.store import Store
from builders.shards.verify import verify
from builders.speech.audio import Sound, decode, sound_of, wave_of
from builders.speech.crossmodal import parse_turns
from builders.speech.espeak import Espeak
from builders.speech.features import RATE, mfcc
from builders.speech.units import distance, merge, parse_units
from builders.speech.vocabulary import Vocabulary, load_vocabulary
from tests.pipelines.milling import mill
from tests.pipelines.speaking import recipe, samples, told

pytestmark = [pytest.mark.ray, pytest.mark.slow]

DIGITS = {"names": "{text}_{speaker}_{take}"}
SENTENCES = (
    "The weather will be fine tomorrow.",
    "Please close the window before you leave.",
    "How many people live in this city?",
    "I have never seen such a large bird.",
    "Bread and butter are on the table.",
    "We will meet at the station in an hour.",
)
VOICES = ("en-us", "en-gb", "en-us+f3", "en-gb+m3")


@pytest.fixture(scope="module")
def speech(shared: Path) -> Path:
    return shared / "data/speech"


@pytest.fixture(scope="module")
def fitted(speech: Path, tmp_path_factory: pytest.TempPathFactory, one_ray: None) -> dict[str, Path]:
    """A vocabulary of 100 units of each of the two."""
    folder = tmp_path_factory.mktemp("fitted")
    made = {}
    for name in ("fsdd", "ljspeech"):
        source = DIGITS if name == "fsdd" else {}
        mill(recipe(folder / name, "speech_units", speech / name, source=source), folder / name / "units")
        made[name] = folder / name / "units"
    return made


def auc(same: list[float], other: list[float]) -> float:
    """The chance that one of `same` is smaller than one of `other` (ROC AUC)."""
    ranks = rankdata([*same, *other])[: len(same)].sum()
    return float(1 - (ranks - len(same) * (len(same) + 1) / 2) / (len(same) * len(other)))


def nearer(units: dict[Any, tuple[int, ...]], alike: Callable[[Any, Any], bool | None]) -> float:
    """The AUC of pairs that are alike against those that are not; None: neither."""
    apart: dict[bool, list[float]] = {True: [], False: []}
    for a, b in combinations(units, 2):
        if (same := alike(a, b)) is not None:
            apart[same].append(distance(units[a], units[b]))
    return auc(apart[True], apart[False])


def test_ljspeech_becomes_turns_that_are_read_back(speech: Path, fitted: dict[str, Path], tmp_path: Path) -> None:
    most = {"pack": {"max_length": 3000}}
    path = recipe(tmp_path, "speech_crossmodal", speech / "ljspeech", units=fitted["ljspeech"], **most)
    manifest = mill(path, tmp_path / "out")
    inputs = manifest["funnel"]["inputs"]
    assert (inputs["kept"], inputs["failed"]) == (inputs["total"], 0)
    assert verify(Store(str(tmp_path / "out"))).problems == []
    assert export(Store(str(tmp_path / "out")), tmp_path / "turns.jsonl") == manifest["samples"]
    lines = [json.loads(line)["plain_text"] for line in (tmp_path / "turns.jsonl").read_text().splitlines()]
    assert sum(len(parse_turns(line)) for line in lines) == inputs["kept"]


def test_spoken_digits_have_units_that_tell_them_apart(speech: Path, fitted: dict[str, Path], tmp_path: Path) -> None:
    """The same digit by the same speaker is nearer than another digit: 0.9 is the aim."""
    path = recipe(tmp_path, "speech_crossmodal", speech / "fsdd", units=fitted["fsdd"], source=DIGITS)
    manifest = mill(path, tmp_path / "out")
    assert manifest["funnel"]["inputs"]["failed"] == 0
    turns = [turn for sample in told(tmp_path / "out") for turn in sample["turns"]]
    units = {tuple(turn["key"].split("_")[:2]) + (turn["key"],): parse_units(turn["units"]) for turn in turns}
    assert len(units) > 80

    def of_one_speaker(a: tuple[str, ...], b: tuple[str, ...]) -> bool | None:
        return a[0] == b[0] if a[1] == b[1] else None

    found = nearer(units, of_one_speaker)
    print(f"ROC AUC of spoken digits: {found:.3f} (one speaker), {nearer(units, lambda a, b: a[0] == b[0]):.3f} (any)")
    assert found >= 0.9


def test_a_sentence_in_another_voice_is_nearer_than_another_sentence(fitted: dict[str, Path]) -> None:
    vocabularies = {name: load_vocabulary(str(folder)) for name, folder in fitted.items()}
    with Espeak(VOICES) as engine:
        waves = {
            (text, voice): sound_of(wave_of(engine.speak(text, voice), RATE), RATE)
            for text in SENTENCES
            for voice in VOICES
        }
    for name, vocabulary in vocabularies.items():
        units = {spoken: _units(vocabulary, wave) for spoken, wave in waves.items()}
        found = nearer(units, lambda a, b: a[0] == b[0] if a[1] != b[1] else None)
        print(f"ROC AUC of sentences in other voices, units of {name}: {found:.3f}")
        assert found > 0.7


def _units(vocabulary: Vocabulary, sound: Sound) -> tuple[int, ...]:
    return merge(vocabulary.apply(mfcc(sound))).ids


def test_moss_is_spoken_into_chains(shared: Path, fitted: dict[str, Path], tmp_path: Path) -> None:
    """Its responses are long: those of up to 120 words are taken."""
    fields: dict[str, Any] = {"max_words": 120, "templates": "all", "output": {"unit": 50}}
    source = shared / "data/text/moss_sft.jsonl"
    path = recipe(tmp_path, "speech_chain", source, units=fitted["ljspeech"], **fields)
    manifest = mill(path, tmp_path / "out")
    inputs = manifest["funnel"]["inputs"]
    assert inputs["kept"] > 0 and inputs["failed"] == 0, inputs
    assert manifest["samples"] == 4 * inputs["kept"]
    assert verify(Store(str(tmp_path / "out"))).problems == []
    print(f"of {inputs['total']} exchanges {inputs['kept']} are kept; {inputs['reasons']}")
    for sample in samples(tmp_path / "out")[:8]:
        for part in ("instruction", "response"):
            assert isinstance(decode(sample[f"{part}.flac"]), Sound)
