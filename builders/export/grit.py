"""Grounded captions as the records that GrIT was released in (Kosmos-2, arXiv 2306.14824): Parquet, without images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from builders.export.folder import new_folder
from builders.export.grounded import grounded
from builders.shards.store import Store

_SIMILARITIES = ("clip_similarity_vitb32", "clip_similarity_vitl14")
_ITEMS = pa.list_(pa.list_(pa.float64()))
RECORD = pa.schema(
    [("key", pa.string()), *((name, pa.float64()) for name in _SIMILARITIES), ("id", pa.int64()), ("url", pa.string())]
    + [("caption", pa.string()), ("width", pa.int64()), ("height", pa.int64())]
    + [("noun_chunks", _ITEMS), ("ref_exps", _ITEMS)]
)
"""The released columns and their types; an item is `[start, end, x1, y1, x2, y2, score]`, all of them numbers."""

ROWS = 1_000_000
"""Rows of a file, at most."""
_GROUP = 5_000
"""Rows that are in memory at once."""
_BIGGEST = 2**63 - 1


def export(store: Store, folder: Path) -> int:
    """Write `folder/grit_00000.parquet` and so on, all at once. Returns how many records.

    CLIP similarities are those of the index, null where it has none. `id` is the caption's where that is a whole
    number, as it was released, else null: the key stays. Raises UserError for a dataset of another kind.
    """
    with new_folder(folder) as place:
        rows = _rows(store)
        count, part = 0, 0
        while group := list(islice(rows, _GROUP)):
            with pq.ParquetWriter(place / f"grit_{part:05d}.parquet", RECORD, compression="snappy") as out:
                written = 0
                while group:
                    out.write_table(pa.Table.from_pylist(group, RECORD))
                    written += len(group)
                    group = list(islice(rows, _GROUP)) if written < ROWS else []
            count, part = count + written, part + 1
        if not part:
            pq.write_table(RECORD.empty_table(), place / "grit_00000.parquet", compression="snappy")
    return count


def _rows(store: Store) -> Iterator[dict[str, Any]]:
    for item in grounded(store, _SIMILARITIES, images=False):
        row = {name: item.record.get(name) for name in RECORD.names}
        row.update({name: value for name, value in item.sample.told.items() if value is not None})
        number = row["id"]
        row["id"] = number if isinstance(number, int) and abs(number) <= _BIGGEST else None
        yield row
