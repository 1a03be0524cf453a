"""SQL over a dataset: the views samples, rejects and units, of committed units alone."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence

import duckdb

from builders.shards.dataset import CLAIM, committed
from builders.shards.store import Store
from builders.shards.unit import index_path, marker_path, rejects_path
from schemas.errors import UserError


def connect(store: Store) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the dataset's views. Raises UserError where nothing is committed."""
    if not store.exists(CLAIM):
        raise UserError(f"{store}: holds no gristmill dataset")
    units = committed(store)
    if not units:
        raise UserError(f"{store}: no unit is committed yet")
    connection = duckdb.connect()
    for view, paths in (("samples", [index_path(u) for u in units]), ("rejects", [rejects_path(u) for u in units])):
        connection.execute(f"create view {view} as select * from read_parquet({_files(store, paths)})")
    markers = _files(store, [marker_path(u) for u in units])
    connection.execute(f"create view units as select * from read_json({markers}, columns = {{{_MARKER}}})")
    return connection


_FUNNEL = "'STRUCT(total BIGINT, kept BIGINT, rejected BIGINT, failed BIGINT, reasons MAP(VARCHAR, BIGINT))'"
_FILE = "'STRUCT(path VARCHAR, size BIGINT, sha256 VARCHAR)'"
_MARKER = ", ".join(
    f"{name}: {kind}"
    for name, kind in {
        "unit": "'BIGINT'",
        **dict.fromkeys(("inputs", "records"), _FUNNEL),
        "samples": "'BIGINT'",
        **dict.fromkeys(("shard", "index", "rejects", "embeddings"), _FILE),
        "tallies": "'MAP(VARCHAR, BIGINT)'",
        "payloads": "'VARCHAR'",
        "seconds": "'MAP(VARCHAR, DOUBLE)'",
    }.items()
)
"""A marker's columns: told, because DuckDB would guess them from some of the files and drop what these lack."""


def _files(store: Store, paths: Sequence[str]) -> str:
    literal = (re.sub(r"([\[*?])", r"[\1]", str(store.root / path)) for path in paths)  # DuckDB takes paths as globs
    quoted = (path.replace("'", "''") for path in literal)
    return "[" + ", ".join(f"'{path}'" for path in quoted) + "]"


def query(store: Store, sql: str) -> str:
    """The answer to `sql` as a whole table of text. Raises UserError with DuckDB's own words where the SQL is wrong."""
    if not sql.strip():
        raise UserError('sql: is empty; as "select count(*) from samples"')
    connection = connect(store)
    try:
        answer = connection.sql(sql)
        if answer is None:
            return "done"
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            answer.show(max_rows=1 << 31, max_width=1 << 20, max_col_width=1 << 16)
        return shown.getvalue().rstrip("\n")
    except duckdb.Error as error:
        raise UserError(f"sql: {' '.join(str(error).split())}") from None
