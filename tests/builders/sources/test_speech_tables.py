"""LJSpeech, LibriSpeech and Common Voice as sources of utterances."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.sources.speech_on_disk import opened, put, read, refused

LJ = "A-1|Dr. A said 2|Doctor A said two\nA-2|so|so\n"


@pytest.fixture
def ljspeech(tmp_path: Path) -> Path:
    put(tmp_path / "metadata.csv", LJ)
    put(tmp_path / "wavs" / "A-1.wav")
    put(tmp_path / "wavs" / "A-2.flac")
    return tmp_path


@pytest.fixture
def librispeech(tmp_path: Path) -> Path:
    put(tmp_path / "dev" / "84" / "121" / "84-121.trans.txt", "84-121-0000 GO ON\n84-121-0001 STOP\n")
    put(tmp_path / "dev" / "7" / "1" / "7-1.trans.txt", "7-1-0000 FIRST\n")
    for name in ("84/121/84-121-0000", "84/121/84-121-0001", "7/1/7-1-0000"):
        put(tmp_path / "dev" / f"{name}.flac")
    return tmp_path


TSV = (
    "client_id\tpath\tsentence\tup_votes\tage\tlocale\n"
    'ab12\tcv_1.mp3\tEr sagt: "Nein!\t2\t\tde\n'
    "cd34\tcv_2\tJa.\t3\ttwenties\tde\n"
)


@pytest.fixture
def commonvoice(tmp_path: Path) -> Path:
    put(tmp_path / "validated.tsv", TSV)
    put(tmp_path / "clips" / "cv_1.mp3")
    put(tmp_path / "clips" / "cv_2.mp3")
    return tmp_path


# ---- LJSpeech --------------------------------------------------------------------------------------------------------


def test_each_line_of_ljspeech_is_an_utterance_in_normalised_words(ljspeech: Path) -> None:
    first, second = read(ljspeech)
    assert first == {
        "key": "A-1",
        "_text": "Doctor A said two",
        "_problem": None,
        "_bytes": None,
        "audio_file": "wavs/A-1.wav",
        "audio_start": None,
        "audio_seconds": None,
        "speaker": None,
        "language": None,
        "license": None,
    }
    assert (second["key"], second["audio_file"]) == ("A-2", "wavs/A-2.flac")


def test_the_written_text_may_be_asked_for(ljspeech: Path) -> None:
    assert read(ljspeech, text="text")[0]["_text"] == "Dr. A said 2"
    assert "LJSpeech has text and normalised" in refused(ljspeech, text="caption")


def test_the_list_may_be_given_itself_and_its_audio_lie_beside_or_elsewhere(tmp_path: Path) -> None:
    path = put(tmp_path / "a" / "metadata.csv", LJ)
    put(tmp_path / "a" / "A-1.flac")
    put(tmp_path / "b" / "wavs" / "A-1.mp3")
    assert read(path)[0]["audio_file"] == "A-1.flac"
    assert read(path, audio=str(tmp_path / "b"))[0]["audio_file"] == "wavs/A-1.mp3"
    assert "source.audio" in refused(path, audio=str(tmp_path / "c"))


def test_audio_that_is_missing_is_an_input_all_the_same_and_is_counted(ljspeech: Path) -> None:
    (ljspeech / "wavs" / "A-1.wav").unlink()
    assert (read(ljspeech)[0]["audio_file"], read(ljspeech)[0]["_problem"]) == ("wavs/A-1.wav", None)
    assert opened(ljspeech).facts()["audio files that are missing"] == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("A-3", "ragged_row: line 3: 1 cells"),
        ("A-3|a|b|c", "ragged_row: line 3: 4 cells"),
        ("|a|b", "bad_key: there is none"),
        ("../A-1|a|b", "bad_audio_path: '../A-1' is no path inside the folder of the audio"),
        ("/etc/a|a|b", "bad_audio_path: '/etc/a' is no path"),
    ],
)
def test_a_broken_line_of_ljspeech_is_told_and_the_others_are_read(ljspeech: Path, line: str, problem: str) -> None:
    put(ljspeech / "metadata.csv", f"{LJ}{line}\n")
    rows = read(ljspeech)
    assert len(rows) == 3 and rows[2]["_problem"].startswith(problem)
    assert not rows[0]["_problem"] and not rows[1]["_problem"]


def test_an_id_that_no_file_can_have_is_missing(ljspeech: Path) -> None:
    put(ljspeech / "metadata.csv", f"{'x' * 300}|a|b\n")
    assert opened(ljspeech).facts()["audio files that are missing"] == 1


def test_an_id_that_returns_is_told_and_keeps_a_key_of_its_own(ljspeech: Path) -> None:
    put(ljspeech / "metadata.csv", LJ + "A-1|again|again\n")
    again = read(ljspeech)[2]
    assert again["_problem"].startswith("duplicate_key: an earlier input has the key 'A-1'; give each line of metadata")
    assert again["key"] == "row-000000002"


def test_text_that_is_not_utf_8_is_told(ljspeech: Path) -> None:
    put(ljspeech / "metadata.csv", b"\xef\xbb\xbfA-1|a|caf\xe9\r\nA-2|caf\xc3\xa9\r\n")
    first, second = read(ljspeech)
    assert first["_problem"] == "broken_text: the text holds what is no character"
    assert (second["_text"], second["_problem"]) == ("café", None)


def test_an_id_that_is_not_utf_8_is_an_input_with_a_problem(tmp_path: Path) -> None:
    lists = {
        "lj/metadata.csv": b"\xff\xfe|t|t\n",
        "ls/1-2.trans.txt": b"b\xff-1 text\n",
        "cv/t.tsv": b"path\tsentence\n\xff.mp3\tx\n",
    }
    for name, raw in lists.items():
        put(tmp_path / name, raw)
        (row,) = read(tmp_path / name.split("/")[0])
        assert row["_problem"] == "bad_audio_path: the file's name is not UTF-8"


def test_a_line_holds_whatever_is_no_line_feed(ljspeech: Path) -> None:
    put(ljspeech / "metadata.csv", "A-1|a\u2028b|a\u2028b\n")
    assert read(ljspeech)[0]["_text"] == "a\u2028b"


# ---- LibriSpeech -----------------------------------------------------------------------------------------------------


def test_transcripts_are_found_in_all_folders_in_the_order_of_their_paths(librispeech: Path) -> None:
    rows = read(librispeech)
    assert [(row["key"], row["_text"], row["speaker"]) for row in rows] == [
        ("7-1-0000", "FIRST", "7"),
        ("84-121-0000", "GO ON", "84"),
        ("84-121-0001", "STOP", "84"),
    ]
    assert rows[1]["audio_file"] == "dev/84/121/84-121-0000.flac"
    assert not any(row["_problem"] for row in rows)
    assert opened(librispeech).facts() == {
        "inputs": 3,
        "kind": "librispeech",
        "transcripts": 2,
        "speakers": 2,
        "utterances without text": 0,
        "audio files that are missing": 0,
        "inputs with a problem": 0,
    }


def test_one_chapter_may_be_given_by_its_transcript(librispeech: Path) -> None:
    (row,) = read(librispeech / "dev" / "7" / "1" / "7-1.trans.txt")
    assert (row["key"], row["audio_file"]) == ("7-1-0000", "7-1-0000.flac")


def test_a_line_without_words_has_no_text(librispeech: Path) -> None:
    put(librispeech / "dev" / "7" / "1" / "7-1.trans.txt", "7-1-0000\n")
    assert opened(librispeech).facts()["utterances without text"] == 1


# ---- Common Voice ----------------------------------------------------------------------------------------------------


def test_each_line_of_common_voice_is_an_utterance_and_its_columns_travel_along(commonvoice: Path) -> None:
    first, second = read(commonvoice)
    assert first == {
        "key": "cv_1",
        "_text": 'Er sagt: "Nein!',
        "_problem": None,
        "_bytes": None,
        "audio_file": "clips/cv_1.mp3",
        "audio_start": None,
        "audio_seconds": None,
        "speaker": "ab12",
        "language": "de",
        "license": None,
        "source_up_votes": 2,
        "source_age": None,
    }
    assert (second["audio_file"], second["source_age"]) == ("clips/cv_2.mp3", "twenties")


def test_several_tables_must_be_chosen_from(commonvoice: Path) -> None:
    put(commonvoice / "test.tsv", TSV)
    put(commonvoice / "reported.tsv", "sentence_id\treason\n1\tbad\n")
    told = refused(commonvoice)
    assert "several lists (test.tsv, validated.tsv); give one, as " in told and told.endswith("validated.tsv")
    assert opened(commonvoice / "test.tsv").facts()["table"] == "test.tsv"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ab\tcv_1.mp3\tJa.", "ragged_row: line 2: 3 cells, but 6 columns"),
        ("ab\t\tJa.\t1\t\tde", "no_audio: it has no path"),
        ("ab\t/etc/x.mp3\tJa.\t1\t\tde", "bad_audio_path: "),
        ("ab\t../../x.mp3\tJa.\t1\t\tde", "bad_audio_path: "),
        ("ab\thttp://x/y.mp3\tJa.\t1\t\tde", "bad_audio_path: "),
    ],
)
def test_a_broken_line_of_common_voice_is_told_and_the_next_is_read(commonvoice: Path, line: str, problem: str) -> None:
    header, good = TSV.split("\n")[:2]
    put(commonvoice / "validated.tsv", f"{header}\n{line}\n{good}\n")
    bad, whole = read(commonvoice)
    assert bad["_problem"].startswith(problem) and bad["_bytes"] is None
    assert whole["_problem"] is None


def test_a_column_that_is_named_must_be_there(commonvoice: Path) -> None:
    assert "has no column 'words'; it has: client_id, path" in refused(commonvoice, text="words")
    assert "source.language" in refused(commonvoice, language="accent")
    assert [row["_text"] for row in read(commonvoice, text="age")] == [None, "twenties"]


# ---- all -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ljspeech", "librispeech", "commonvoice"])
def test_a_limit_takes_the_first_and_units_are_cut(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    assert [row["key"] for row in read(folder, limit=1)] == [row["key"] for row in read(folder)][:1]
    source = opened(folder, unit=1)
    assert source.unit_sizes == (1,) * source.listing.num_rows
    assert source.facts()["kind"] == kind


@pytest.mark.parametrize("kind", ["ljspeech", "librispeech", "commonvoice"])
def test_other_words_change_the_digest_and_other_audio_the_payload(kind: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(kind)
    before = opened(folder)
    sizes = before.unit_sizes
    sound = folder / before.read(0, 1)["audio_file"][0].as_py()
    put(sound, b"other")
    after = opened(folder)
    assert after.digests == before.digests and list(after.payloads(sizes)) != list(before.payloads(sizes))
    table = next(path for path in sorted(folder.rglob("*")) if path.suffix in (".csv", ".tsv", ".txt"))
    table.write_bytes(table.read_bytes() + b"\n")
    assert opened(folder).digests != before.digests


def test_real_ljspeech_is_read(shared: Path) -> None:
    rows = read(shared / "data" / "speech" / "ljspeech")
    assert len(rows) == 16 and not any(row["_problem"] for row in rows)
    assert rows[1]["_text"] == "in being comparatively modern."
