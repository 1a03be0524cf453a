"""Request files of the Batch API, and the notes on them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import pytest

from builders.llm.batch_files import Draft, Notes, line_of
from builders.shards.store import Store
from schemas.errors import BuildError
from tests.builders.llm.batch_pass import BUILD, request_of

pytestmark = pytest.mark.slow

REQUESTS = [request_of(number) for number in range(3)]


def draft_of(after: int = 0) -> Draft:
    draft = Draft(after)
    for request in REQUESTS:
        draft.add(request, line_of(request), 0.25)
    return draft


def notes_of(folder: Path) -> Notes:
    return Notes(Store(folder), BUILD)


def test_a_file_is_noted_under_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    notes = notes_of(tmp_path)
    asked = draft_of().note(notes)
    data = (tmp_path / BUILD[:16] / f"{asked.mark}.jsonl").read_bytes()
    assert asked.mark == hashlib.sha256(data).hexdigest()
    assert (asked.rows, asked.usd, asked.endpoint) == (3, 0.75, "/v1/chat/completions")
    assert list(notes.requests(asked.mark, "openai")) == REQUESTS
    assert notes.hashes(asked.mark) == [request.hash for request in REQUESTS]


def test_the_same_requests_are_another_file_once_more_files_are_collected(tmp_path: Path) -> None:
    notes = notes_of(tmp_path)
    first = draft_of(notes.count_collected()).note(notes)
    notes.collected(first.mark, "batch_1")
    second = draft_of(notes.count_collected()).note(notes)
    assert first.mark != second.mark
    assert notes.hashes(second.mark) == [request.hash for request in REQUESTS]


def test_what_is_open_is_what_was_noted_and_not_collected(tmp_path: Path) -> None:
    notes = notes_of(tmp_path)
    marks = [draft_of(after).note(notes).mark for after in range(3)]
    notes.submitted(marks[0], "batch_1")
    notes.collected(marks[1], "batch_2")
    notes.drop(marks[2])
    assert notes.begin() == [marks[0]] and notes.batch(marks[0]) == "batch_1"
    assert Notes(Store(tmp_path), "c" * 64).begin() == []


def test_what_a_kill_left_of_a_collected_file_is_removed(tmp_path: Path) -> None:
    notes = notes_of(tmp_path)
    mark = draft_of().note(notes).mark
    notes.submitted(mark, "batch_1")
    notes.store.put_bytes(f"{BUILD[:16]}/{mark}.done", b"{}")
    notes.store.put_bytes(f"{BUILD[:16]}/{'0' * 64}.batch", json.dumps({"batch": "batch_2"}).encode())
    assert notes.begin() == []
    assert notes.store.list(BUILD[:16]) == [f"{BUILD[:16]}/{mark}.done"]


def test_a_local_disk_that_refuses_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    with pytest.raises(BuildError, match="could not write below .*not there: No such file.* set TMPDIR"):
        Draft(0)
