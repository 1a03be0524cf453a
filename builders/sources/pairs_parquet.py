"""Parquet tables of pairs: images as paths, bytes, or Hugging Face's struct{bytes, path}."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from builders.sources.cut import cut_runs
from builders.sources.pairs import Listed, Pairs, check_unchanged, finish, text
from builders.sources.pairs_groups import RowGroups, groups_in, numbered
from builders.sources.pairs_table import (
    KEY_MEND,
    TableSource,
    carried,
    files_of,
    folder_of,
    pair_of,
    roles_of,
    shape_of,
)
from builders.step import Record
from schemas.errors import UserError

if TYPE_CHECKING:
    from builders.uri import Place

BATCH, BATCH_OF_TEXTS = 64, 1000
"""Rows of a Parquet file that are decoded at once, with images and without: a row group may be larger than memory.

A unit's rows are found by decoding those before them in their group: by 1,000 in a quarter of the time that 64 take.
"""


@dataclass(frozen=True)
class LoadParquet:
    """Reads the rows of row groups that are listed. Raises BuildError where a file is not as it was listed."""

    files: tuple[Place, ...]
    sizes: tuple[int, ...]
    roles: Mapping[str, str]
    extra: Mapping[str, pa.DataType]

    def __call__(self, listed: pa.Table) -> list[Record]:
        found: list[Record] = []
        places = list(zip(listed["file"].to_pylist(), listed["group"].to_pylist(), strict=True))
        used = sorted({file for file, _ in places})
        check_unchanged([self.files[i] for i in used], [self.sizes[i] for i in used])
        at = 0
        while at < len(places):
            end = next((i for i in range(at, len(places)) if places[i] != places[at]), len(places))
            found += self._rows(*places[at], listed["row"][at].as_py(), end - at)
            at = end
        return found

    def _rows(self, file: int, group: int, start: int, count: int) -> list[Record]:
        found: list[Record] = []
        columns, most = [*self.roles.values(), *self.extra], BATCH if "image" in self.roles else BATCH_OF_TEXTS
        try:
            with opened(self.files[file]) as source, pq.ParquetFile(source, buffer_size=1 << 20) as parquet:
                at = 0
                for batch in parquet.iter_batches(most, row_groups=[group], columns=columns):
                    low, high = max(start - at, 0), min(start + count - at, batch.num_rows)
                    if low < high:
                        part = _plain(pa.table(batch.slice(low, high - low)))
                        found += [self._record(row) for row in part.to_pylist()]
                    at += batch.num_rows
                    if at >= start + count:
                        break
            why = "it ends too early"
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            why = " ".join(str(error).split())
        broken = f"broken_table: {self.files[file].name}, row group {group}: {why}"
        return found + [{"_problem": broken} for _ in range(count - len(found))]

    def _record(self, row: Mapping[str, Any]) -> Record:
        record = pair_of(row, self.roles)
        for name, kind in self.extra.items():
            record[carried(name)] = text(row[name]) if kind == pa.string() else row[name]
        return record


def open_parquet(source: TableSource, files: list[Place], unit: int) -> Pairs:
    """List the rows of Parquet files from their footers, by row groups; where they have keys of their own, or images
    that may be local files, from those columns too, row by row."""
    whole = hashlib.sha256()
    roles: dict[str, str] = {}
    extra: dict[str, pa.DataType] = {}
    left: dict[str, str] = {}
    keys: list[str | None] = []
    names: list[tuple[int, list[str | None] | None]] = []
    groups: list[tuple[int, int, int, int]] = []
    for number, path in enumerate(files):
        try:
            with opened(path) as stored, pq.ParquetFile(stored) as parquet:
                schema, footer = parquet.schema_arrow, parquet.metadata
                if not number:
                    roles = _roles(source, schema, path)
                    further = [f for f in schema if f.name not in roles.values()]
                    carry = {f.name: _kind(f.type) for f in further}
                    extra = {name: kind for name, kind in carry.items() if kind is not None}
                    left = _left_out([f for f in further if f.name not in extra])
                _check_same(schema, roles, extra, path, files[0])
                _roles(source, schema, path)  # of the same names, but of types that may not do
                whole.update(f"{path.stat().st_size}\0".encode() + _footer(path))
                groups += [(number, group, *counted) for group, counted in enumerate(groups_in(path, footer))]
                keys += [text(key) for key in _column(parquet, roles["key"])] if "key" in roles else []
                names.append((footer.num_rows, _paths(parquet, roles["image"]) if "image" in roles else None))
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise UserError(f"source.path: {path}: cannot be read as Parquet: {' '.join(str(error).split())}") from None
    listing = RowGroups.of(groups, source.limit)
    runs = [(count, size) for count, (*_, size) in zip(listing.counts, groups, strict=True)]
    folder, shape = folder_of(source, files[0]), shape_of(source)
    sizes = tuple(path.stat().st_size for path in files)
    load = LoadParquet(tuple(files), sizes, {role: name for role, name in roles.items() if role != "key"}, extra)
    columns = {carried(name): kind for name, kind in extra.items()}
    sha256, most = {"source.path": whole.hexdigest()}, listing.num_rows
    told: dict[str, int | str] = {"tables": len(files), **left}
    if "key" not in roles and all(own is None for _, own in names):
        units = tuple(cut_runs(runs, unit))
        told = {"inputs": most, **told, "inputs with a problem": 0}
        return Pairs(folder, listing, load, units, sha256, told, columns, shape)
    paths = [name for rows, own in names for name in ([None] * rows if own is None else own)]
    inputs = files_of(folder, paths[:most])
    media = [size for count, size in runs for _ in range(count)]
    listed = Listed(
        keys=keys[:most] if "key" in roles else numbered(0, most),
        columns=listing.places(0, most),
        problems=[None] * most,
        media=[size + ((one and one[1]) or 0) for size, one in zip(media, inputs, strict=True)],
        files=inputs if any(inputs) else None,
        sha256=sha256,
        told=told,
        mend=KEY_MEND,
    )
    return finish(listed, folder, load, unit, columns, shape)


def _roles(source: TableSource, schema: pa.Schema, path: Place) -> dict[str, str]:
    roles = roles_of(source, schema.names, path)
    for role, name in roles.items():
        kind = schema.field(name).type
        no_text = role in ("caption", "url") and not _is(kind, "string", "null")
        if no_text or (role in ("key", "license", "sha256") and _is(kind, "binary", "fixed_size_binary")):
            raise UserError(f"source.{role}: {path.name}: column {name!r} is {kind}, but must be text")
    if "image" not in roles:
        return roles
    image = schema.field(roles["image"]).type
    parts = {f.name: f.type for f in image} if pa.types.is_struct(image) else {"path": image, "bytes": image}
    path_ok, bytes_ok = _is(parts.get("path"), "string"), _is(parts.get("bytes"), "binary")
    if not path_ok and not bytes_ok:
        raise UserError(
            f"source.image: {path.name}: column {roles['image']!r} is {image}, but must be a path, bytes or "
            "struct{bytes, path}"
        )
    return roles


def _is(kind: pa.DataType | None, *wanted: str) -> bool:
    """Whether a type is, however it is stored, one of "string", "binary", "null"."""
    if kind is None:
        return False
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return str(kind).removeprefix("large_").removesuffix("_view").partition("[")[0] in (*wanted,)


def _check_same(
    schema: pa.Schema, roles: Mapping[str, str], extra: Mapping[str, Any], path: Place, first: Place
) -> None:
    lacks = [name for name in (*roles.values(), *extra) if name not in schema.names]
    other = [name for name, kind in extra.items() if name in schema.names and _kind(schema.field(name).type) != kind]
    if lacks or other:
        raise UserError(f"source.path: {path}: column {(lacks + other)[0]!r} is not as in {first.name}")


def _column(parquet: pq.ParquetFile, name: str) -> list[Any]:
    values: list[Any] = _plain(parquet.read(columns=[name])).column(0).to_pylist()
    if len(values) != parquet.metadata.num_rows:
        raise ValueError(f"column {name!r} has {len(values):,} rows, the footer {parquet.metadata.num_rows:,}")
    return values


def _paths(parquet: pq.ParquetFile, image: str) -> list[str | None] | None:
    """The file that each row names, for a struct beside its bytes too; None where the column names none.

    Whether its bytes are null stands in the column's metadata, but pyarrow 26 aborts the process on damaged ones.
    """
    kind = parquet.schema_arrow.field(image).type
    if _is(kind, "string"):
        return _column(parquet, image)
    if pa.types.is_struct(kind) and _is({f.name: f.type for f in kind}.get("path"), "string"):
        return [value and value["path"] for value in _column(parquet, f"{image}.path")]
    return None


def _left_out(fields: list[pa.Field]) -> dict[str, str]:
    """What is told of further columns that do not travel."""
    told: dict[str, list[str]] = {}
    for field in fields:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        why = "nested" if pa.types.is_nested(kind) else "empty" if pa.types.is_null(kind) else "binary"
        told.setdefault(f"columns left out ({why})", []).append(field.name)
    return {what: ", ".join(names) for what, names in told.items()}


def _plain(part: pa.Table) -> pa.Table:
    """With dates and times as text: Python's own hold years 1 to 9999 alone, and files hold others."""
    for i, field in enumerate(part.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_temporal(kind):
            part = part.set_column(i, field.name, part.column(i).cast(kind).cast(pa.string()))
    return part


@contextmanager
def opened(path: Place) -> Iterator[Path | IO[bytes]]:
    """What pyarrow reads: a path of this machine's itself, and of an object store a file whose ranges are asked for
    until they have come."""
    if isinstance(path, Path):
        yield path
        return
    with path.open() as file:
        yield file


def _footer(path: Place) -> bytes:
    """The Parquet footer: 4 bytes of its length stand before the last 4 of the file."""
    with path.open("rb") as file:
        file.seek(-8, 2)
        size = int.from_bytes(file.read(4), "little")
        file.seek(-(8 + size), 2)
        return file.read()


def _kind(kind: pa.DataType) -> pa.DataType | None:
    """The type that a scalar column travels as; None for media and nested ones, which do not."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind) or pa.types.is_uint64(kind):
        return kind
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    return None if pa.types.is_nested(kind) or _is(kind, "binary", "fixed_size_binary", "null") else pa.string()
