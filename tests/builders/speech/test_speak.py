"""The step that asks for speech: which voice, what is rejected, what has failed."""

from __future__ import annotations

import json
import pickle
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from builders.speech.audio import Sound, decode
from builders.speech.espeak import Espeak
from builders.speech.speak import Part, SpeakText, Utterance
from builders.step import Failed, Record, Rejected, Result, Services

pytestmark = pytest.mark.slow


def _tone(seconds: float = 0.5, level: float = 0.1) -> Sound:
    return Sound((level * np.sin(np.arange(int(16_000 * seconds)) / 10)).astype(np.float32), 16_000)


@dataclass
class Tones:
    """An engine that hums."""

    voices: Sequence[str] = ("en-us", "en-gb", "ru")
    hum: Callable[[Utterance], Sound | Rejected] = lambda one: _tone()
    asked: list[Utterance] = field(default_factory=list)
    set_up: int = 0
    calls: int = 0

    def language(self, voice: str) -> str:
        return voice

    def setup(self, services: Services) -> None:
        self.set_up += 1

    def utter(self, utterances: Sequence[Utterance]) -> list[Sound | Rejected]:
        self.asked += utterances
        self.calls += 1
        return [self.hum(one) for one in utterances]


def _records(*texts: str) -> list[Record]:
    return [{"key": f"k{i}", "text": text} for i, text in enumerate(texts)]


def _spoken(result: Result) -> Record:
    assert isinstance(result, dict), result
    return result


# ---- what is added ---------------------------------------------------------------------------------------------------


def test_speech_is_flac_with_its_length_level_and_voice() -> None:
    [result] = SpeakText(Tones(("en-us",), lambda one: _tone(0.5, 0.1)), seed=0)(_records("Hello"))
    told = _spoken(result)
    sound = decode(told.pop("_speech"))
    assert isinstance(sound, Sound) and np.abs(sound.samples - _tone().samples).max() < 1 / 32768
    assert told == {"voice": "en-us", "seconds": 0.5, "rms_db": pytest.approx(-23.0, abs=0.1), "peak": 0.1}


ENGLISH = ("en-us", "en-gb")
BOTH = (
    Part("instruction", "_instruction_speech", "instruction_"),
    Part("response", "_response_speech", "response_", 3),
)


def _exchange(instruction: str = "Hello", response: str = "Good day") -> Record:
    return {"key": "k", "instruction": instruction, "response": response}


def test_columns_are_named_by_the_part_that_is_spoken() -> None:
    step = SpeakText(Tones(ENGLISH), 0, BOTH)
    assert step.name == "speak" and step.reads == ("key", "instruction", "response")
    told = {"voice": pa.string(), "seconds": pa.float64(), "rms_db": pa.float64(), "peak": pa.float64()}
    assert step.adds == {
        "_instruction_speech": pa.large_binary(),
        "_response_speech": pa.large_binary(),
        **{f"instruction_{name}": kind for name, kind in told.items()},
        **{f"response_{name}": kind for name, kind in told.items()},
    }
    [result] = step([_exchange()])
    assert _spoken(result).keys() == step.adds.keys()
    assert SpeakText(Tones(), 0).reads == ("key", "text") and "_speech" in SpeakText(Tones(), 0).adds


# ---- several texts of one record -------------------------------------------------------------------------------------


def test_each_part_is_spoken_as_it_would_be_alone() -> None:
    records = [_exchange() | {"key": f"k{i}"} for i in range(20)]
    both = SpeakText(Tones(ENGLISH), 5, BOTH)(records)
    for part in BOTH:
        alone = SpeakText(Tones(ENGLISH), 5, (part,))(records)
        for whole, one in zip(both, alone, strict=True):
            assert _spoken(one).items() <= _spoken(whole).items()


def test_a_batch_is_one_call_of_the_engine_and_a_record_that_is_rejected_is_not_in_it() -> None:
    engine = Tones(("en-us",))
    step = SpeakText(engine, 0, BOTH)
    good, code, long, other = step(
        [_exchange(), _exchange(instruction="`x`"), _exchange(response="one two three four"), _exchange("Well", "Bye")]
    )
    assert [one.text for one in engine.asked] == ["Hello", "Good day", "Well", "Bye"]
    assert engine.calls == 1
    assert step.utterances([_exchange("`x`"), _exchange()]) == engine.asked[:2]
    assert isinstance(good, dict) and isinstance(other, dict)
    assert isinstance(code, Rejected) and (code.reason, code.known) == ("code", {})
    assert isinstance(long, Rejected) and long.reason == "too_long" and long.detail.startswith("response: ")


def test_what_fails_in_one_part_is_told_with_what_is_known_of_the_other() -> None:
    def hum(one: Utterance) -> Sound | Rejected:
        return Failed("busy", "later") if one.text == "Good day" else _tone(0.5)

    [result] = SpeakText(Tones(("en-us",), hum), 0, BOTH)([_exchange()])
    assert isinstance(result, Failed) and (result.reason, result.detail) == ("busy", "response: later")
    assert result.known == {
        "instruction_voice": "en-us",
        "instruction_seconds": 0.5,
        "instruction_rms_db": pytest.approx(-23.0, abs=0.1),
        "instruction_peak": 0.1,
        "response_voice": "en-us",
    }


def test_where_one_part_has_failed_and_the_other_is_rejected_no_later_run_would_help() -> None:
    def hum(one: Utterance) -> Sound | Rejected:
        return Rejected("not_in_vocabulary", "ÿ") if one.text == "Good day" else Failed("busy")

    [result] = SpeakText(Tones(("en-us",), hum), 0, BOTH)([_exchange()])
    assert type(result) is Rejected and result.reason == "not_in_vocabulary"


# ---- the engine ------------------------------------------------------------------------------------------------------


def test_the_engine_is_set_up_once_and_asked_once_a_batch(services: Services) -> None:
    engine = Tones(("en-us",))
    step = SpeakText(engine, 0)
    step.setup(services)
    step(_records("It's $5.", "See https://example.org", "Dr. No"))
    assert engine.set_up == 1
    assert [one.text for one in engine.asked] == ["It's 5 dollars.", "Doctor No"]


RESPONSE = (Part(prefix="response_"),)


# ---- voices ----------------------------------------------------------------------------------------------------------


def test_a_voice_is_drawn_by_seed_and_key_alone() -> None:
    records = _records(*["25"] * 300)
    first = [_spoken(result)["voice"] for result in SpeakText(Tones(), 0)(records)]
    assert [_spoken(SpeakText(Tones(), 0)([one])[0])["voice"] for one in reversed(records)][::-1] == first
    assert min(Counter(first).values()) > 70 and len(set(first)) == 3
    for other in (SpeakText(Tones(), 1), SpeakText(Tones(), 0, RESPONSE)):
        voices = [_spoken(result)[f"{other.parts[0].prefix}voice"] for result in other(records)]
        assert voices != first


def test_every_text_brings_its_own_chance() -> None:
    engine = Tones()
    SpeakText(engine, 0)(_records("25", "25"))
    SpeakText(engine, 0, RESPONSE)(_records("25"))
    SpeakText(engine, 1)(_records("25"))
    assert len({one.seed for one in engine.asked}) == 4
    again = Tones()
    SpeakText(again, 0)(_records("25", "25"))
    assert again.asked == engine.asked[:2]


def test_letters_must_be_those_of_the_voice_that_is_drawn() -> None:
    [cyrillic, latin] = SpeakText(Tones(("ru",)), 0)(_records("Привет", "Hello"))
    assert _spoken(cyrillic)["voice"] == "ru"
    assert latin == Rejected("script", "latin: H")


# ---- what is not kept ------------------------------------------------------------------------------------------------


def test_what_cannot_be_spoken_is_rejected_in_its_place() -> None:
    results = SpeakText(Tones(("en-us",)), 0, (Part(max_words=3),))(
        _records("Hello", "`x`", "one two three four", "", "Bye")
    )
    reasons = [result.reason if isinstance(result, Rejected) else None for result in results]
    assert reasons == [None, "code", "too_long", "empty", None]
    assert not any(isinstance(result, Failed) for result in results)


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (Sound(np.zeros(0, np.float32), 16_000), "empty_speech"),
        (Sound(np.zeros(16_000, np.float32), 16_000), "silent_speech"),
        (_tone(level=0.0005), "silent_speech"),
        (Sound(np.full(100, np.nan, np.float32), 16_000), "broken_speech"),
    ],
)
def test_empty_or_silent_speech_is_a_failure_not_a_sample(sound: Sound, reason: str) -> None:
    [result] = SpeakText(Tones(("en-us",), lambda one: sound), 0, (Part(prefix="a_"),))(_records("Hello"))
    assert isinstance(result, Failed) and result.reason == reason
    assert result.known["a_voice"] == "en-us" and "_speech" not in result.known


@pytest.mark.parametrize("kind", [Rejected, Failed])
def test_what_the_engine_says_of_one_text_is_handed_on(kind: type[Rejected]) -> None:
    engine = Tones(("en-us",), lambda one: kind("busy", "try later") if one.text == "two" else _tone())
    one, two, three = SpeakText(engine, 0)(_records("one", "two", "three"))
    assert type(two) is kind and two == kind("busy", "try later", {"voice": "en-us"})
    assert isinstance(one, dict) and isinstance(three, dict)


# ---- with espeak -----------------------------------------------------------------------------------------------------


def test_true_questions_become_speech_that_is_the_same_in_any_batch_and_worker(
    shared: Path, services: Services
) -> None:
    turns = [
        turn
        for line in (shared / "data/text/moss_sft.jsonl").read_text().splitlines()
        for turn in json.loads(line)["chat"].values()
    ]
    questions = [re.sub(r"^<\|Human\|>: |<eoh>\n$", "", turn["Human"]) for turn in turns]
    records = _records(*[question for question in questions if question.isascii()][:24])
    engine = Espeak(("en-us", "en-gb+f3", "en-us+m3"))
    step = pickle.loads(pickle.dumps(SpeakText(engine, 7, (Part(max_words=35),))))
    step.setup(services)
    whole = step(records)
    kept = [_spoken(result) for result in whole if isinstance(result, dict)]
    assert len(kept) > 20 and len({told["voice"] for told in kept}) == 3
    assert all(0.5 < told["seconds"] < 20 and -30 < told["rms_db"] < -15 and told["peak"] < 0.95 for told in kept)
    step.engine.close()
    with engine:
        other = SpeakText(engine, 7, (Part(max_words=35),))
        other.setup(services)
        assert [other([record])[0] for record in reversed(records)][::-1] == whole
