"""The commit of one unit: shard, index, rejects, and last the marker that makes them part of the dataset."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from builders import rows
from builders.shards.store import Store
from builders.shards.tar import Sha256Writer, TarWriter
from schemas.errors import BuildError
from schemas.manifest import File, Funnel, UnitMarker

MEMBERS = pa.list_(pa.struct([("name", pa.string()), ("offset", pa.int64()), ("size", pa.int64())]))
PLACE = pa.schema([("shard", pa.string()), ("offset", pa.int64()), ("size", pa.int64()), ("members", MEMBERS)])
"""Where a sample lies: its tar, the offset of its first header, its bytes in all, and each member's payload."""


PARENTS = "parents"
"""The keys of the records that a sample was packed of."""


@dataclass(frozen=True)
class Member:
    """One file of a sample: its column (text or bytes), and its extension, fixed or taken from another column."""

    column: str
    extension: str = ""
    extension_from: str = ""


@dataclass(frozen=True)
class Layout:
    """What a unit writes: the members of a sample in order, the columns whose sums stand in the marker, and those
    (embeddings) that stand in a table beside the index. Without members there is an index and no shard."""

    members: tuple[Member, ...]
    tallies: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def shard_path(unit: int) -> str:
    return f"data/{unit:06d}.tar"


def index_path(unit: int) -> str:
    return f"index/{unit:06d}.parquet"


def rejects_path(unit: int) -> str:
    return f"rejects/{unit:06d}.parquet"


def embeddings_path(unit: int) -> str:
    return f"embeddings/{unit:06d}.parquet"


def marker_path(unit: int) -> str:
    return f"units/{unit:06d}.json"


def unit_of(path: str) -> int:
    """The unit's number that a path of one of its files holds."""
    return int(path.rsplit("/", 1)[1].split(".")[0])


def commit_unit(
    store: Store,
    unit: int,
    expected: int,
    table: pa.Table,
    layout: Layout,
    seconds: Mapping[str, float],
    packed: pa.Table | None = None,
    payloads: str = "",
    *,
    content_hash: str,
) -> UnitMarker:
    """Write unit `unit`, whose source has `expected` inputs, and commit it.

    `table` holds every row with its verdict; `packed`, where a pack made other samples of the kept rows, those;
    `payloads` identifies the files that it was read from, `content_hash` what the dataset was claimed for.
    Raises BuildError where the rows are not exactly the unit's own.
    """
    check_whole(table, unit, expected)
    inputs, records = count(table)
    kept, shard, index = write_samples(store, unit, packed if packed is not None else table, layout)
    rejects = _write_table(store, rejects_path(unit), _rejects(table))
    embeddings = None
    if layout.beside:
        embeddings = _write_table(store, embeddings_path(unit), kept.select([rows.KEY, *layout.beside]))
    tallies = {name: _sum(table, packed, name) for name in layout.tallies}
    marker = UnitMarker(
        unit,
        inputs,
        records,
        kept.num_rows,
        shard,
        index,
        rejects,
        embeddings,
        tallies,
        payloads,
        content_hash,
        {k: round(v, 3) for k, v in seconds.items()},
        datetime.datetime.now(datetime.UTC),
    )
    store.put_bytes(marker_path(unit), json.dumps(marker.as_json(), indent=1).encode())
    return marker


def write_samples(store: Store, unit: int, samples: pa.Table, layout: Layout) -> tuple[pa.Table, File | None, File]:
    """Write the shard of the rows of `samples` that are kept, and its index. Returns those rows, without media, too."""
    positions = pc.indices_nonzero(rows.live(samples))
    facts = [field.name for field in samples.schema if not rows.is_media(field.type)]
    kept = samples.select(facts).take(positions)
    shard, places = _write_shard(store, unit, kept, samples, positions, layout)
    return kept, shard, _write_table(store, index_path(unit), _index(kept, places))


def _sum(table: pa.Table, packed: pa.Table | None, name: str) -> int:
    """Of a column of all records, or of one that the pack gave its samples."""
    column = table[name] if name in table.column_names or packed is None else packed[name]
    return int(pc.sum(column).as_py() or 0)


def check_whole(table: pa.Table, unit: int, expected: int) -> None:
    """Raise BuildError unless `table` holds all inputs of `unit` and nothing else."""
    units = set(pc.unique(table[rows.UNIT]).to_pylist())
    if units - {unit}:
        raise BuildError(f"unit {unit} arrived mixed with units {sorted(units - {unit})}: a bug of the engine")
    present = set(pc.unique(table[rows.ROW]).to_pylist())
    if present != set(range(expected)):
        missing = sorted(set(range(expected)) - present)[:5]
        raise BuildError(f"unit {unit} arrived with {len(present)} of its {expected} inputs (missing rows {missing}…)")
    if len(set(zip(*(table[name].to_pylist() for name in (rows.ROW, rows.KEY)), strict=True))) < table.num_rows:
        raise BuildError(f"unit {unit} arrived with a row that stands twice: a bug of the engine")


def count(table: pa.Table) -> tuple[Funnel, Funnel]:
    """The funnels of a unit's inputs and of its records. An input is kept if any of its records is, else failed."""
    records, inputs = Funnel(), Funnel()
    best: dict[int, tuple[int, str, str | None]] = {}
    verdicts = zip(*(table[name].to_pylist() for name in (rows.ROW, rows.OUTCOME, rows.STEP, rows.REASON)), strict=True)
    for row, outcome, step, reason in verdicts:
        why = f"{step}/{reason}" if outcome else None
        outcome = outcome or "kept"
        records.count(outcome, why)
        rank = ("kept", "failed", "rejected").index(outcome)
        if row not in best or rank < best[row][0]:
            best[row] = rank, outcome, why
    for _, outcome, why in best.values():
        inputs.count(outcome, why)
    return inputs, records


def _write_shard(
    store: Store, unit: int, kept: pa.Table, samples: pa.Table, positions: pa.Array, layout: Layout
) -> tuple[File | None, list[dict[str, Any]]]:
    """The shard of the rows of `samples` at `positions`, whose columns but media are `kept`; media are not copied."""
    path = shard_path(unit)
    if not layout.members:
        nowhere = dict.fromkeys(PLACE.names)
        return None, [nowhere] * kept.num_rows
    if not kept.num_rows:
        store.delete(path)
        return None, []
    keys = kept[rows.KEY].to_pylist()
    if len(set(keys)) < len(keys):
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise BuildError(f"unit {unit}: the key {twice!r} stands twice: a step gave two children one suffix")
    names = [member_names(kept, keys, member) for member in layout.members]
    payloads = [_payloads(samples[member.column], positions) for member in layout.members]
    places = []
    with store.put(path) as file:
        out = Sha256Writer(file)
        tar = TarWriter(out)
        for i in range(len(keys)):
            start = tar.offset
            members = [vars(tar.add(name[i], data[i])) for name, data in zip(names, payloads, strict=True)]
            places.append({"shard": path, "offset": start, "size": tar.offset - start, "members": members})
        tar.close()
    return File(path, out.size, out.sha256), places


def member_names(kept: pa.Table, keys: Sequence[str], member: Member) -> list[str]:
    """What one member of each sample is called in the tar."""
    if member.extension_from:
        return [f"{key}.{ext}" for key, ext in zip(keys, kept[member.extension_from].to_pylist(), strict=True)]
    return [f"{key}.{member.extension}" for key in keys]


def _payloads(chunks: pa.ChunkedArray, positions: pa.Array) -> list[bytes | memoryview]:
    """The values at `positions` as bytes; large binary without a copy."""
    column = chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()
    if pc.any(pc.is_null(column).take(positions)).as_py():
        raise BuildError("a kept record lacks one of its members: a step that should add it did not")
    if not pa.types.is_large_binary(column.type):
        values = column.take(positions).to_pylist()
        return [value.encode("utf-8") if isinstance(value, str) else value for value in values]
    _, offsets, data = column.buffers()
    ends = memoryview(offsets).cast("q")[column.offset : column.offset + len(column) + 1]
    view = memoryview(data).cast("B") if data is not None else memoryview(b"")
    return [view[ends[i] : ends[i + 1]] for i in positions.to_pylist()]


def scalars(schema: pa.Schema) -> list[pa.Field]:
    """The fields that index and rejects take over from a unit's rows, beside keys."""
    taken = {rows.KEY, rows.PARENT, *PLACE.names}
    return [field for field in schema if rows.is_scalar(field.name, field.type) and field.name not in taken]


def _index(kept: pa.Table, places: list[dict[str, Any]]) -> pa.Table:
    """A row a sample. Of packed samples, which hold nothing but what the pack gave them, lists stand there too."""
    packed = PARENTS in kept.column_names
    table = kept.select([rows.KEY, rows.PARENT, *([PARENTS] if packed else [])])
    for field in PLACE:
        table = table.append_column(field, pa.array([place[field.name] for place in places], field.type))
    lists = [field for field in kept.schema if pa.types.is_list(field.type) and field.name[0] != "_"] if packed else []
    for field in (*scalars(kept.schema), *lists):
        if field.name != PARENTS:
            table = table.append_column(field, kept[field.name])
    return table


def _rejects(table: pa.Table) -> pa.Table:
    lost = table.filter(pc.is_valid(table[rows.OUTCOME]))
    out = lost.select([rows.KEY, rows.PARENT])
    for field in rows.VERDICT:
        out = out.append_column(field.name.lstrip("_"), lost[field.name])
    for field in scalars(table.schema):
        out = out.append_column(field, lost[field.name])
    return out


def _write_table(store: Store, path: str, table: pa.Table) -> File:
    with store.put(path) as file:
        out = Sha256Writer(file)
        sink = pa.PythonFile(_Named(out), mode="w")
        pq.write_table(table.replace_schema_metadata(None).combine_chunks(), sink, compression="zstd")
    return File(path, out.size, out.sha256)


class _Named:
    """The little of a file that `pyarrow.PythonFile` asks for."""

    closed = False

    def __init__(self, out: Sha256Writer) -> None:
        self._out = out

    def write(self, data: bytes) -> int:
        return self._out.write(data)

    def tell(self) -> int:
        return self._out.size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The store closes the file."""
