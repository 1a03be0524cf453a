"""Keys that stand twice: found by their hashes, and no two keys taken for one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.shards import twice as module
from builders.shards.store import Store
from builders.shards.twice import hashed, twice


def indexes(store: Store, units: list[list[str]]) -> bytearray:
    """Write their indexes, and return the hashes of all keys."""
    assert isinstance(store.root, Path)
    (store.root / "index").mkdir(parents=True)
    for unit, keys in enumerate(units):
        table = pa.table({"key": pa.array(keys, pa.string())})
        pq.write_table(table, store.root / f"index/{unit:06d}.parquet")
    return bytearray(b"".join(map(hashed, units)))


def test_a_key_takes_eight_bytes_however_long_it_is() -> None:
    assert len(hashed(["a", "b" * 1000, "ü"])) == 24


@pytest.mark.slow
@given(units=st.lists(st.lists(st.text(max_size=2), max_size=8), max_size=5))
@settings(max_examples=30)
def test_exactly_the_keys_that_stand_more_than_once_are_told_with_their_units(
    units: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("d"))
    found = dict(twice(store, range(len(units)), indexes(store, units)))
    counts = Counter(key for keys in units for key in keys)
    assert found == {
        key: [unit for unit, keys in enumerate(units) for one in keys if one == key]
        for key, count in counts.items()
        if count > 1
    }


def test_equal_hashes_of_keys_that_differ_are_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_hash", lambda key: b"the same")
    store = Store(tmp_path / "different")
    assert list(twice(store, [0, 1], indexes(store, [["a", "b"], ["c"]]))) == []
    store = Store(tmp_path / "equal")
    assert list(twice(store, [0, 1], indexes(store, [["a", "b"], ["b"]]))) == [("b", [0, 1])]


def test_where_no_two_hashes_are_equal_no_index_is_read(tmp_path: Path) -> None:
    assert list(twice(Store(tmp_path), [0, 1], bytearray(hashed(["a", "b"])))) == []
