"""A ledger in which a file is broken, or a stranger's: one line tells which and what to do."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.llm.ledger import SCHEMA, Ledger
from builders.llm.segments import table_of
from builders.shards.store import Store
from schemas.errors import BuildError
from tests.builders.llm.entries import entry, hash_of, names


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "ledger")
    Ledger(store).seal([entry(n, text=os.urandom(500).hex()) for n in range(300)])
    return store


def no_file_of_a_ledger(path: Path, why: str) -> str:
    return (
        rf"^{path}: is no file of a ledger \([^\n]*{why}[^\n]*\); restore it, or delete it: then its answers are asked"
    )


def asks(store: Store) -> list[Callable[[], object]]:
    """Everything that meets a new file."""
    return [Ledger(store).refresh, lambda: Ledger(store).totals("b")]


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "0 bytes"), (b"not Parquet at all", "magic bytes"), (b"PAR1" + b"\xff" * 50 + b"PAR1", "footer")],
)
def test_a_file_that_is_no_parquet_is_named(store: Store, content: bytes, why: str) -> None:
    stranger = store.root / "stranger.parquet"
    stranger.write_bytes(content)
    for ask in asks(store):
        with pytest.raises(BuildError, match=no_file_of_a_ledger(stranger, why)):
            ask()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_named_and_the_ledger_works_without_it(store: Store, share: float) -> None:
    cut = store.root / names(store.root)[0]
    whole = cut.read_bytes()
    cut.write_bytes(whole[: int(len(whole) * share)])
    for ask in asks(store):
        with pytest.raises(BuildError, match=no_file_of_a_ledger(cut, "")):
            ask()
    cut.unlink()
    ledger = Ledger(store)
    ledger.refresh()
    assert ledger.find([hash_of(1)]) == {}
    cut.write_bytes(whole)
    ledger.refresh()
    assert ledger.find([hash_of(1)]).keys() == {hash_of(1)}


@pytest.mark.parametrize("column", SCHEMA.names)
def test_a_file_without_one_of_the_columns_is_named(store: Store, column: str) -> None:
    stranger = store.root / "stranger.parquet"
    pq.write_table(table_of([entry(1)]).drop_columns([column]), stranger)
    for ask in asks(store):
        with pytest.raises(BuildError, match=no_file_of_a_ledger(stranger, f"has no column '{column}'")):
            ask()


@pytest.mark.parametrize(
    ("column", "values"), [("hash", pa.array([None], pa.string())), ("outcome", pa.array([[1]])), ("hash", [{"a": 1}])]
)
def test_a_file_whose_columns_hold_something_else_is_named(store: Store, column: str, values: pa.Array) -> None:
    stranger = store.root / "stranger.parquet"
    table = table_of([entry(1)])
    pq.write_table(table.set_column(SCHEMA.get_field_index(column), column, [values]), stranger)
    with pytest.raises(BuildError, match=no_file_of_a_ledger(stranger, "")):
        Ledger(store).refresh()


def test_columns_of_wider_types_in_another_order_beside_others_are_read_all_the_same(store: Store) -> None:
    table = table_of([entry(1000)])
    wide = table.set_column(SCHEMA.get_field_index("text"), "text", table["text"].cast(pa.large_string()))
    columns = [*reversed(SCHEMA.names)]
    pq.write_table(wide.select(columns).append_column("more", pa.array([1])), store.root / "stranger.parquet")
    ledger = Ledger(store)
    ledger.refresh()
    assert ledger.find([hash_of(1000)]) == {hash_of(1000): entry(1000)}
    ledger.merge()
    assert len(names(store.root)) == 1
    assert ledger.find([hash_of(1000)]) == {hash_of(1000): entry(1000)}


def test_a_file_of_no_entries_is_left_alone(store: Store) -> None:
    for name in ("a.parquet", "b.parquet"):
        pq.write_table(SCHEMA.empty_table(), store.root / name)
    ledger = Ledger(store)
    ledger.refresh()
    ledger.merge()
    assert {"a.parquet", "b.parquet"} < set(names(store.root))
    assert ledger.totals("b").requests == 300


def test_a_file_whose_answers_went_bad_is_named_when_they_are_read(store: Store) -> None:
    (name,) = names(store.root)
    path = store.root / name
    ledger = Ledger(store)
    ledger.refresh()
    with pq.ParquetFile(path) as file:
        column = file.metadata.row_group(0).column(SCHEMA.get_field_index("text"))
    data = bytearray(path.read_bytes())
    start = column.data_page_offset + column.total_compressed_size // 2
    data[start : start + 2000] = bytes(2000)
    path.write_bytes(data)
    with pytest.raises(BuildError, match=no_file_of_a_ledger(path, "")):
        ledger.find([hash_of(0)])
    ledger.seal([entry(1000)])
    with pytest.raises(BuildError, match=no_file_of_a_ledger(path, "")):
        ledger.merge()
    assert len(names(store.root)) == 2


def test_a_file_that_may_not_be_read_is_named_and_is_not_to_be_deleted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store, "open", refuse)
    with pytest.raises(BuildError, match=r"^could not read .*\.parquet: Permission denied; mend that and run") as error:
        Ledger(store).refresh()
    assert "delete" not in str(error.value)


def test_a_folder_that_cannot_be_listed_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match=r"^could not list the ledger .*/file: Not a directory; mend that and run"):
        Ledger(Store(tmp_path / "file")).refresh()


def test_a_disk_that_takes_no_more_is_one_line_and_the_entries_are_not_said_to_be_safe(store: Store) -> None:
    before = names(store.root)
    ledger = Ledger(store)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(BuildError, match=r"^could not write .*\.parquet: File too large; mend that and run"):
            ledger.seal([entry(1000 + n, text=os.urandom(500).hex()) for n in range(100)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(store.root) == before
    assert ledger.find([hash_of(1000)]) == {}
