"""Reading an utterance: its audio as it is, or a piece of it; its text on one line."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from builders.sources import speech_read
from builders.sources.speech_read import ReadUtterance
from builders.speech.audio import Sound, decode, header
from builders.step import Failed, Record, Rejected, Result, Services
from tests.builders.sources.speech_on_disk import RATE, audio, opened, put


def utterance(**told: Any) -> Record:
    return {**dict.fromkeys(ReadUtterance.reads), "_text": "said", "audio_file": "a.wav", **told}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`a.wav` of four seconds, each louder than the one before."""
    out = io.BytesIO()
    soundfile.write(out, np.repeat([0.125, 0.25, 0.5, 0.75], RATE), RATE, format="WAV")
    put(tmp_path / "a.wav", out.getvalue())
    return tmp_path


def result_of(folder: Path, services: Services, needs_text: bool = True, **told: Any) -> Result:
    step = ReadUtterance(folder, needs_text)
    step.setup(services)
    (result,) = step([utterance(**told)])
    return result


def heard(result: Result) -> Sound:
    assert isinstance(result, dict), result
    sound = decode(result["_audio"])
    assert isinstance(sound, Sound)
    return sound


# ---- audio -----------------------------------------------------------------------------------------------------------


def test_a_whole_file_stays_as_it_is(folder: Path, services: Services) -> None:
    whole = {"_audio": (folder / "a.wav").read_bytes(), "text": "said"}
    assert result_of(folder, services) == whole
    assert whole.keys() == ReadUtterance.adds.keys()
    assert result_of(folder, services, audio_seconds=4.0) == whole
    assert result_of(folder, services, audio_seconds=3.95) == whole  # lists round lengths
    assert result_of(folder, services, audio_start=0.0, audio_seconds=4.05) == whole


def test_bytes_that_are_there_are_not_read_again(folder: Path, services: Services) -> None:
    assert result_of(folder, services, _bytes=b"x", audio_file="not there.wav") == {"_audio": b"x", "text": "said"}


@pytest.mark.parametrize(
    ("start", "seconds", "length", "first"),
    [(1.0, 2.0, 2.0, 0.25), (3.0, None, 1.0, 0.75), (None, 1.0, 1.0, 0.125), (2.5, 0.25, 0.25, 0.5)],
)
def test_a_piece_is_flac_of_that_piece(
    folder: Path, services: Services, start: float | None, seconds: float | None, length: float, first: float
) -> None:
    result = result_of(folder, services, audio_start=start, audio_seconds=seconds)
    assert isinstance(result, dict) and header(result["_audio"]).kind == "flac"
    assert (heard(result).seconds, heard(result).samples[0], heard(result).rate) == (length, first, RATE)


def test_a_piece_of_a_file_that_is_too_large_to_hold_is_read(
    folder: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_read, "MAX_BYTES", 10_000)
    assert heard(result_of(folder, services, audio_start=1.0, audio_seconds=0.1)).seconds == 0.1
    assert result_of(folder, services) == Rejected("audio_too_large", "a.wav has over 10,000 bytes")


@pytest.mark.parametrize(("start", "seconds"), [(None, 4.5), (3.5, 1.0), (5.0, None)])
def test_a_piece_that_the_file_does_not_hold_is_rejected(
    folder: Path, services: Services, start: float | None, seconds: float | None
) -> None:
    result = result_of(folder, services, audio_start=start, audio_seconds=seconds)
    assert isinstance(result, Rejected) and result.reason == "outside_audio"


def test_a_piece_of_what_is_no_audio_has_failed(folder: Path, services: Services) -> None:
    put(folder / "a.wav", b"<html>")
    assert isinstance(result_of(folder, services, audio_start=1.0), Failed)


def test_a_file_that_is_missing_fails_and_can_be_tried_again(folder: Path, services: Services) -> None:
    assert result_of(folder, services, audio_file="b.wav") == Failed("missing_audio", "b.wav is not there")


def test_a_link_out_of_the_folder_and_a_pipe_are_not_opened(
    folder: Path, services: Services, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = put(tmp_path_factory.mktemp("elsewhere") / "secret.wav")
    (folder / "b.wav").symlink_to(secret)
    os.mkfifo(folder / "c.wav")
    out, pipe = (result_of(folder, services, audio_file=name) for name in ("b.wav", "c.wav"))
    assert out == Rejected("bad_audio_path", "b.wav links out of the folder of the audio")
    assert pipe == Rejected("not_a_file", "c.wav is no regular file")


# ---- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [None, "", " \n"])
def test_an_utterance_without_text_is_rejected_where_text_is_needed(
    folder: Path, services: Services, told: str | None
) -> None:
    assert result_of(folder, services, _text=told) == Rejected("no_text", "there is none")
    result = result_of(folder, services, needs_text=False, _text=told)
    assert isinstance(result, dict) and result["text"] is None


def test_text_stands_on_one_line(folder: Path, services: Services) -> None:
    result = result_of(folder, services, _text=" It  is\r\n\tsaid. ")
    assert isinstance(result, dict) and result["text"] == "It is said."


def test_control_characters_are_rejected(folder: Path, services: Services) -> None:
    assert result_of(folder, services, _text="a\0b") == Rejected("control_character", "U+0000 at character 1")


def test_the_problem_that_the_source_tells_is_the_reason(folder: Path, services: Services) -> None:
    told = "bad_audio_path: '../a.wav' is no path"
    assert result_of(folder, services, _problem=told) == Rejected("bad_audio_path", "'../a.wav' is no path")


# ---- with a source ---------------------------------------------------------------------------------------------------


def test_what_a_source_lists_can_be_read(tmp_path: Path, services: Services) -> None:
    put(tmp_path / "list.jsonl", '{"audio_filepath": "b.mp3", "text": "so", "offset": 0.1, "duration": 0.05}\n')
    put(tmp_path / "b.mp3", audio(0.3, "MP3"))
    source = opened(tmp_path)
    step = ReadUtterance(source.folder)
    step.setup(services)
    (result,) = step(source.read(0, 1).select(list(step.reads)).to_pylist())
    assert heard(result).seconds == 0.05
