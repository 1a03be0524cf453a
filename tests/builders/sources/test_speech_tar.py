"""WebDataset tars as a source of utterances."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.sources import speech_tar
from schemas.errors import BuildError
from tests.builders.sources.speech_on_disk import audio, opened, read, refused, tar

Members = tuple[tuple[str, bytes], ...]
WAV = audio()
SAID: Members = (("a.wav", WAV), ("a.txt", b"said"))
GOOD: Members = (("z.wav", WAV), ("z.txt", b"good"))


def test_members_that_share_a_name_are_an_utterance(tmp_path: Path) -> None:
    told = b'{"text": "not this", "speaker": "ann", "language": "en", "license": "CC0"}'
    assert read(tar(tmp_path / "a.tar", *SAID, ("a.json", told))) == [
        {
            "key": "a",
            "_text": "said",
            "_problem": None,
            "_bytes": WAV,
            "audio_file": "a.wav",
            "audio_start": None,
            "audio_seconds": None,
            "speaker": "ann",
            "language": "en",
            "license": "CC0",
        }
    ]


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus", "WAV"])
def test_audio_is_of_any_kind(tmp_path: Path, kind: str) -> None:
    data = audio(kind=kind.upper())
    (row,) = read(tar(tmp_path / "a.tar", (f"x/a.{kind}", data), ("x/a.json", b'{"text": "said"}')))
    assert (row["key"], row["_text"], row["_bytes"]) == ("x_a", "said", data)


def test_a_json_field_that_is_named_takes_the_place_of_the_text_file(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", *SAID, ("a.json", b'{"raw": "Said."}'))
    assert read(path, text="raw")[0]["_text"] == "Said."
    assert opened(path, text="raw").facts()["members not used"] == 1


def test_audio_alone_is_an_utterance_without_text(tmp_path: Path) -> None:
    (row,) = read(tar(tmp_path / "a.tar", ("a.wav", WAV), ("a.cls", b"3")))
    assert (row["_text"], row["_problem"], row["_bytes"]) == (None, None, WAV)


def test_several_tars_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        tar(tmp_path / f"{name}.tar", (f"{name}.wav", WAV), (f"{name}.txt", name.encode()))
    assert [row["_text"] for row in read(tmp_path)] == ["a", "b"]
    assert opened(tmp_path).facts() == {
        "inputs": 2,
        "kind": "webdataset",
        "tars": 2,
        "members not used": 0,
        "inputs with a problem": 0,
    }


def test_units_are_cut_and_each_reads_its_own(tmp_path: Path) -> None:
    source = opened(tar(tmp_path / "a.tar", *SAID, *GOOD), unit=1)
    assert source.unit_sizes == (1, 1)
    assert source.read(1, 1)["_text"].to_pylist() == ["good"]


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ((("a.txt", b"a"),), "no_audio: the sample has none"),
        ((("a.wav", WAV), ("a.txt", b"\xff")), "broken_text: the text is not UTF-8 at byte 0"),
        ((("a.wav", WAV), ("a.json", b"{")), "bad_json: JSONDecodeError"),
        ((("a.wav", WAV), ("a.json", b"[1]")), "bad_json: not an object"),
        ((("a.wav", WAV), ("a.json", b"[" * 100_000)), "bad_json: RecursionError"),
        ((("a.wav", WAV), ("a.json", b'{"text": 5}')), "no_text: it is 5"),
        ((("a.wav", WAV), ("a.mp3", WAV), ("a.txt", b"a")), "repeated_member: 'a.mp3' is a second audio"),
        ((("a.wav", WAV), ("a.txt", b"x" * 1_000_001)), "text_too_large: its .txt has over 1,000,000 bytes"),
    ],
)
def test_a_sample_that_is_none_is_told_and_its_neighbour_is_read(
    tmp_path: Path, members: Members, problem: str
) -> None:
    bad, good = read(tar(tmp_path / "a.tar", *members, *GOOD))
    assert bad["_problem"].startswith(problem) and bad["_bytes"] is None
    assert (good["_text"], good["_problem"]) == ("good", None)


def test_a_text_file_stands_in_for_a_json_whose_text_is_none(tmp_path: Path) -> None:
    (row,) = read(tar(tmp_path / "a.tar", *SAID, ("a.json", b'{"text": 5, "speaker": "ann"}')))
    assert (row["_text"], row["_problem"], row["speaker"]) == ("said", None, "ann")


def test_a_huge_member_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_tar, "MAX_BYTES", 3)
    (row,) = read(tar(tmp_path / "a.tar", *SAID))
    assert (row["_problem"], row["_bytes"]) == ("audio_too_large: over 3 bytes", None)


def test_a_name_that_returns_is_told(tmp_path: Path) -> None:
    again = read(tar(tmp_path / "a.tar", *SAID, *GOOD, *SAID))[2]
    assert again["_problem"].startswith("duplicate_key: an earlier input has the key 'a'; rename the samples")


def test_a_tar_that_is_cut_off_is_refused_and_one_that_changes_stops_the_build(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", *SAID)
    source = opened(path)
    path.write_bytes(path.read_bytes()[:1500])
    assert refused(path) == f"source.path: {path}: cut off inside 'a.wav' (byte 1,500)"
    with pytest.raises(BuildError, match=r"a\.tar has changed since it was listed"):
        source.read(0, 1)
