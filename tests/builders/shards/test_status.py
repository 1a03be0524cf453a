"""How far a dataset is, from its files alone."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.llm.ledger import Ledger
from builders.llm.request import ANSWER, Entry
from builders.shards import status
from builders.shards.dataset import Claim, read_marker, read_markers, write_claim
from builders.shards.status import look_at
from builders.shards.store import Store
from builders.shards.totals import total
from builders.shards.unit import marker_path
from schemas.errors import BuildError, UserError
from tests.builders.conftest import BROKEN, NO_BOX, BuildDataset, Unit

BEGAN = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.UTC)
CONTENT = {"recipe": {"kind": "grit"}, "inputs": {}, "models": {}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A dataset that was claimed for six units of four inputs."""
    store = Store(tmp_path / "out")
    write_claim(store, Claim(CONTENT, (4,) * 6))
    return store


def commit(store: Store, unit: int, seconds: float, outcomes: Any = ([None], [None], [NO_BOX], [BROKEN])) -> None:
    """Commit a unit of four inputs, so many seconds after the build began."""
    Unit(unit, outcomes).commit(store)
    at = BEGAN + datetime.timedelta(seconds=seconds)
    marker = dataclasses.replace(read_marker(store, unit), committed=at)
    store.put_bytes(marker_path(unit), json.dumps(marker.as_json()).encode())


def test_what_is_done_and_left_and_lost_is_told_while_nothing_is_finished(store: Store) -> None:
    commit(store, 0, 0)
    commit(store, 4, 10)

    found = look_at(store)

    assert (found.kind, found.finished) == ("grit", False)
    assert (found.units, found.units_done, found.inputs, found.inputs_done) == (6, 2, 24, 8)
    assert (found.kept, found.rejected, found.failed, found.samples) == (4, 2, 2, 4)
    assert found.reasons == {"rejected/select_boxes/no_box": 2, "failed/read_image/OSError": 2}
    assert found.bytes == sum(file.stat().st_size for file in (store.root / "data").iterdir())
    assert found.worker_seconds == {"parse": 1.0}
    assert (found.estimated_from, found.cost, found.ledger, found.drawn) == (None, None, None, None)


def test_nothing_is_done_yet(store: Store) -> None:
    found = look_at(store)

    assert (found.units_done, found.inputs_done, found.kept) == (0, 0, 0)
    assert (found.inputs_per_second, found.last_committed, found.seconds_left) == (None, None, None)


def test_the_speed_is_that_of_the_last_ten_minutes_of_work(store: Store) -> None:
    commit(store, 0, -5000)  # of a run that was stopped
    for unit in range(1, 5):
        commit(store, unit, 10.0 * unit)

    found = look_at(store)

    assert found.inputs_per_second == pytest.approx(4 * 3 / 30)
    assert found.last_committed == "2026-11-22T12:00:40+00:00"
    assert found.seconds_left == pytest.approx(4 / 0.4)


def test_one_commit_has_no_speed(store: Store) -> None:
    commit(store, 0, 0)

    assert look_at(store).inputs_per_second is None


def test_markers_without_a_time_are_counted_all_the_same(store: Store) -> None:
    commit(store, 0, 0)
    told = json.loads(store.read_bytes(marker_path(0)))
    del told["committed"]
    store.put_bytes(marker_path(0), json.dumps(told).encode())

    found = look_at(store)

    assert (found.kept, found.last_committed) == (2, None)


def test_when_a_unit_was_committed_is_no_part_of_the_datasets_digest(store: Store) -> None:
    commit(store, 0, 0)
    claim = Claim(CONTENT, (4,))
    before = total(claim, read_markers(store)).digest()
    commit(store, 0, 99)

    assert total(claim, read_markers(store)).digest() == before


# -- many markers


def test_of_many_markers_some_are_read_and_the_others_estimated(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for unit in range(6):
        commit(store, unit, 10.0 * unit)
    whole = look_at(store)
    monkeypatch.setattr(status, "SAMPLED", 3)
    read: list[int] = []
    monkeypatch.setattr(status, "read_marker", lambda store, unit: read.append(unit) or read_marker(store, unit))

    found = look_at(store)

    assert sorted(read) == [0, 2, 4]
    assert found.estimated_from == 3
    assert (found.units_done, found.inputs_done) == (6, 24)
    for name in ("kept", "rejected", "failed", "samples", "bytes", "reasons", "worker_seconds"):
        assert getattr(found, name) == getattr(whole, name), "all units are alike"
    assert found.inputs_per_second == pytest.approx(4 * 2 / 40 * 2)


@given(st.integers(0, 60), st.integers(1, 20))
def test_however_many_markers_there_are_no_more_are_read_than_allowed_and_evenly(done: int, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(status, "SAMPLED", most)
        chosen = status.spread(list(range(done)))
    assert len(chosen) <= most
    assert (done <= most and len(chosen) == done) or len(chosen) * 2 > most or done == 0
    assert len({b - a for a, b in itertools.pairwise(chosen)}) <= 1


def test_a_marker_that_was_taken_back_after_it_was_listed_is_left_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for unit in range(3):
        commit(store, unit, unit)
    monkeypatch.setattr(status, "committed", lambda store: [0, 1, 2, 5])

    found = look_at(store)

    assert (found.units_done, found.estimated_from) == (4, 3)


# -- finished, and what is none


def test_a_finished_dataset_answers_with_its_manifest_and_no_marker_is_read(
    tmp_path: Path, dataset: BuildDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = dataset(tmp_path / "made")
    monkeypatch.setattr(status, "read_marker", None)

    found = look_at(store)

    assert (found.finished, found.units_done, found.units) == (True, 3, 3)
    assert (found.inputs, found.kept, found.rejected, found.failed, found.samples) == (8, 5, 2, 1, 5)
    assert found.seconds_left is None


@pytest.mark.parametrize("gone", [[1], [0, 1, 2]])
def test_where_markers_are_missing_a_manifest_does_not_make_a_dataset_finished(
    tmp_path: Path, dataset: BuildDataset, gone: list[int]
) -> None:
    store = dataset(tmp_path / "made")
    for unit in gone:
        store.delete(marker_path(unit))

    found = look_at(store)

    assert (found.finished, found.units, found.units_done) == (False, 3, 3 - len(gone))
    assert found.inputs_done == sum(read_marker(store, unit).inputs.total for unit in {0, 1, 2} - {*gone})


def test_a_unit_whose_files_are_gone_is_done_while_its_marker_is_there(tmp_path: Path, dataset: BuildDataset) -> None:
    store = dataset(tmp_path / "made")
    shutil.rmtree(tmp_path / "made/data")

    assert look_at(store).finished, "verify looks for files"


def test_where_no_dataset_is_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no gristmill dataset"):
        look_at(Store(tmp_path / "none"))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no gristmill dataset"):
        look_at(Store(tmp_path))


def test_a_marker_that_is_none_is_named(store: Store) -> None:
    store.put_bytes(marker_path(3), b"{}")

    with pytest.raises(BuildError, match=r"units/000003\.json"):
        look_at(store)


# -- what is drawn for an artefact, and money


def test_of_what_is_drawn_for_an_artefact_its_own_units_are_told(store: Store) -> None:
    drawn = Store(store.root / "drawn/0123456789abcdef")
    write_claim(drawn, Claim(CONTENT, (4, 4, 2)))
    commit(drawn, 1, 0)

    assert look_at(store).drawn == (1, 3)


def entry(number: int, build: str, usd: float | None) -> Entry:
    return Entry(
        *(f"{number}", "0" * 64, BEGAN, build, "run", "provider", "model", ANSWER),
        text="yes",
        tokens_in=10,
        tokens_out=2,
        usd=usd,  # type: ignore[arg-type]
    )


def test_the_cost_is_the_ledgers_of_this_dataset_wherever_it_lies(store: Store, tmp_path: Path) -> None:
    elsewhere = Store(tmp_path / "ledger")
    build = Claim(CONTENT, ()).hash
    Ledger(elsewhere).seal([entry(1, build, 0.5), entry(2, build, None), entry(3, "another", 9.0)])
    store.put_bytes("ledger.json", json.dumps({"at": str(elsewhere)}).encode())

    found = look_at(store)

    assert found.ledger == str(elsewhere)
    assert found.cost == {
        "requests": 2,
        "answers": 2,
        "tokens_in": 20,
        "tokens_out": 4,
        "usd": 0.5,
        "unpriced": 1,
    }


def test_a_ledger_that_cannot_be_seen_from_here_is_named(store: Store, tmp_path: Path) -> None:
    store.put_bytes("ledger.json", json.dumps({"at": str(tmp_path / "on another machine")}).encode())

    found = look_at(store)

    assert (found.cost, found.ledger) == (None, str(tmp_path / "on another machine"))
