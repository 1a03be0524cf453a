"""The files of a ledger: where they lie, and entries in Parquet, written once and never changed.

Without numpy, for `gristmill query` is there where only the reader is installed.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from builders.llm.request import ANSWER, Entry
from builders.shards.store import Store
from schemas.errors import BuildError

LEDGER_NOTE = "ledger.json"
"""Where a dataset whose ledger lies elsewhere tells so: {"at": "<folder>"}."""

_TYPES = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "datetime.datetime": pa.timestamp("us", tz="UTC"),
}
SCHEMA = pa.schema(
    [pa.field(f.name, _TYPES[str(f.type).split(" ")[0]], nullable=str(f.type).endswith("None")) for f in fields(Entry)]
)
"""The columns of a file: the fields of Entry, null where they may be None."""

_FOLDER = "ledger"
_ROW_GROUP = 256
"""Entries that are unpacked for the sake of one; those to the records of one unit stand together."""
_REPETITIVE = ["build", "run", "provider", "model", "outcome", "finish_reason"]
_GONE = (errno.ENOENT, errno.ESTALE)


class Gone(Exception):
    """A file that was listed is no longer there: somebody merged it, and its entries lie in another."""


def ledger_of(store: Store) -> Store:
    """Where the ledger of the dataset in `store` lies: its own folder, or the one that LEDGER_NOTE names."""
    if not store.exists(LEDGER_NOTE):
        return store.below(_FOLDER)
    try:
        note = json.loads(store.read_bytes(LEDGER_NOTE))
    except ValueError:
        note = None
    if not isinstance(note, dict) or not isinstance(note.get("at"), str):
        raise BuildError(
            f'{store}/{LEDGER_NOTE}: names no ledger; write {{"at": "<its folder>"}} there, '
            f"or delete the file where the ledger is {store}/{_FOLDER}"
        )
    return Store(note["at"])


def files_of(ledger: Store) -> set[str]:
    """The names of the files of a ledger, all of them, also while others merge. Raises BuildError.

    A listing takes its time: one during which a merge ends may lack the merged file, for it came too late, and those
    that were merged, for they are gone. So it is made again until it lacks nothing that the one before it showed.
    """
    before = _list(ledger)
    while not before <= (listed := _list(ledger)):
        before = listed
    return listed


def _list(ledger: Store) -> set[str]:
    try:
        names = [path.rsplit("/", 1)[-1] for path in ledger.list(".")]
    except OSError as error:
        raise BuildError(
            f"could not list the ledger {ledger}: {error.strerror}; mend that and run the same command again"
        ) from None
    return {name for name in names if name.endswith(".parquet")}


def table_of(entries: Sequence[Entry]) -> pa.Table:
    """Entries as a table of SCHEMA."""
    return pa.table([_column(field, [getattr(entry, field.name) for entry in entries]) for field in SCHEMA], SCHEMA)


def _column(field: pa.Field, values: list[Any]) -> pa.Array:
    try:
        return pa.array(values, field.type)
    except UnicodeEncodeError:
        return pa.array([value if value is None else well_formed(value) for value in values], field.type)


def well_formed(text: str) -> str:
    """`text` as UTF-8 can hold it: halves of a surrogate pair are joined, and one alone becomes U+FFFD.

    JSON may bring such ("\\ud83d"), as where a model was cut off in the middle of a character.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def entries_of(table: pa.Table) -> list[Entry]:
    """The rows of a table of SCHEMA."""
    at = SCHEMA.get_field_index("asked_at")
    plain = table.set_column(
        at, "asked_at", table["asked_at"].cast(pa.timestamp("us"))
    )  # a zone's name needs a database of zones
    return [Entry(**row | {"asked_at": row["asked_at"].replace(tzinfo=datetime.UTC)}) for row in plain.to_pylist()]


def combine(tables: Sequence[pa.Table]) -> pa.Table:
    """The entries of all tables, each once, sorted by (at, id)."""
    return once(pa.concat_tables(tables).sort_by([("asked_at", "ascending"), ("id", "ascending")]))


def once(table: pa.Table) -> pa.Table:
    """The rows of `table`, the first of each id alone, in their order."""
    ids = pa.table({"id": table["id"], "row": pa.array(range(table.num_rows), pa.int64())})
    first = ids.group_by("id").aggregate([("row", "min")])["row_min"]
    return table if len(first) == table.num_rows else table.take(first.sort())


def name_of(table: pa.Table, unique: str = "") -> str:
    """What a file of these entries is called: when the last was made, and `unique` or else a digest of their ids.

    Two that merge the same files at once, named by the digest, write the same file.
    """
    ids = "\n".join(table["id"].to_pylist())
    seconds = pc.max(table["asked_at"]).cast(pa.int64()).as_py() // 1_000_000
    made = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{made:%Y%m%d-%H%M%S}-{unique or hashlib.sha256(ids.encode()).hexdigest()[:32]}.parquet"


def write(ledger: Store, name: str, table: pa.Table) -> None:
    """Write a new file; it survives a kill when this returns. Raises BuildError where the disk refuses."""
    with ledger.put(name) as file:
        pq.write_table(
            table,
            file,
            compression="zstd",
            row_group_size=_ROW_GROUP,
            use_dictionary=_REPETITIVE,
            write_page_checksum=True,
        )


def read(ledger: Store, name: str, columns: Sequence[str] = SCHEMA.names) -> pa.Table:
    """Some columns of a file. Raises Gone, and BuildError where it is no file of a ledger."""
    with _opened(ledger, name) as file:
        return _read(file, columns)


def read_keys(ledger: Store, name: str) -> tuple[pa.Table, int]:
    """Hash and outcome of all entries of a file, and how many bytes these are, unpacked. Raises as `read` does."""
    with _opened(ledger, name) as file:
        groups = (file.metadata.row_group(i) for i in range(file.num_row_groups))
        return _read(file, ["hash", "outcome"]), sum(group.total_byte_size for group in groups)


def read_answers(ledger: Store, name: str, hashes: pa.Array) -> list[Entry]:
    """The answers to any of `hashes` in a file. Raises as `read` does.

    Reads all hashes, and of everything else those row groups alone that hold an answer.
    """
    with _opened(ledger, name) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        ends = list(accumulate(sizes))
        rows = pc.indices_nonzero(_wanted(_read(file, ["hash", "outcome"]), hashes)).to_pylist()
        groups = sorted({bisect_right(ends, row) for row in rows})
        table = _read(file, SCHEMA.names, groups)
        return entries_of(table.filter(_wanted(table, hashes)))


def _wanted(table: pa.Table, hashes: pa.Array) -> pa.ChunkedArray:
    return pc.and_(pc.is_in(table["hash"], value_set=hashes), pc.equal(table["outcome"], ANSWER))


def _read(file: pq.ParquetFile, columns: Sequence[str], groups: Sequence[int] | None = None) -> pa.Table:
    wanted = range(file.num_row_groups) if groups is None else groups
    table = file.read_row_groups(wanted, columns=columns).select(columns)
    return table.cast(pa.schema([SCHEMA.field(name) for name in columns]))


@contextmanager
def _opened(ledger: Store, name: str) -> Iterator[pq.ParquetFile]:
    """A file of the ledger. Whatever is wrong with it, now or while it is read, is Gone or a line for the user."""
    try:
        with ledger.open(name) as file, pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            missing = [column for column in SCHEMA.names if column not in parquet.schema_arrow.names]
            if missing:
                raise ValueError(f"it has no column {missing[0]!r}")
            yield parquet
    except OSError as error:
        if error.errno in _GONE:
            raise Gone(name) from None
        if error.errno is None:  # pyarrow's own, of bytes that are not what they should be
            raise _no_segment(ledger, name, error) from None
        raise BuildError(
            f"could not read {ledger}/{name}: {error.strerror}; mend that and run the same command again"
        ) from None
    except (ValueError, pa.ArrowException) as error:
        raise _no_segment(ledger, name, error) from None


def _no_segment(ledger: Store, name: str, error: Exception) -> BuildError:
    return BuildError(
        f"{ledger}/{name}: is no file of a ledger ({' '.join(str(error).split())}); restore it, or delete it: "
        "then its answers are asked and paid for again"
    )
