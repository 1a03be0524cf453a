"""What the index of a dataset tells of its samples: scores and sizes, which their tars do not hold as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from builders import rows
from builders.digest import digest_of
from builders.shards.unit import PARENTS, PLACE
from builders.sources.images import ReadImage
from builders.sources.pairs import PAIR, Load, Pairs, rows_of
from builders.sources.pairs_table import carried
from builders.step import Record
from schemas.errors import UserError

if TYPE_CHECKING:
    from builders.uri import Place

_TASK = "task"
"""The column of an index that names a sample's task; null for a caption."""
_OURS = {rows.KEY, rows.PARENT, PARENTS, *PLACE.names, *PAIR, *ReadImage.adds, "caption"}
"""Columns that every build makes anew, or that the samples themselves tell."""


@dataclass(frozen=True)
class LoadIndexed:
    """What `load` reads, and the columns of the listing that came from the index."""

    load: Load
    columns: tuple[str, ...]

    def __call__(self, listed: pa.Table) -> list[Record]:
        told = listed.select(self.columns).to_pylist()
        return [record | more for record, more in zip(self.load(listed), told, strict=True)]


def task_samples(folder: Place) -> frozenset[str]:
    """The keys of a dataset's task samples, by its index in `folder`: they hold questions and answers, no captions.

    Raises UserError for an index that cannot be read.
    """
    keys: set[str] = set()
    for path in _files(folder):
        try:
            with path.open("rb") as file:
                index = pq.ParquetFile(file)
                if _TASK in index.schema_arrow.names:
                    told = index.read([rows.KEY, _TASK])
                    keys.update(told.filter(pc.is_valid(told[_TASK]))[rows.KEY].to_pylist())
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(folder, error) from None
    return frozenset(keys)


def with_index(pairs: Pairs, folder: Place) -> Pairs:
    """The pairs with every scalar column of the index in `folder`, by key.

    They travel as a table's further columns do, as `source_NAME`; those that travelled so already keep their names.
    Raises UserError for an index that cannot be read.
    """
    files = _files(folder)
    try:
        index = pa.concat_tables([_read(path) for path in files], promote_options="default")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(folder, error) from None
    names = _names(index.schema)
    at = {key: row for row, key in enumerate(index[rows.KEY].to_pylist())}
    listing, extra = rows_of(pairs.listing), dict(pairs.extra)
    places = pa.array([at.get(key) for key in listing["key"].to_pylist()], pa.int64())
    for name, travels in names.items():
        listing = listing.append_column(travels, index[name].take(places))
        extra[travels] = index.schema.field(name).type
    sha256 = {**pairs.digests, "source.index": digest_of(files)}
    return replace(pairs, listing=listing, load=LoadIndexed(pairs.load, (*names.values(),)), extra=extra, sha256=sha256)


def _files(folder: Place) -> tuple[Place, ...]:
    there = folder.iterdir() if folder.exists() else ()
    return tuple(sorted(path for path in there if path.suffix == ".parquet"))


def _unreadable(folder: Place, error: Exception) -> UserError:
    return UserError(f"source.path: {folder}: cannot be read as an index: {' '.join(str(error).split())}")


def _read(path: Place) -> pa.Table:
    if isinstance(path, Path):
        return pq.read_table(path, memory_map=True)
    with path.open() as file:
        return pq.read_table(file)


def _names(schema: pa.Schema) -> Mapping[str, str]:
    """The columns that travel, and under which names."""
    further = [field.name for field in schema if field.name not in _OURS and rows.is_scalar(field.name, field.type)]
    names = {name: name for name in further if name.startswith(carried(""))}
    for name in further:
        if name not in names:
            own = carried(name)
            names[name] = carried(own) if own in names.values() else own
    return names
