"""Which kind of speech a path holds."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from builders.sources.speech import detect, open_speech
from schemas.errors import UserError
from tests.builders.sources.speech_on_disk import opened, put, read, refused, tar

NEMO = json.dumps({"text": "said", "audio_filepath": "a.wav"})


@pytest.mark.parametrize(
    ("file", "data", "kind"),
    [
        ("metadata.csv", "a|said|said", "ljspeech"),
        ("train/8/1/8-1.trans.txt", "8-1-0 SAID", "librispeech"),
        ("8-1.trans.txt", "8-1-0 SAID", "librispeech"),
        ("validated.tsv", "client_id\tpath\tsentence\r\n1\ta.mp3\tsaid\r\n", "commonvoice"),
        ("train.jsonl", f"\n{NEMO}\n", "manifest"),
        ("train_manifest.json", NEMO, "manifest"),
        ("a.wav", None, "folder"),
        ("x/y/a.MP3", None, "folder"),
    ],
)
def test_a_folder_tells_its_kind_by_what_it_holds(tmp_path: Path, file: str, data: str | None, kind: str) -> None:
    put(tmp_path / file, data)
    put(tmp_path / "notes.json", "{}")
    assert detect(tmp_path) == kind
    assert opened(tmp_path).facts()["kind"] == kind


def test_audio_beside_a_list_is_what_the_list_tells_of(tmp_path: Path) -> None:
    put(tmp_path / "metadata.csv", "a|said|said")
    put(tmp_path / "a.wav")
    put(tmp_path / "b.wav")
    assert [row["key"] for row in read(tmp_path)] == ["a"]
    assert [row["key"] for row in read(tmp_path, kind="folder")] == ["a", "b"]


def test_a_file_tells_its_kind_too(tmp_path: Path) -> None:
    assert detect(put(tmp_path / "x.jsonl", NEMO)) == "manifest"
    assert detect(tar(tmp_path / "x.tar")) == "webdataset"
    assert read(put(tmp_path / "list", "a|said|said"), kind="ljspeech")[0]["_text"] == "said"


def test_tars_that_gristmill_built_are_read(tmp_path: Path) -> None:
    for name in ("manifest.json", "units/0.json"):
        put(tmp_path / name, "{}")
    (tmp_path / "data").mkdir()
    tar(tmp_path / "data" / "0.tar", ("a.flac", b"x"))
    assert opened(tmp_path).facts()["kind"] == "webdataset"


def test_several_kinds_must_be_chosen_from(tmp_path: Path) -> None:
    put(tmp_path / "metadata.csv", "a|said|said")
    tar(tmp_path / "a.tar", ("b.wav", b"x"))
    assert refused(tmp_path).endswith("holds several kinds (ljspeech, webdataset); give source.kind")
    assert [row["key"] for row in read(tmp_path, kind="webdataset")] == ["b"]


def test_a_list_that_is_not_understood_is_not_passed_over_for_the_audio_beside(tmp_path: Path) -> None:
    put(tmp_path / "a.wav")
    odd = put(tmp_path / "metadata.csv", "file_name,transcription\na.wav,said\n")
    assert refused(tmp_path).startswith(f"source.path: {odd} is no list that is known: metadata.csv (LJSpeech), ")
    assert len(read(tmp_path, kind="folder")) == 1


def test_what_holds_no_speech_is_refused_with_what_would_do(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", b"x")
    told = refused(tmp_path)
    assert "*.trans.txt (LibriSpeech), a TSV with path and sentence (Common Voice)" in told
    assert told.endswith("give source.kind or another path")
    assert "holds no list or tar of kind ljspeech" in refused(tmp_path, kind="ljspeech")
    assert refused(tmp_path, kind="folder").endswith("holds no utterance, so there is nothing to build")
    assert refused(tmp_path / "a.jpg", kind="folder").endswith("is not a folder")
    assert refused(tmp_path / "nowhere").endswith("is not there")


@pytest.mark.parametrize(
    ("kind", "field"), [("folder", "text"), ("librispeech", "audio"), ("ljspeech", "names"), ("webdataset", "audio")]
)
def test_a_field_that_a_kind_does_not_have_is_refused(tmp_path: Path, kind: str, field: str) -> None:
    put(tmp_path / "a.wav")
    told = refused(tmp_path, kind, **{field: "x"})
    assert told == f"source.{field}: a source of kind {kind} has no such field; leave it out"


def test_a_path_may_be_a_uri_and_a_source_travels_to_workers(tmp_path: Path) -> None:
    put(tmp_path / "a.wav")
    source = open_speech(f"file://{tmp_path}", None, 10)
    assert pickle.loads(pickle.dumps(source)).read(0, 1).equals(source.read(0, 1))
    with pytest.raises(UserError, match="only local paths"):
        open_speech("ftp://host/speech", None, 10)
