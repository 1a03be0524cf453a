"""NeMo's manifests as a source of utterances, pieces of recordings among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders.sources.speech_on_disk import audio, opened, put, read, refused


def manifest(folder: Path, *lines: Any) -> Path:
    """A manifest of objects, or of lines as they are, with `a.wav` and `sub/b.flac` beside."""
    for name in ("a.wav", "sub/b.flac"):
        put(folder / name)
    told = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return put(folder / "train_manifest.json", "\n".join(told))


A = {"audio_filepath": "a.wav", "duration": 0.2, "text": "said"}

# ---- utterances ------------------------------------------------------------------------------------------------------


def test_each_line_is_an_utterance_and_its_further_fields_travel_along(tmp_path: Path) -> None:
    path = manifest(
        tmp_path,
        {**A, "speaker": 7, "lang": "en", "license": "CC0", "snr": 20.5, "words": ["said"]},
        {"audio_filepath": "sub/b.flac"},
    )
    first, second = read(path)
    assert first == {
        "key": "a",
        "_text": "said",
        "_problem": None,
        "_bytes": None,
        "audio_file": "a.wav",
        "audio_start": None,
        "audio_seconds": 0.2,
        "speaker": "7",
        "language": "en",
        "license": "CC0",
        "source_snr": 20.5,
    }
    assert (second["key"], second["_text"], second["source_snr"]) == ("sub_b", None, None)
    assert opened(path).facts() == {
        "inputs": 2,
        "kind": "manifest",
        "manifest": "train_manifest.json",
        "columns left out (nested)": "words",
        "speakers": 1,
        "utterances without text": 1,
        "audio files that are missing": 0,
        "inputs with a problem": 0,
    }


def test_pieces_of_one_recording_have_keys_of_their_own(tmp_path: Path) -> None:
    path = manifest(
        tmp_path, A, {**A, "offset": 0.1}, {**A, "offset": 1.5, "duration": 2}, {"audio_filepath": "a.wav", "offset": 3}
    )
    assert [(row["key"], row["audio_start"], row["audio_seconds"]) for row in read(path)] == [
        ("a", None, 0.2),
        ("a-100-300", 0.1, 0.2),
        ("a-1500-3500", 1.5, 2.0),
        ("a-3000-end", 3.0, None),
    ]


def test_fields_have_the_names_that_the_recipe_gives(tmp_path: Path) -> None:
    path = manifest(tmp_path, {**A, "raw": "Said.", "who": "ann", "tongue": "en"})
    (row,) = read(path, text="raw", speaker="who", language="tongue")
    assert (row["_text"], row["speaker"], row["language"]) == ("Said.", "ann", "en")
    assert row["source_text"] == "said"


def test_a_piece_weighs_no_more_than_its_length(tmp_path: Path) -> None:
    put(tmp_path / "long.wav", audio(200.0))  # 3.2 MB
    lines = [{"audio_filepath": "long.wav", "offset": i / 10, "duration": 0.1} for i in range(300)]
    assert opened(manifest(tmp_path, *lines)).unit_sizes == (300,)


# ---- untrusted paths -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["/etc/passwd", "../a.wav", "sub/../../a.wav", "http://x/a.wav", "a\0.wav"])
def test_a_path_that_leaves_the_folder_is_told_and_not_read(tmp_path: Path, file: str) -> None:
    first, second = read(manifest(tmp_path, {**A, "audio_filepath": file}, A))
    assert first["_problem"].startswith("bad_audio_path: ") and "see source.audio" in first["_problem"]
    assert second["_problem"] is None


def test_an_absolute_path_inside_the_folder_is_one_from_it_on(tmp_path: Path) -> None:
    path = manifest(tmp_path, {**A, "audio_filepath": str(tmp_path / "sub" / "b.flac")})
    assert (read(path)[0]["audio_file"], read(path)[0]["_problem"]) == ("sub/b.flac", None)


def test_the_recipe_may_name_the_folder_that_paths_are_in(tmp_path: Path) -> None:
    sound = put(tmp_path / "recordings" / "c.wav")
    path = manifest(
        tmp_path / "lists", {**A, "audio_filepath": "c.wav"}, {**A, "audio_filepath": str(sound), "offset": 0.1}
    )
    source = opened(path, audio=str(tmp_path / "recordings"))
    assert source.read(0, 2)["audio_file"].to_pylist() == ["c.wav", "c.wav"]
    assert source.facts()["audio files that are missing"] == 0 and source.folder == tmp_path / "recordings"


# ---- problems --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "bad_json: JSONDecodeError"),
        ("[1]", "bad_json: not an object"),
        ({"text": "said"}, "no_audio: it has no audio_filepath"),
        ({**A, "audio_filepath": ["a.wav"]}, "no_audio: its audio_filepath is ['a.wav']"),
        ({**A, "text": 5}, "no_text: it is 5"),
        ({**A, "text": "\ud800"}, "broken_text: "),
        ({**A, "offset": -1}, "bad_offset: -1 is no time in seconds"),
        ({**A, "offset": "1"}, "bad_offset: '1'"),
        ({**A, "offset": True}, "bad_offset: True"),
        ({**A, "duration": 0}, "bad_duration: it is 0"),
        ({**A, "duration": float("nan")}, "bad_duration: nan"),
        ({**A, "duration": float("inf")}, "bad_duration: inf"),
        ({**A, "duration": 10**400}, "bad_duration: 1000"),
    ],
)
def test_a_broken_line_is_told_and_the_next_is_read(tmp_path: Path, line: Any, problem: str) -> None:
    bad, good = read(manifest(tmp_path, line, {"audio_filepath": "sub/b.flac", "text": "so"}), kind="manifest")
    assert bad["_problem"].startswith(problem)
    assert (good["_text"], good["_problem"]) == ("so", None)


def test_the_same_piece_twice_is_told(tmp_path: Path) -> None:
    again = read(manifest(tmp_path, A, A))[1]
    assert again["_problem"].startswith("duplicate_key: an earlier input has the key 'a'")


def test_several_manifests_must_be_chosen_from(tmp_path: Path) -> None:
    put(tmp_path / "dev.jsonl", json.dumps(A))
    manifest(tmp_path, A)
    assert "holds several lists (dev.jsonl, train_manifest.json); give one" in refused(tmp_path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["audio_filepath", "text", "offset", "duration", "speaker", "lang"]) | st.text(max_size=4)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(st.lists(st.dictionaries(names, values, max_size=6), min_size=1, max_size=4))
def test_whatever_lines_hold_each_is_an_input_with_a_good_key_or_a_problem(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    rows = read(manifest(tmp_path, *lines), kind="manifest")
    assert len(rows) == len(lines)
    assert len({row["key"] for row in rows}) == len(rows)
    assert all(row["_problem"] or row["audio_file"] for row in rows)
