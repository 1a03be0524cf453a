"""What a unit that is built again takes over from its old files, and when it takes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from builders import rows
from builders.shards.carry import CARRIED, Past, candidates, find, is_marked, mark, merge
from builders.shards.store import Store
from builders.shards.unit import Layout, commit_unit
from schemas.errors import BuildError
from schemas.manifest import UnitMarker
from tests.builders.conftest import BROKEN, LAYOUT, NO_BOX, Outcome, Unit

DARK: Outcome = ("rejected", "look", "dark")
EMBEDDING = pa.list_(pa.float16(), 2)
BESIDE = Layout(LAYOUT.members, LAYOUT.tallies, ("embedding",))

Outcomes = Sequence[Sequence[Outcome]]

BEFORE: Outcomes = [[None], [BROKEN], [NO_BOX, None, DARK, None], [DARK], [None, BROKEN], [None], [NO_BOX]]
AFTER: Outcomes = [[None], [None], [NO_BOX, None, DARK, None], [DARK], [None, None, NO_BOX], [None], [NO_BOX]]
"""What the inputs of one unit come to: with failures, and when those run again."""


def rows_of(outcomes: Outcomes) -> pa.Table:
    """The unit at the sink. A score is known of most rejected records too, an embedding of kept ones alone."""
    table = Unit(0, outcomes).table
    hashes = [hashlib.sha256(key.encode()).digest() for key in table["key"].to_pylist()]
    lost = pc.is_valid(table["_outcome"]).to_pylist()
    numbers = [None if key.endswith("6") else h[2] / 7 for key, h in zip(table["key"].to_pylist(), hashes, strict=True)]
    embeddings = [None if gone else [h[0] / 9, h[1] / 9] for gone, h in zip(lost, hashes, strict=True)]
    table = table.append_column("score", pa.array(numbers, pa.float32()))
    table = table.append_column("embedding", pa.array(embeddings, EMBEDDING))
    return table.append_column("_hidden_text", pa.array([f"hidden {h[3]}" for h in hashes], pa.string()))


_ENGINES = {*rows.VERDICT.names, rows.UNIT, rows.ROW}
COLUMNS = {field.name: field.type for field in rows_of(BEFORE).schema if field.name not in _ENGINES}


def commit(store: Store, table: pa.Table, layout: Layout) -> UnitMarker:
    inputs, took = len(set(table["_row"].to_pylist())), {"parse": 0.5}
    return commit_unit(store, 0, inputs, table, layout, took, payloads="files", content_hash="")


def as_read(table: pa.Table) -> pa.Table:
    """The inputs as they come from the source."""
    firsts = [i for i, row in enumerate(table["_row"].to_pylist()) if row not in table["_row"].to_pylist()[:i]]
    inputs = table.take(firsts).select(["parent", "image", "caption"]).rename_columns(["key", "image", "caption"])
    inputs = inputs.set_column(1, "image", pa.array([b"source"] * len(firsts), pa.large_binary()))
    return rows.begin(inputs, 0)


def at_the_sink(read: pa.Table, table: pa.Table) -> pa.Table:
    """The marked unit after steps that make of the inputs that run again what `table` says."""
    carried = read.filter(pc.fill_null(pc.equal(read["_outcome"], CARRIED), False))
    again = table.filter(pc.invert(pc.is_in(table["parent"], value_set=carried["parent"].combine_chunks())))
    waiting = [
        carried[f.name].cast(f.type) if f.name in carried.column_names else pa.nulls(carried.num_rows, f.type)
        for f in table.schema
    ]
    whole = pa.concat_tables([again, pa.table(waiting, schema=table.schema)])
    return whole.take(pc.sort_indices(whole["_row"]))


def retried(store: Store, before: Outcomes, after: Outcomes, layout: Layout) -> tuple[Past, pa.Table]:
    """Commit `before`, then merge what the failed inputs come to in `after`."""
    marker = commit(store, rows_of(before), layout)
    past = find(store, [marker], layout, COLUMNS)
    assert past
    block = at_the_sink(mark(as_read(rows_of(after)), past.stands()), rows_of(after))
    assert is_marked(block)
    return past, merge(block, past, layout)


def files(store: Store) -> dict[str, bytes]:
    return {path: store.read_bytes(path) for path in store.list_below(".") if not path.startswith("units/")}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "out")


# -- the bytes


@pytest.mark.parametrize("layout", [LAYOUT, BESIDE], ids=["without embeddings", "with embeddings"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BEFORE, AFTER),
        (AFTER, AFTER),
        (BEFORE, BEFORE),
        ([[NO_BOX], [BROKEN], [DARK]], [[NO_BOX], [None, None], [DARK]]),
        ([[NO_BOX], [BROKEN], [DARK]], [[NO_BOX], [DARK], [DARK]]),
        ([[None], [BROKEN], [None]], [[None], [NO_BOX], [None]]),
    ],
    ids=["mixed", "nothing failed", "failed again", "no tar before", "no tar before or after", "nothing lost before"],
)
def test_given_old_files_when_merged_then_the_unit_has_the_bytes_of_one_in_which_nothing_had_failed(
    store: Store, tmp_path: Path, layout: Layout, before: Outcomes, after: Outcomes
) -> None:
    _, merged = retried(store, before, after, layout)
    marker = commit(store, merged, layout)

    whole = Store(tmp_path / "whole")
    assert marker == replace(commit(whole, rows_of(after), layout), committed=marker.committed)
    assert files(store) == files(whole)


def test_given_a_member_that_is_hidden_text_then_it_is_taken_from_the_tar(store: Store, tmp_path: Path) -> None:
    members = (replace(LAYOUT.members[1], column="_hidden_text"), LAYOUT.members[2])
    layout = Layout(members)

    _, merged = retried(store, BEFORE, AFTER, layout)
    commit(store, merged, layout)

    whole = Store(tmp_path / "whole")
    commit(whole, rows_of(AFTER), layout)
    assert files(store) == files(whole)


# -- which inputs run again


def test_only_inputs_of_which_no_record_failed_are_carried_and_they_lose_their_media(store: Store) -> None:
    past, _ = retried(store, BEFORE, AFTER, LAYOUT)

    marked = mark(as_read(rows_of(AFTER)), past.stands())

    assert marked["_outcome"].to_pylist() == [CARRIED, None, CARRIED, CARRIED, None, CARRIED, CARRIED]
    assert marked["image"].to_pylist() == [None, b"source", None, None, b"source", None, None]
    assert marked["caption"].to_pylist() == as_read(rows_of(AFTER))["caption"].to_pylist()
    assert marked.schema == as_read(rows_of(AFTER)).schema


@pytest.mark.parametrize(
    "change",
    [
        lambda keys: [*keys[:-1], "new"],
        lambda keys: keys[:-1],
        lambda keys: [*keys, "new"],
        lambda keys: [*keys[:-1], keys[0]],
        lambda keys: [*keys, keys[0]],
    ],
    ids=["another", "fewer", "more", "one twice in place of another", "one twice"],
)
def test_given_other_inputs_than_the_old_files_tell_of_then_all_run_again(
    store: Store, change: Callable[[list[str]], list[str]]
) -> None:
    past, _ = retried(store, BEFORE, AFTER, LAYOUT)
    keys = as_read(rows_of(AFTER))["key"].to_pylist()
    read = rows.begin(pa.table({"key": pa.array(change(keys))}), 0)

    assert mark(read, past.stands()) is read
    assert not is_marked(read)


# -- when nothing is carried


def cut(data: bytes) -> bytes:
    return data[:-1]


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    "file", ["data/000000.tar", *(f"{x}/000000.parquet" for x in ("index", "rejects", "embeddings"))]
)
@pytest.mark.parametrize("damage", [None, cut, flipped], ids=["gone", "truncated", "other bytes"])
def test_given_a_file_that_is_not_the_markers_then_nothing_is_carried(
    store: Store, file: str, damage: Callable[[bytes], bytes] | None
) -> None:
    marker = commit(store, rows_of(BEFORE), BESIDE)
    assert find(store, [marker], BESIDE, COLUMNS)
    data = store.read_bytes(file)
    store.delete(file)
    if damage:
        store.put_bytes(file, damage(data))

    assert find(store, [marker], BESIDE, COLUMNS) is None


def test_given_a_commit_that_was_cut_short_after_the_shard_then_nothing_is_carried(
    store: Store, tmp_path: Path
) -> None:
    marker = commit(store, rows_of(BEFORE), LAYOUT)
    whole = Store(tmp_path / "whole")
    commit(whole, rows_of(AFTER), LAYOUT)
    store.put_bytes("data/000000.tar", whole.read_bytes("data/000000.tar"))

    assert find(store, [marker], LAYOUT, COLUMNS) is None


def test_given_two_retired_markers_then_the_one_counts_whose_files_lie_there(store: Store) -> None:
    first = commit(store, rows_of([[BROKEN], *BEFORE[1:]]), LAYOUT)
    second = commit(store, rows_of(BEFORE), LAYOUT)

    past = find(store, [first, second], LAYOUT, COLUMNS)

    assert past
    assert past.stands()["000x000"]


@pytest.mark.parametrize(
    ("layout", "columns"),
    [
        (LAYOUT, COLUMNS | {"new": pa.int64()}),
        (LAYOUT, {name: kind for name, kind in COLUMNS.items() if name != "score"}),
        (LAYOUT, COLUMNS | {"score": pa.float64()}),
        (BESIDE, COLUMNS),
        (Layout(LAYOUT.members, ("_hidden",)), COLUMNS),
        (Layout(LAYOUT.members[:2]), COLUMNS),
        (Layout((*LAYOUT.members[:2], replace(LAYOUT.members[2], extension="info"))), COLUMNS),
    ],
    ids=["a column more", "one less", "another type", "embeddings", "a hidden tally", "a member less", "another name"],
)
def test_given_files_of_another_shape_then_nothing_is_carried(
    store: Store, layout: Layout, columns: dict[str, Any]
) -> None:
    marker = commit(store, rows_of(BEFORE), LAYOUT)
    assert find(store, [marker], LAYOUT, COLUMNS)

    assert find(store, [marker], layout, columns) is None


def test_given_embeddings_of_another_width_then_nothing_is_carried(store: Store) -> None:
    marker = commit(store, rows_of(BEFORE), BESIDE)

    assert find(store, [marker], BESIDE, COLUMNS | {"embedding": pa.list_(pa.float16(), 3)}) is None
    assert find(store, [marker], LAYOUT, COLUMNS) is None


def test_only_units_that_are_left_and_whose_source_files_are_the_same_are_candidates(store: Store) -> None:
    one = commit(store, rows_of(BEFORE), LAYOUT)
    slower, other = replace(one, seconds={"parse": 9.0}), replace(one, rejects=replace(one.rejects, size=1))
    elsewhere, changed = replace(one, unit=1), replace(one, unit=2, payloads="older files")

    found = candidates([one, slower, other, elsewhere, changed], [0, 2], ["files", "files", "files"])

    assert found == {0: [slower, other]}


# -- between the read and the commit


def test_given_files_that_changed_between_the_read_and_the_commit_then_the_build_stops(store: Store) -> None:
    past, _ = retried(store, BEFORE, AFTER, LAYOUT)
    block = at_the_sink(mark(as_read(rows_of(AFTER)), past.stands()), rows_of(AFTER))
    others = commit(store, rows_of([[BROKEN], *AFTER[1:]]), LAYOUT)

    for now in (None, find(store, [others], LAYOUT, COLUMNS)):
        with pytest.raises(BuildError, match="run the same command again"):
            merge(block, now, LAYOUT)


def test_the_scores_that_a_rejected_record_has_are_carried(store: Store) -> None:
    _, merged = retried(store, BEFORE, AFTER, LAYOUT)
    commit(store, merged, LAYOUT)

    rejects = pq.read_table(store.open("rejects/000000.parquet"))
    known = dict(zip(rejects["key"].to_pylist(), rejects["score"].to_pylist(), strict=True))
    assert known["000x006"] is None
    assert known["000x003"] is not None
