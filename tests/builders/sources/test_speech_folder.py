"""A plain folder of audio as a source of utterances: alone, with texts beside, or with names that tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.builders.sources.speech_on_disk import opened, put, read, refused

FSDD = "{text}_{speaker}_{take}"


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    for name in ("7_ann_0", "7_ben_0", "3_ann_1"):
        put(tmp_path / f"{name}.wav")
    return tmp_path


def test_each_file_is_an_utterance_in_the_order_of_the_paths(digits: Path) -> None:
    put(digits / "Sub.1" / "x y.opus")
    put(digits / "readme.md", "not audio")
    rows = read(digits)
    assert [(row["key"], row["audio_file"]) for row in rows] == [
        ("3_ann_1", "3_ann_1.wav"),
        ("7_ann_0", "7_ann_0.wav"),
        ("7_ben_0", "7_ben_0.wav"),
        ("Sub_1_x_y", "Sub.1/x y.opus"),
    ]
    assert all(row["_text"] is row["_problem"] is row["speaker"] is None for row in rows)


def test_names_tell_what_is_said_and_by_whom(digits: Path) -> None:
    rows = read(digits, names=FSDD)
    assert [(row["_text"], row["speaker"], row["language"]) for row in rows] == [
        ("3", "ann", None),
        ("7", "ann", None),
        ("7", "ben", None),
    ]
    assert opened(digits, names=FSDD).facts() == {
        "inputs": 3,
        "kind": "folder",
        "speakers": 2,
        "utterances without text": 0,
        "inputs with a problem": 0,
    }


def test_a_name_that_does_not_tell_is_a_problem(digits: Path) -> None:
    put(digits / "noise.wav")
    assert read(digits, names=FSDD)[-1]["_problem"] == "bad_name: 'noise' is not as source.names says"


@pytest.mark.parametrize(
    ("names", "name", "told"),
    [
        ("{text}_{take}", "seven_1_2", ("seven", None)),
        ("{speaker}-x-{take}", "ann-x-1", (None, "ann")),
        ("digit {text}", "digit 7", ("7", None)),
        ("{speaker}.{text}", "ann.7_8", ("7_8", "ann")),
    ],
)
def test_a_part_ends_where_what_follows_it_begins(
    tmp_path: Path, names: str, name: str, told: tuple[str | None, str | None]
) -> None:
    put(tmp_path / f"{name}.wav")
    (row,) = read(tmp_path, names=names)
    assert (row["_text"], row["speaker"]) == told


@pytest.mark.parametrize("names", ["x", "{take}", "{text}{take}", "{text}_{text}", "{text}_{", "{text}_{A}"])
def test_names_that_tell_nothing_are_refused(digits: Path, names: str) -> None:
    assert refused(digits, names=names).startswith(
        f"source.names: {names!r}: write at least one of {{text}}, {{speaker}}"
    )


def test_a_text_beside_is_what_is_said_but_not_where_names_tell_it(digits: Path) -> None:
    put(digits / "3_ann_1.txt", b"\xef\xbb\xbfthree")
    assert [row["_text"] for row in read(digits)] == ["three", None, None]
    assert [row["_text"] for row in read(digits, names="{take}_{speaker}_{n}")] == ["three", None, None]
    assert [row["_text"] for row in read(digits, names=FSDD)] == ["3", "7", "7"]
    assert opened(digits).facts()["utterances without text"] == 2


def test_a_text_that_cannot_be_read_is_told(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = put(tmp_path_factory.mktemp("elsewhere") / "secret", "secret")
    (digits / "3_ann_1.txt").symlink_to(elsewhere)
    put(digits / "7_ann_0.txt", b"\xff")
    put(digits / "7_ben_0.txt", "x" * 1_000_001)
    first, second, third = (row["_problem"] for row in read(digits))
    assert first == "bad_text_file: 3_ann_1.txt links out of the folder of the audio"
    assert second == "broken_text: the text is not UTF-8 at byte 0"
    assert third == "text_too_large: 7_ben_0.txt has over 1,000,000 bytes"


def test_a_text_that_is_gone_or_a_pipe_is_told_when_it_is_read(digits: Path) -> None:
    put(digits / "3_ann_1.txt", "three")
    put(digits / "7_ann_0.txt", "seven")
    source = opened(digits)
    (digits / "3_ann_1.txt").unlink()
    (digits / "7_ann_0.txt").unlink()
    os.mkfifo(digits / "7_ann_0.txt")
    first, second, _ = source.read(0, 3)["_problem"].to_pylist()
    assert first == "bad_text_file: 3_ann_1.txt: No such file or directory"
    assert second == "bad_text_file: 7_ann_0.txt is no regular file"


def test_linked_folders_are_not_entered(digits: Path) -> None:
    (digits / "loop").symlink_to(digits)
    assert len(read(digits)) == 3


def test_two_files_of_one_name_are_told(digits: Path) -> None:
    put(digits / "3_ann_1.flac")
    assert read(digits)[1]["_problem"].startswith("duplicate_key: an earlier input has the key '3_ann_1'; rename one")


def test_a_name_that_is_not_utf_8_is_told(digits: Path) -> None:
    (digits / os.fsdecode(b"\xff.wav")).write_bytes(b"x")
    assert read(digits)[-1]["_problem"] == "bad_audio_path: the file's name is not UTF-8"


def test_other_audio_of_the_same_name_changes_the_payload_alone(digits: Path) -> None:
    before = opened(digits)
    put(digits / "3_ann_1.wav", b"other")
    after = opened(digits)
    assert after.digests == before.digests and after.payloads([3]) != before.payloads([3])
    put(digits / "new.wav")
    assert opened(digits).digests != before.digests


def test_spoken_digits_are_told_by_their_names(shared: Path) -> None:
    rows = read(shared / "data" / "speech" / "fsdd", names=FSDD)
    assert len(rows) == 90 and not any(row["_problem"] for row in rows)
    assert {row["_text"] for row in rows} == set("0123456789")
    assert {row["speaker"] for row in rows} == {"jackson", "nicolas", "theo"}
