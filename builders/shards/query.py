"""SQL over a dataset: the views samples, rejects and units, of committed units alone, and ledger."""

from __future__ import annotations

import contextlib
import io
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from builders.llm.segments import SCHEMA, Gone, files_of, ledger_of, read
from builders.shards.dataset import CLAIM, committed
from builders.shards.store import Store
from builders.shards.unit import index_path, marker_path, rejects_path
from schemas.errors import BuildError, UserError


def connect(store: Store, sql: str = "units") -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the dataset's views that `sql` may name; before a unit is committed with the ledger
    alone. Raises UserError where there is neither.
    """
    _check(store)
    units, ledger = committed(store), ledger_of(store)
    answers = sorted(files_of(ledger))
    if not units and not answers:
        raise UserError(f"{store}: no unit is committed yet")
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    _add_ledger(connection, ledger, answers)
    if units:
        _add_units(connection, store, units, sql)
    return connection


@contextlib.contextmanager
def samples_of(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the views samples and rejects. Raises UserError where no unit is committed, BuildError where
    their files cannot be read."""
    try:
        with contextlib.closing(connect(store, "samples")) as connection:
            yield connection
    except duckdb.Error as error:
        raise BuildError(f"{store}: {_words(error)}; `gristmill verify` names the file if one is damaged") from None


def _check(store: Store) -> None:
    if not store.exists(CLAIM):
        raise UserError(f"{store}: holds no gristmill dataset")


def _add_units(connection: duckdb.DuckDBPyConnection, store: Store, units: Sequence[int], sql: str) -> None:
    for view, paths in (("samples", [index_path(u) for u in units]), ("rejects", [rejects_path(u) for u in units])):
        _add_tables(connection, view, store, paths)
    if re.search(r"\bunits\b", sql, re.IGNORECASE):  # on an object store each marker is a request of its own
        _add_markers(connection, store, [marker_path(u) for u in units])


def _add_tables(connection: duckdb.DuckDBPyConnection, view: str, store: Store, paths: Sequence[str]) -> None:
    """A view of Parquet files. On an object store DuckDB scans what pyarrow reads, whose credentials are known; columns
    and rows that nobody asks for are not fetched."""
    if isinstance(store.root, Path):
        connection.execute(f"create view {view} as select * from read_parquet({_files(store, paths)})")
    else:
        connection.register(view, store.root.dataset(paths))


def _add_markers(connection: duckdb.DuckDBPyConnection, store: Store, paths: Sequence[str]) -> None:
    if isinstance(store.root, Path):
        files = _files(store, paths)
        connection.execute(f"create view units as select * from read_json({files}, columns = {{{_MARKER}}})")
        return
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as lines:
        for marker in store.read_each(paths):
            lines.write(json.dumps(json.loads(marker)).encode() + b"\n")
        lines.flush()
        name = lines.name.replace("'", "''")
        connection.execute(f"create table units as select * from read_json('{name}', columns = {{{_MARKER}}})")


def _add_ledger(connection: duckdb.DuckDBPyConnection, ledger: Store, answers: Sequence[str]) -> None:
    """The view of all entries, each id once: while files are merged, one may stand in two. Empty without any file."""
    if not answers:
        connection.register("ledger", SCHEMA.empty_table())
        return
    columns = ", ".join(SCHEMA.names)
    try:
        _add_tables(connection, "ledger_files", ledger, answers)
        connection.execute(f"create view ledger as select distinct on (id) {columns} from ledger_files")
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        for name in answers:
            with contextlib.suppress(Gone):
                read(ledger, name, ["id"])  # tells which file it is, and the mend
        raise BuildError(f"the ledger {ledger}: {_words(error)}; ask again") from None


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
        "committed": "'TIMESTAMPTZ'",
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
    _check(store)
    while True:
        before = files_of(ledger_of(store))
        try:
            return _answer(store, sql)
        except (UserError, BuildError):
            if before <= files_of(ledger_of(store)):
                raise  # else a build has merged files of the ledger in the meantime, which may be why


def _answer(store: Store, sql: str) -> str:
    connection = connect(store, sql)
    try:
        answer = connection.sql(sql)
        if answer is None:
            return "done"
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            answer.show(max_rows=1 << 31, max_width=1 << 20, max_col_width=1 << 16)
        return shown.getvalue().rstrip("\n")
    except duckdb.Error as error:
        raise UserError(f"sql: {_words(error)}") from None


def _words(error: Exception) -> str:
    return " ".join(str(error).split())
