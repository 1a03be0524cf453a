"""JSONL and CSV tables of pairs, whose images are paths."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from builders.sources.pairs import Listed, Pairs, finish, text
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
from schemas.pairs import PairsKind, UrlsSource

if TYPE_CHECKING:
    from builders.uri import Place

_INT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class LoadListed:
    """Rows that were read whole when they were listed."""

    def __call__(self, listed: pa.Table) -> list[Record]:
        records: list[Record] = listed.to_pylist()
        return records


def open_text(source: TableSource, files: list[Place], kind: PairsKind, unit: int) -> Pairs:
    """List JSONL or CSV files, read whole. A line that is no object, or no row, is an input with a problem."""
    whole = hashlib.sha256()
    rows: list[dict[str, Any] | str] = []
    header = source.columns if isinstance(source, UrlsSource) else None
    for path in files:
        raw = path.read_bytes()
        whole.update(hashlib.sha256(raw).digest())
        rows += csv_rows(path, raw, header) if kind == "csv" else json_rows(raw)
    rows = rows[: source.limit]
    if not rows:
        raise UserError(f"source.path: {files[0]} holds no row, so there is nothing to build")
    told = [row if isinstance(row, dict) else {} for row in rows]
    names = list(dict.fromkeys(name for row in told for name in row))
    if not names:
        raise UserError(f"source.path: {files[0]}: no line is a {'row' if kind == 'csv' else 'JSON object'}: {rows[0]}")
    roles = roles_of(source, names, files[0])
    folder = folder_of(source, files[0])
    pairs = [pair_of(row, roles) for row in told]
    inputs = files_of(folder, [pair.get("image_file") for pair in pairs])
    further = {name: typed([row.get(name) for row in told], kind) for name in names if name not in roles.values()}
    extra = {carried(str(text(name))): values for name, values in further.items() if values is not None}
    nested = [name for name, values in further.items() if values is None]
    shape = shape_of(source)
    kinds = {name: of for name, of in shape.columns.items() if name not in ("key", "_problem", "_bytes")}
    listed = Listed(
        keys=[row.get(roles["key"]) for row in told] if "key" in roles else [f"{i:09d}" for i in range(len(rows))],
        columns={**{name: pa.array([pair.get(name) for pair in pairs], of) for name, of in kinds.items()}, **extra},
        problems=[row if isinstance(row, str) else pair.get("_problem") for row, pair in zip(rows, pairs, strict=True)],
        media=[(file and file[1]) or 0 for file in inputs],
        files=inputs if any(inputs) else None,
        sha256={"source.path": whole.hexdigest()},
        told={"tables": len(files), **({"columns left out (nested)": text(", ".join(nested)) or ""} if nested else {})},
        mend=KEY_MEND,
    )
    return finish(listed, folder, LoadListed(), unit, {name: values.type for name, values in extra.items()}, shape)


def json_rows(raw: bytes) -> Iterator[dict[str, Any] | str]:
    """Each line's object, or the problem of it; empty lines are none."""
    for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode())
            yield row if isinstance(row, dict) else "bad_json: not an object"
        except (ValueError, RecursionError) as error:
            yield f"bad_json: {type(error).__name__}: {error}"


def csv_rows(path: Place, raw: bytes, header: list[str] | None = None) -> Iterator[dict[str, Any] | str]:
    """Each row as texts by column (None: empty), or the problem of it. After a broken quote it goes on a line later.

    `header`: the columns' names, where the first line does not hold them.
    """
    lines = io.StringIO(raw.decode("utf-8-sig", "surrogateescape"), newline="").readlines()
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    at = 0
    while at < len(lines):
        reader = csv.reader((lines[i] for i in range(at, len(lines))), delimiter=delimiter, strict=True)
        done = 0
        try:
            for cells in reader:
                done = reader.line_num
                if header is None:
                    header = cells
                    twice = next((name for i, name in enumerate(cells) if name in cells[:i]), None)
                    if twice is not None:
                        raise UserError(f"source.path: {path}: two columns are named {twice!r}; rename one")
                elif cells and len(cells) != len(header):
                    yield f"ragged_row: line {at + done}: {len(cells)} cells, but {len(header)} columns"
                elif cells:
                    yield {name: cell or None for name, cell in zip(header, cells, strict=True)}
            return
        except csv.Error as error:
            if header is None:
                raise UserError(f"source.path: {path}: line 1 names no columns: {error}") from None
            yield f"bad_csv: line {at + done + 1}: {error}"
        at += done + 1


def typed(values: Sequence[Any], kind: PairsKind) -> pa.Array | None:
    """A further column: truth values, whole numbers, numbers, else text; None where a value is nested."""
    if kind == "csv":
        there = [value for value in values if value is not None]
        number = next((n for p, n in ((_INT, int), (_FLOAT, float)) if all(p.fullmatch(v) for v in there)), str)
        values = [None if value is None else number(value) for value in values]
    kinds = {type(value) for value in values if value is not None}
    if kinds & {list, dict}:
        return None
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(abs(value) < 2**63 for value in values if value is not None):
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, float} and all(abs(value) <= 2**53 for value in values if isinstance(value, int)):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([text(v) if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())
