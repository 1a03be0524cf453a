"""What an artefact is made of: the index of what was kept, and the members of what was drawn of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from builders import rows
from builders.fit import Members, TakeDrawn, read_index
from builders.shards.store import Store
from builders.shards.unit import Layout, Member, commit_unit
from builders.step import Rejected


def unit(store: Store, number: int, keys: list[str], members: bool = True) -> None:
    """Commit a unit of records with a payload each."""
    columns = {
        "key": pa.array(keys, pa.string()),
        "frames": pa.array(range(len(keys)), pa.int64()),
        "_payload": pa.array([f"of {key}".encode() for key in keys], pa.large_binary()),
    }
    table = rows.begin(pa.table(columns), number)
    layout = Layout((Member("_payload", "bin"),) if members else ())
    commit_unit(store, number, len(keys), table, layout, {}, content_hash="")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    for number, keys in ((2, ["e"]), (0, ["c", "a"]), (1, ["d", "b"])):
        unit(made, number, keys)
    return made


def test_the_index_is_read_in_the_order_of_the_units(store: Store) -> None:
    table = read_index(store, ("key", "frames"))
    assert table.to_pydict() == {"key": ["c", "a", "d", "b", "e"], "frames": [0, 1, 0, 1, 0]}


def test_an_index_without_shards_is_read_too(tmp_path: Path) -> None:
    unit(Store(tmp_path), 0, ["a"], members=False)
    unit(Store(tmp_path), 1, [], members=False)
    assert read_index(Store(tmp_path), ("key",)).to_pydict() == {"key": ["a"]}


def test_members_are_found_by_key_in_any_shard(store: Store) -> None:
    members = Members(store)
    assert len(members) == 5
    assert set(members) == set("abcde")
    assert dict(members) == {key: f"of {key}".encode() for key in "abcde"}


def test_a_key_that_was_not_kept_has_no_member(store: Store) -> None:
    with pytest.raises(KeyError):
        Members(store)["z"]
    assert "z" not in Members(store)


def test_what_was_not_drawn_is_let_go_of() -> None:
    step = TakeDrawn(frozenset({"a", "c"}))
    assert step([{"key": key} for key in "abc"]) == [{}, Rejected("not_drawn"), {}]
