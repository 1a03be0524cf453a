"""Speech from an endpoint: what it is asked, what is made of its answers, and what is told before it is asked."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.llm import asker as asker_module
from builders.speech.audio import Sound, decode
from builders.speech.openai_speech import AskSpeech, OpenAiSpeech
from builders.speech.speak import Part, Utterance
from builders.step import Failed, Record, Rejected, Services
from tests.builders.llm import replies
from tests.builders.llm.replies import Reply
from tests.builders.llm.server import Api, Script, Seen, serve
from tests.builders.llm.spoken import PRICE, asks, audio, once, said, streamed, tone

pytestmark = pytest.mark.slow

BOTH = (Part("instruction", "_instruction_speech", "instruction_"), Part("response", "_response_speech", "response_"))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker_module, "BACKOFF", 0.001)


@contextmanager
def speaker(script: Script, folder: Path, services: Services, **fields: Any) -> Iterator[tuple[Api, OpenAiSpeech]]:
    """An engine that is set up over an endpoint."""
    engine = OpenAiSpeech("tts-1", ("alloy", "nova"))
    with serve(script) as api, asks(api.base_url, folder, **fields) as service:
        engine.setup(replace(services, llm=service))
        yield api, engine


def utterances(*texts: str) -> list[Utterance]:
    return [Utterance(text, "alloy", seed) for seed, text in enumerate(texts)]


def records(*texts: str) -> list[Record]:
    return [{"key": f"k{n}", "instruction": text, "response": f"{text} to you"} for n, text in enumerate(texts)]


def heard(sound: Sound | Rejected) -> np.ndarray:
    assert isinstance(sound, Sound), sound
    return sound.samples


def expected(data: bytes) -> np.ndarray:
    return heard(decode(data))


# ---- what is asked ---------------------------------------------------------------------------------------------------


def test_what_is_sent_is_the_text_its_voice_and_what_the_recipe_says_of_how_to_speak() -> None:
    [plain] = OpenAiSpeech("tts-1", ("alloy",), "kokoro").requests(utterances("Hello"))
    body = {"model": "tts-1", "input": "Hello", "voice": "alloy", "response_format": "wav"}
    assert (plain.provider, plain.path, plain.body) == ("kokoro", "audio/speech", body)
    [told] = OpenAiSpeech("m", ("alloy",), instructions="Whisper.", speed=0.5).requests(utterances("Hello"))
    assert told.body == body | {"model": "m", "instructions": "Whisper.", "speed": 0.5}


def test_a_batch_is_asked_for_at_once_and_equal_texts_once(tmp_path: Path, services: Services) -> None:
    with speaker(lambda seen: said(seen).after(0.3), tmp_path, services) as (api, engine):
        sounds = engine.utter(utterances("one", "two", "three", "one"))
    assert api.most == len(api.requests) == 3
    for sound, text in zip(sounds, ("one", "two", "three", "one"), strict=True):
        assert np.array_equal(heard(sound), expected(tone(text)))


def test_nothing_is_asked_where_there_is_nothing_to_say(tmp_path: Path, services: Services) -> None:
    with speaker(said, tmp_path, services) as (api, engine):
        assert engine.utter([]) == []
    assert not api.requests


# ---- what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3", "OGG"])
def test_whatever_kind_of_audio_a_server_prefers_is_heard(tmp_path: Path, services: Services, kind: str) -> None:
    data = tone("Hello", kind)
    with speaker(lambda seen: audio(data, "audio/mpeg"), tmp_path, services) as (_, engine):
        [sound] = engine.utter(utterances("Hello"))
    assert np.array_equal(heard(sound), expected(data))


def test_a_wav_that_was_streamed_is_heard_whole(tmp_path: Path, services: Services) -> None:
    with speaker(lambda seen: audio(streamed(tone("Hello"))), tmp_path, services) as (_, engine):
        [sound] = engine.utter(utterances("Hello"))
    assert np.array_equal(heard(sound), expected(tone("Hello")))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"RIFF what?", "garbled_speech"),
        (b"\x00\x01" * 500, "garbled_speech"),
        (tone("Hello")[:-8000], "garbled_speech"),
        (tone("Hello", seconds=0), "empty_speech"),
    ],
    ids=["no audio", "samples alone", "cut", "empty"],
)
def test_audio_that_cannot_be_heard_has_failed_and_its_request_is_named(
    tmp_path: Path, services: Services, data: bytes, reason: str
) -> None:
    def script(seen: Seen) -> Reply:
        return audio(data) if seen.body["input"] == "bad" else said(seen)

    with speaker(script, tmp_path, services) as (_, engine):
        bad, good = engine.utter(utterances("bad", "good"))
    assert isinstance(bad, Failed) and bad.reason == reason
    assert engine.requests(utterances("bad"))[0].hash in bad.detail
    assert isinstance(good, Sound)
    (named,) = re.findall(r"media/\S+", bad.detail)
    (tmp_path / named).unlink()
    with speaker(said, tmp_path, services) as (api, engine):
        assert isinstance(engine.utter(utterances("bad"))[0], Sound)
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (replies.broken(500), "server_error"),
        (replies.error(400, None, "No such voice."), "bad_request"),
        (replies.cut(audio(tone("Hello"))), "garbled"),
    ],
)
def test_a_text_that_nobody_speaks_has_failed_and_the_others_are_heard(
    tmp_path: Path, services: Services, reply: Reply, outcome: str
) -> None:
    def script(seen: Seen) -> Reply:
        return reply if seen.body["input"] == "bad" else said(seen)

    with speaker(script, tmp_path, services, retries=1) as (_, engine):
        bad, good = engine.utter(utterances("bad", "good"))
    assert isinstance(bad, Failed) and bad.reason == outcome and bad.detail
    assert isinstance(good, Sound)


def test_a_server_that_fails_at_first_is_asked_again(tmp_path: Path, services: Services) -> None:
    with speaker(once(replies.rate_limited()), tmp_path, services) as (_, engine):
        assert isinstance(engine.utter(utterances("Hello"))[0], Sound)


# ---- as a step -------------------------------------------------------------------------------------------------------


def test_a_record_makes_a_request_for_each_of_its_texts_unless_one_cannot_be_spoken(
    tmp_path: Path, services: Services
) -> None:
    step = AskSpeech(OpenAiSpeech("tts-1", ("alloy", "nova")), 0, BOTH)
    batch = records("Hello", "`x`", "Good day")

    asked = step.requests(batch)

    texts = ["Hello", "Hello to you", "Good day", "Good day to you"]
    assert [request.body["input"] for request in asked] == texts
    assert step.expected_tokens(batch) == [0.0] * 4
    with serve(said) as api, asks(api.base_url, tmp_path) as service:
        step.setup(replace(services, llm=service))
        first, code, third = step(batch)
        assert sorted(seen.body["input"] for seen in api.requests) == sorted(texts)
        assert {request.hash for request in asked} == service.ledger.find([one.hash for one in asked]).keys()
    assert isinstance(code, Rejected) and code.reason == "code"
    for result, text in ((first, "Hello"), (third, "Good day")):
        assert isinstance(result, dict)
        assert np.array_equal(heard(decode(result["_instruction_speech"])), expected(tone(text)))
        assert np.array_equal(heard(decode(result["_response_speech"])), expected(tone(f"{text} to you")))
        assert result["response_seconds"] == 0.3 and result["response_voice"] in ("alloy", "nova")


def test_another_build_that_hears_otherwise_uses_what_was_paid(tmp_path: Path, services: Services) -> None:
    for parts in (BOTH, BOTH[:1]):
        step = AskSpeech(OpenAiSpeech("tts-1", ("alloy",)), 0, parts)
        with serve(said) as api, asks(api.base_url, tmp_path, prices=PRICE) as service:
            step.setup(replace(services, llm=service))
            [result] = step(records("Hello"))
        assert isinstance(result, dict)
    assert not api.requests
    assert service.told["saved_usd"] == 5.0


def test_a_step_travels_to_its_worker_before_it_is_set_up() -> None:
    step = AskSpeech(OpenAiSpeech("tts-1", ("alloy",)), 0, BOTH)
    assert pickle.loads(pickle.dumps(step)) == step
