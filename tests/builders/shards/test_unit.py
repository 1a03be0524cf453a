"""The commit of a unit: everything accounted for, the same bytes each time, the marker last."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import rows
from builders.shards.dataset import committed, read_marker
from builders.shards.store import Store
from builders.shards.unit import Layout, Member, check_whole, commit_unit, count
from schemas.errors import BuildError
from schemas.manifest import File, UnitMarker

NO_BOX = ("rejected", "select_boxes", "no_box")
BROKEN = ("failed", "read_image", "OSError")
MIXED = [[None], [NO_BOX], [None, BROKEN, NO_BOX], [BROKEN], [None]]

OUTCOMES = st.sampled_from([None, None, NO_BOX, BROKEN, ("rejected", "chunks", "no_chunk")])
UNITS = st.lists(st.lists(OUTCOMES, min_size=1, max_size=3), min_size=1, max_size=8)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "out")


def table_of(store: Store, path: str) -> pa.Table:
    return pq.read_table(io.BytesIO(store.read_bytes(path)))


def bytes_of(store: Store) -> dict[str, bytes]:
    """Every file but the markers' seconds, by path."""
    return {p: store.read_bytes(p) for folder in ("data", "index", "rejects") for p in store.list(folder)}


# ---- what is written -------------------------------------------------------------------------------------------------


def test_a_commit_writes_shard_index_rejects_and_the_marker_that_describes_them(store: Store, unit: Any) -> None:
    marker = unit(7, MIXED).commit(store)
    assert isinstance(marker, UnitMarker)
    assert [marker.shard.path, marker.index.path, marker.rejects.path] == [  # type: ignore[union-attr]
        "data/000007.tar",
        "index/000007.parquet",
        "rejects/000007.parquet",
    ]
    assert read_marker(store, 7) == marker
    assert committed(store) == [7]
    assert marker.samples == 3
    assert marker.tallies == {"n_boxes": 0 + 1 + 2 + 2 + 2 + 3 + 4}


def test_the_index_leads_to_every_member_of_every_sample(store: Store, unit: Any) -> None:
    unit(0, MIXED).commit(store)
    shard = store.read_bytes("data/000000.tar")
    index = table_of(store, "index/000000.parquet").to_pylist()
    assert [row["key"] for row in index] == ["000x000", "000x002-0", "000x004"]
    assert [row["parent"] for row in index] == ["000x000", "000x002", "000x004"]
    for row in index:
        found = {m["name"]: shard[m["offset"] : m["offset"] + m["size"]] for m in row["members"]}
        assert list(found) == [f"{row['key']}.{row['format']}", f"{row['key']}.txt", f"{row['key']}.json"]
        image, caption, sample = found.values()
        assert image.startswith(row["key"].encode()) and len(image) == 700
        assert caption.decode() == row["caption"]
        assert json.loads(sample) == {"key": row["key"]}
        assert row["shard"] == "data/000000.tar"
    assert sum(row["size"] for row in index) + 1024 == len(shard)


def test_the_index_holds_every_scalar_and_neither_media_nor_hidden_columns(store: Store, unit: Any) -> None:
    unit(0, MIXED).commit(store)
    names = table_of(store, "index/000000.parquet").column_names
    assert names == ["key", "parent", "shard", "offset", "size", "members", "format", "caption", "n_boxes"]


def test_the_rejects_hold_outcome_step_reason_detail_and_every_scalar_known(store: Store, unit: Any) -> None:
    unit(0, MIXED).commit(store)
    lost = table_of(store, "rejects/000000.parquet").to_pylist()
    assert [(row["key"], row["outcome"], row["step"], row["reason"]) for row in lost] == [
        ("000x001", *NO_BOX),
        ("000x002-1", *BROKEN),
        ("000x002-2", *NO_BOX),
        ("000x003", *BROKEN),
    ]
    assert lost[0].keys() == {*"key parent outcome step reason detail format caption n_boxes".split()}
    assert lost[0]["detail"] == "why 000x001"


def test_a_unit_that_keeps_nothing_writes_no_tar(store: Store, unit: Any) -> None:
    marker = unit(0, [[NO_BOX], [BROKEN]]).commit(store)
    assert marker.shard is None
    assert store.list("data") == []
    assert table_of(store, "index/000000.parquet").num_rows == 0
    assert table_of(store, "rejects/000000.parquet").num_rows == 2
    assert read_marker(store, 0) == marker


def test_a_unit_that_keeps_nothing_any_more_takes_its_old_tar_away(store: Store, unit: Any) -> None:
    unit(0, [[None]]).commit(store)
    unit(0, [[NO_BOX]]).commit(store)
    assert store.list("data") == []


def test_samples_of_a_pack_are_written_instead_of_the_rows_that_they_were_made_of(store: Store, unit: Any) -> None:
    two = unit(0, [[None], [None], [NO_BOX]])
    packed = two.table.slice(0, 1).append_column("parents", pa.array([["000x000", "000x001"]], pa.list_(pa.string())))
    marker = commit_unit(store, 0, 3, two.table, Layout((Member("caption", "txt"),)), {}, packed, content_hash="")
    (row,) = table_of(store, "index/000000.parquet").to_pylist()
    assert (marker.samples, marker.records.kept, row["parents"]) == (1, 2, ["000x000", "000x001"])


# ---- conservation ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(UNITS)
@settings(max_examples=40)
def test_every_input_and_every_record_has_one_outcome_and_every_loss_a_reason(unit: Any, outcomes: Any) -> None:
    with TemporaryDirectory() as folder:
        store = Store(folder)
        marker = unit(3, outcomes).commit(store)
        records = [outcome for children in outcomes for outcome in children]
        assert marker.records.conserved() and marker.inputs.conserved()
        assert (marker.inputs.total, marker.records.total) == (len(outcomes), len(records))
        assert marker.records.kept == marker.samples == records.count(None)
        assert marker.inputs.kept == sum(None in children for children in outcomes)
        assert marker.inputs.failed == sum(None not in children and BROKEN in children for children in outcomes)
        assert marker.records.reasons == Counter("/".join(outcome) for outcome in records if outcome)
        assert table_of(store, marker.index.path).num_rows == marker.samples
        assert table_of(store, marker.rejects.path).num_rows == len(records) - marker.samples
        keys = [*table_of(store, marker.index.path)["key"].to_pylist()]
        keys += table_of(store, marker.rejects.path)["key"].to_pylist()
        assert len(set(keys)) == len(records)
        assert UnitMarker.from_json(json.loads(json.dumps(marker.as_json()))) == marker


@pytest.mark.parametrize(
    ("children", "outcome"),
    [
        ([None, BROKEN, NO_BOX], (1, 0, 0)),
        ([NO_BOX, NO_BOX], (0, 1, 0)),
        ([NO_BOX, BROKEN], (0, 0, 1)),
    ],
)
def test_an_input_is_kept_if_any_child_is_and_otherwise_failed_if_any_is(
    unit: Any, children: Any, outcome: tuple[int, int, int]
) -> None:
    inputs, records = count(unit(0, [children]).table)
    assert (inputs.kept, inputs.rejected, inputs.failed) == outcome
    assert records.total == len(children)


# ---- determinism -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(UNITS)
@settings(max_examples=20)
def test_the_same_unit_gives_the_same_bytes_however_its_table_is_cut_in_memory(unit: Any, outcomes: Any) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        first = unit(3, outcomes)
        first.commit(Store(one))
        second = unit(3, outcomes)
        parts = [second.table.slice(i, 1) for i in range(second.table.num_rows)]
        second.table = pa.concat_tables(parts)
        second.table = second.table.replace_schema_metadata({b"x": b"y"})
        second.commit(Store(two), {"parse": 99.0})
        assert bytes_of(Store(one)) == bytes_of(Store(two))
        a, b = read_marker(Store(one), 3).as_json(), read_marker(Store(two), 3).as_json()
        assert a.pop("seconds") != b.pop("seconds") and a.pop("committed") < b.pop("committed")
        assert a == b


def test_committing_again_changes_no_byte(store: Store, unit: Any) -> None:
    unit(0, MIXED).commit(store)
    before = bytes_of(store)
    unit(0, MIXED).commit(store)
    assert bytes_of(store) == before


# ---- the marker comes last -------------------------------------------------------------------------------------------


class Interrupted(Store):
    """A store that is killed at the n-th file."""

    def __init__(self, root: Path, at: int) -> None:
        super().__init__(root)
        self.left = at

    def put(self, path: str) -> Any:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().put(path)


@pytest.mark.parametrize("at", range(4))
def test_a_unit_that_is_interrupted_anywhere_is_not_committed_and_can_be_built_again(
    tmp_path: Path, unit: Any, at: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        unit(0, MIXED).commit(Interrupted(tmp_path / "out", at))
    store = Store(tmp_path / "out")
    assert committed(store) == []
    assert sum(len(store.list(folder)) for folder in ("data", "index", "rejects")) == at
    unit(0, MIXED).commit(store)
    unit(0, MIXED).commit(Store(tmp_path / "other"))
    assert bytes_of(store) == bytes_of(Store(tmp_path / "other"))
    assert committed(store) == [0]


# ---- what is not the unit --------------------------------------------------------------------------------------------


def test_a_unit_that_arrives_without_a_row_is_refused(store: Store, unit: Any) -> None:
    short = unit(4, MIXED)
    short.table = short.table.slice(1)
    with pytest.raises(BuildError, match=r"unit 4 arrived with 4 of its 5 inputs \(missing rows \[0\]"):
        short.commit(store)
    assert committed(store) == [] and bytes_of(store) == {}


def test_a_unit_with_rows_too_many_is_refused(unit: Any) -> None:
    with pytest.raises(BuildError, match="unit 4 arrived with 5 of its 4 inputs"):
        check_whole(unit(4, MIXED).table, 4, 4)


def test_a_unit_mixed_with_another_is_refused(unit: Any) -> None:
    mixed = pa.concat_tables([unit(4, MIXED).table, unit(5, MIXED).table])
    with pytest.raises(BuildError, match=r"unit 4 arrived mixed with units \[5\]"):
        check_whole(mixed, 4, 5)


def test_an_empty_table_is_no_unit(unit: Any) -> None:
    with pytest.raises(BuildError, match="arrived with 0 of its 5 inputs"):
        check_whole(unit(4, MIXED).table.slice(0, 0), 4, 5)


def test_two_samples_with_one_key_are_refused(store: Store, unit: Any) -> None:
    twins = unit(0, [[None], [None]])
    keys = pa.array(["same", "same"])
    twins.table = twins.table.set_column(twins.table.schema.get_field_index(rows.KEY), rows.KEY, keys)
    with pytest.raises(BuildError, match="the key 'same' stands twice"):
        twins.commit(store)
    assert committed(store) == []


def test_a_kept_record_without_its_image_is_refused(store: Store, unit: Any) -> None:
    bare = unit(0, [[None], [None]])
    nothing = pa.nulls(2, pa.large_binary())
    bare.table = bare.table.set_column(bare.table.schema.get_field_index("image"), "image", nothing)
    with pytest.raises(BuildError, match="lacks one of its members"):
        bare.commit(store)
    assert committed(store) == []


def test_a_key_of_the_longest_kind_fits_into_the_tar(store: Store, unit: Any) -> None:
    longest = unit(0, [[None]])
    key = "🐕" * (rows.KEY_MAX // 4)
    assert rows.key_problem(key) is None
    longest.table = longest.table.set_column(0, rows.KEY, pa.array([key]))
    marker = longest.commit(store)
    assert isinstance(marker.shard, File)
