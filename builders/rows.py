"""The columns that every unit carries beside its own: identity and outcome.

A unit is one Arrow table. Rejected and failed records stay in it as rows with their outcome, their media null, so
that no unit is ever empty or anonymous.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

KEY = "key"
"""The record's key, unique in the dataset."""
PARENT = "parent"
"""The key of the input that the record came from."""
UNIT = "_unit"
"""Which unit the row belongs to."""
ROW = "_row"
"""The input's position in its unit."""
OUTCOME = "_outcome"
"""Null while the record is on its way (kept, in the end); "rejected" or "failed"."""
STEP = "_step"
REASON = "_reason"
DETAIL = "_detail"

IDENTITY = pa.schema([(KEY, pa.string()), (PARENT, pa.string()), (UNIT, pa.int64()), (ROW, pa.int64())])
VERDICT = pa.schema([(name, pa.string()) for name in (OUTCOME, STEP, REASON, DETAIL)])

KEY_MAX = 80
"""Bytes of a key: with "." and an extension it must fit a plain ustar name."""


def key_problem(key: str) -> str | None:
    """Why a key cannot name the members of a sample, or None.

    WebDataset takes everything up to the first "." as the key, "/" makes folders, and a leading "_" is skipped.
    """
    if not key:
        return "empty"
    if any(character in "./\\" or not character.isprintable() or character.isspace() for character in key):
        return "has '.', '/', a space or an unprintable character"
    if key.startswith("_"):
        return "starts with '_'"
    if len(key.encode("utf-8", "surrogatepass")) > KEY_MAX:
        return f"longer than {KEY_MAX} bytes"
    return None


def is_media(kind: pa.DataType) -> bool:
    """Whether a column holds payloads: never in the index, null once a record is lost."""
    return bool(pa.types.is_large_binary(kind) or pa.types.is_binary(kind))


def is_scalar(name: str, kind: pa.DataType) -> bool:
    """Whether a column belongs in the index and the rejects."""
    return not (name.startswith("_") or is_media(kind) or pa.types.is_nested(kind))


def begin(columns: pa.Table, unit: int) -> pa.Table:
    """A source's rows as a unit on its way: its columns (`key` among them) with identity and an open verdict."""
    rows = columns.num_rows
    table = columns.append_column(PARENT, columns[KEY]).append_column(UNIT, pa.array([unit] * rows, pa.int64()))
    table = table.append_column(ROW, pa.array(range(rows), pa.int64()))
    for field in VERDICT:
        table = table.append_column(field, pa.nulls(rows, field.type))
    return table


def live(table: pa.Table) -> pa.Array:
    """A mask of the rows that are still on their way."""
    return pc.is_null(table[OUTCOME]).combine_chunks()
