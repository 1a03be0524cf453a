"""A unit that is built again because records failed: what its other inputs came to is carried over from its old files.

The marker of such a unit lies in `retired/`, and its files stay until new ones replace them. While all of them still
have that marker's bytes, the inputs of which no record failed pass the steps as rows with the outcome `CARRIED`, and
before the commit what the old files hold takes the place of those rows. Where anything does not match (a commit that
was cut short has replaced the shard, say), nothing is carried: the unit is built whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from builders import rows
from builders.shards.store import Store
from builders.shards.unit import Layout, member_names, scalars
from schemas.errors import BuildError
from schemas.manifest import File, UnitMarker

CARRIED = "carried"
"""The outcome, on its way through the steps, of an input whose old outcome stands."""

_VERDICT = {name.lstrip("_"): name for name in rows.VERDICT.names}
"""How the rejects name the columns of the verdict."""


@dataclass(frozen=True)
class Past:
    """What a unit came to before, as its files tell: all of them read, and found to be those of its marker."""

    index: pa.Table
    rejects: pa.Table
    embeddings: pa.Table | None
    shard: bytes

    def stands(self) -> dict[str, bool]:
        """Of each input, by key: whether what became of it stands. It does not where any of its records failed."""
        failed = set(self.rejects.filter(pc.equal(self.rejects["outcome"], "failed"))[rows.PARENT].to_pylist())
        parents = [*self.index[rows.PARENT].to_pylist(), *self.rejects[rows.PARENT].to_pylist()]
        return {parent: parent not in failed for parent in parents}


def candidates(
    retired: Iterable[UnitMarker], units: Iterable[int], payloads: Sequence[str]
) -> dict[int, list[UnitMarker]]:
    """Of those of `units` that were taken back: their retired markers, each of other files, where the source's files
    are still those of `payloads`."""
    wanted = set(units)
    found: dict[int, dict[tuple[File | None, ...], UnitMarker]] = {}
    for marker in retired:
        if marker.unit in wanted and marker.payloads == payloads[marker.unit]:
            found.setdefault(marker.unit, {})[_files(marker)] = marker
    return {unit: list(markers.values()) for unit, markers in found.items()}


def find(
    store: Store, markers: Iterable[UnitMarker], layout: Layout, columns: Mapping[str, pa.DataType]
) -> Past | None:
    """The past of the first of `markers` whose files all lie there with its bytes; None where there is none.

    `columns` are those at the end of the DAG: files that hold others are no past of it either.
    """
    for marker in markers:
        past = _read(store, marker)
        if past and _fits(past, layout, columns):
            return past
    return None


def mark(table: pa.Table, stands: Mapping[str, bool]) -> pa.Table:
    """The unit as it was read, with the inputs whose outcome stands marked as carried and without their media.

    As it is where these are not the very inputs that `stands` tells of.
    """
    keys = table[rows.KEY].to_pylist()
    if len(stands) < len(keys) or stands.keys() != set(keys):
        return table
    carried = pa.array([stands[key] for key in keys])
    for index, field in enumerate(table.schema):
        if field.name == rows.OUTCOME:
            new = pc.if_else(carried, pa.scalar(CARRIED, field.type), table[field.name])
        elif rows.is_media(field.type):
            new = pc.if_else(carried, pa.scalar(None, field.type), table[field.name])
        else:
            continue
        table = table.set_column(index, field, new)
    return table


def is_marked(table: pa.Table) -> bool:
    """Whether the unit holds rows that only `merge` completes."""
    return bool(pc.any(pc.equal(table[rows.OUTCOME], CARRIED)).as_py())


def merge(table: pa.Table, past: Past | None, layout: Layout) -> pa.Table:
    """The unit after the last step, with what the old files hold in place of the rows that were carried.

    Raises BuildError where `past` is not that by which they were marked.
    """
    carried = pc.fill_null(pc.equal(table[rows.OUTCOME], CARRIED), False)
    standing = table.filter(carried)
    keys = set(standing[rows.KEY].to_pylist())
    if past is None or {key for key, stands in past.stands().items() if stands} != keys:
        raise BuildError(
            "the old files of a unit that is built again changed in the meantime (was a worker killed?); "
            "run the same command again, without --retry-failed: it builds that unit whole"
        )
    fresh = table.filter(pc.invert(carried))
    kept, lost = past.index, past.rejects.rename_columns([_VERDICT.get(x, x) for x in past.rejects.column_names])
    if past.embeddings is not None:
        for name in layout.beside:
            kept = kept.append_column(name, past.embeddings[name])
    kept, lost = (_placed(old, standing) for old in (kept, lost))
    order = pc.sort_indices(pa.concat_arrays([part[rows.ROW].combine_chunks() for part in (fresh, kept, lost)]))
    payloads = _payloads(kept, past.shard, layout)
    columns = [_column(field, fresh, kept, lost, payloads.get(field.name), order) for field in table.schema]
    return pa.table(columns, schema=table.schema)


def _files(marker: UnitMarker) -> tuple[File | None, ...]:
    return marker.index, marker.rejects, marker.embeddings, marker.shard


def _read(store: Store, marker: UnitMarker) -> Past | None:
    """What a marker's files hold; None where one of them is gone or has other bytes. The shard comes last: it is
    large, and where a commit was cut short, it may be the only one that is new."""
    found = []
    for file in _files(marker):
        data = _bytes(store, file) if file else b""
        if data is None:
            return None
        found.append(data)
    index, rejects, embeddings = (pq.read_table(pa.BufferReader(data)) if data else None for data in found[:3])
    return Past(index, rejects, embeddings, found[3])


def _bytes(store: Store, file: File) -> bytes | None:
    try:
        data = store.read_bytes(file.path)
    except OSError:
        return None
    return data if len(data) == file.size and hashlib.sha256(data).hexdigest() == file.sha256 else None


def _fits(past: Past, layout: Layout, columns: Mapping[str, pa.DataType]) -> bool:
    """Whether a build of these columns writes such files, and whether they hold all that its commit looks at."""
    wanted = scalars(pa.schema(dict(columns)))
    looked_at = {*layout.tallies, *(member.extension_from for member in layout.members if member.extension_from)}
    if scalars(past.index.schema) != wanted or looked_at - {field.name for field in wanted}:
        return False
    beside = {} if past.embeddings is None else {field.name: field.type for field in past.embeddings.schema}
    if beside != {name: columns[name] for name in (rows.KEY, *layout.beside) if layout.beside}:
        return False
    keys = past.index[rows.KEY].to_pylist()
    names = [list(names) for names in zip(*(member_names(past.index, keys, m) for m in layout.members), strict=True)]
    return names == [[member["name"] for member in members] for members in past.index["members"].to_pylist()]


def _placed(old: pa.Table, standing: pa.Table) -> pa.Table:
    """The old rows of inputs that stand, with the unit and the position of their input."""
    parents = pc.index_in(old[rows.PARENT], value_set=standing[rows.KEY].combine_chunks())
    for name in (rows.UNIT, rows.ROW):
        old = old.append_column(name, standing[name].take(parents))
    return old.filter(pc.is_valid(parents))


def _payloads(kept: pa.Table, shard: bytes, layout: Layout) -> dict[str, list[memoryview]]:
    """The members of old samples by column, without a copy, but for those columns that the index holds anyway."""
    view, members = memoryview(shard), kept["members"].to_pylist()
    return {
        member.column: [view[place[i]["offset"] :][: place[i]["size"]] for place in members]
        for i, member in enumerate(layout.members)
        if member.column not in kept.column_names
    }


def _column(
    field: pa.Field,
    fresh: pa.Table,
    kept: pa.Table,
    lost: pa.Table,
    payloads: Sequence[Any] | None,
    order: pa.Array,
) -> pa.Array | pa.ChunkedArray:
    """One column of fresh, kept and lost rows in `order`. Media are copied once."""
    if payloads is not None or rows.is_media(field.type):
        values: list[Any] = [*fresh[field.name].to_pylist(), *(payloads or [None] * kept.num_rows)]
        values += [None] * lost.num_rows
        return pa.array([values[i] for i in order.to_pylist()], field.type)
    chunks = list(fresh[field.name].chunks)
    for old in (kept, lost):
        if field.name in old.column_names:
            chunks += old[field.name].cast(field.type).chunks  # Parquet names what a list holds otherwise
        else:
            chunks.append(pa.nulls(old.num_rows, field.type))
    return pa.chunked_array(chunks, field.type).take(order)
