"""SQL over what was paid for: the view `ledger`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from builders.llm.ledger import LEDGER_NOTE, SCHEMA, Ledger, ledger_of
from builders.shards import query as module
from builders.shards.dataset import Claim, write_claim
from builders.shards.query import connect, query
from builders.shards.store import Store
from schemas.errors import BuildError, UserError
from tests.builders.llm.entries import entry, failure

Dataset = Callable[[Path], Store]
COUNT = "select count(*), count(distinct id) from ledger"


@pytest.fixture
def claimed(tmp_path: Path) -> Store:
    """A dataset of which no unit is committed yet."""
    store = Store(tmp_path / "d")
    write_claim(store, Claim({}, (1,)))
    return store


def fetched(store: Store, sql: str) -> list[Any]:
    with connect(store) as connection:
        return connection.sql(sql).fetchall()


def test_the_ledger_of_a_dataset_is_a_view_beside_the_others(dataset: Dataset, tmp_path: Path) -> None:
    store = dataset(tmp_path)
    ledger = Ledger(ledger_of(store))
    ledger.seal([entry(1, usd=0.25), failure(2)])
    ledger.seal([entry(3, usd=None)])
    assert fetched(store, "select outcome, count(*), sum(usd) from ledger group by all order by all") == [
        ("answer", 2, 0.25),
        ("timeout", 1, None),
    ]
    assert fetched(store, "select text from ledger where id like '%3'") == [("answer 3",)]
    assert fetched(store, "select count(*) from samples") == [(5,)]
    assert [name for name, *_ in fetched(store, "describe ledger")] == SCHEMA.names


def test_times_are_told_in_utc_wherever_one_asks(claimed: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    Ledger(ledger_of(claimed)).seal([entry(1)])
    assert "2026-11-21 00:00:01+00" in query(claimed, "select asked_at from ledger")


def test_an_entry_that_stands_in_two_files_is_one_row(claimed: Store) -> None:
    for batch in ([entry(1), entry(2)], [entry(2), entry(3)]):
        Ledger(ledger_of(claimed)).seal(batch)
    assert fetched(claimed, COUNT) == [(3, 3)]


def test_what_was_paid_can_be_asked_before_any_unit_is_committed(claimed: Store) -> None:
    with pytest.raises(UserError, match="no unit is committed yet"):
        query(claimed, COUNT)
    Ledger(ledger_of(claimed)).seal([entry(1)])
    assert fetched(claimed, COUNT) == [(1, 1)]
    with pytest.raises(UserError, match="^sql: .*samples does not exist"):
        query(claimed, "select * from samples")


def test_a_dataset_that_asked_nobody_has_an_empty_ledger(dataset: Dataset, tmp_path: Path) -> None:
    store = dataset(tmp_path)
    assert fetched(store, "select count(*), sum(usd), max(asked_at) from ledger") == [(0, None, None)]
    assert [name for name, *_ in fetched(store, "describe ledger")] == SCHEMA.names


@pytest.mark.parametrize("name", ["it's", "a b", "größe", "50%", "a[1]b", "what?", "a*b"])
def test_a_ledger_that_lies_elsewhere_in_a_folder_of_any_name_is_asked(
    claimed: Store, tmp_path: Path, name: str
) -> None:
    Ledger(Store(tmp_path / name)).seal([entry(1)])
    claimed.put_bytes(LEDGER_NOTE, json.dumps({"at": str(tmp_path / name)}).encode())
    assert fetched(claimed, COUNT) == [(1, 1)]


def test_what_else_lies_beside_the_files_is_not_asked(claimed: Store) -> None:
    ledger = ledger_of(claimed)
    Ledger(ledger).seal([entry(1)])
    ledger.put_bytes("batches/1.parquet", b"no ledger's")
    ledger.put_bytes("notes.txt", b"mine")
    assert fetched(claimed, COUNT) == [(1, 1)]


@pytest.mark.parametrize("name", ["0.parquet", "9.parquet"])
def test_a_file_that_is_broken_is_named(claimed: Store, name: str) -> None:
    ledger = ledger_of(claimed)
    Ledger(ledger).seal([entry(1)])
    ledger.put_bytes(name, b"not Parquet at all")
    with pytest.raises((UserError, BuildError), match=rf"ledger/{name}") as error:
        query(claimed, COUNT)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("when", ["before", "after"])
def test_files_that_are_merged_while_they_are_asked_are_asked_again(
    claimed: Store, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Ledger(ledger_of(claimed))
    for number in range(3):
        other.seal([entry(number)])
    merges = [other.merge]
    add = module._add_ledger

    def merge_meanwhile(connection: duckdb.DuckDBPyConnection, ledger: Store, answers: list[str]) -> None:
        if when == "after":
            add(connection, ledger, answers)
        while merges:
            merges.pop()()
        if when == "before":
            add(connection, ledger, answers)

    monkeypatch.setattr(module, "_add_ledger", merge_meanwhile)
    assert "3" in query(claimed, "select count(*) as n from ledger")


@pytest.mark.slow
def test_asking_needs_nothing_that_only_builders_install() -> None:
    code = "import sys; sys.modules['numpy'] = None; import builders.shards.query"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
