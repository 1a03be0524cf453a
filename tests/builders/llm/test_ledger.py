"""The ledger: what was sealed is found, whoever sealed it, and is counted once."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.llm import ledger as module
from builders.llm.ledger import LEDGER_NOTE, SCHEMA, Ledger, Totals, ledger_of
from builders.llm.request import Entry
from builders.llm.segments import entries_of, table_of, well_formed
from builders.shards.store import Store
from schemas.errors import BuildError
from tests.builders.llm.entries import START, entry, failure, hash_of, names


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "ledger")


def opened(store: Store) -> Ledger:
    """A ledger of somebody else, who looks at the folder now."""
    ledger = Ledger(store)
    ledger.refresh()
    return ledger


# ---- sealing and finding ---------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_holds_no_answers(store: Store) -> None:
    ledger = opened(store)
    assert ledger.find([hash_of(1)]) == {}
    assert ledger.small == 0
    assert ledger.totals("b") == Totals(0, 0, 0, 0, 0.0, 0)
    ledger.merge()
    ledger.seal([])
    assert not store.root.exists()


def test_what_is_sealed_is_found_by_its_writer_and_by_whoever_looks_later(store: Store) -> None:
    before = opened(store)
    writer = Ledger(store)
    writer.seal([entry(1), entry(2)])
    writer.seal([entry(3)])
    wanted = [hash_of(n) for n in (1, 3, 4)]
    assert writer.find(wanted) == opened(store).find(wanted) == {hash_of(1): entry(1), hash_of(3): entry(3)}
    assert before.find(wanted) == {}
    before.refresh()
    assert before.find(wanted) == writer.find(wanted)


def test_only_answers_are_found(store: Store) -> None:
    ledger = Ledger(store)
    ledger.seal([failure(1), entry(2, text=None), failure(3)])
    assert ledger.find([hash_of(1), hash_of(2), hash_of(3)]) == {hash_of(2): entry(2, text=None)}


@pytest.mark.parametrize("apart", [True, False])
def test_of_several_answers_to_one_request_the_earliest_stands_wherever_it_lies(store: Store, apart: bool) -> None:
    same = hash_of(0)
    failed = failure(1, hash=same)
    late = entry(9, hash=same)
    early = entry(5, hash=same)
    twin = dataclasses.replace(early, id="ff", text="at the same time")
    for batch in [[late], [twin], [early], [failed]] if apart else [[late, twin, early, failed]]:
        Ledger(store).seal(batch)
    assert opened(store).find([same]) == {same: early}


def test_a_hash_that_begins_as_another_does_is_another(store: Store) -> None:
    asked, other = "0123456789abcdef" + "0" * 48, "0123456789abcdef" + "1" * 48
    ledger = Ledger(store)
    ledger.seal([entry(1, hash=other)])
    assert ledger.find([asked]) == {}
    assert ledger.find([asked, other, other]) == {other: entry(1, hash=other)}


def test_many_answers_of_one_file_are_found_wherever_in_it_they_stand(store: Store) -> None:
    entries = [entry(n) for n in range(1500)]
    Ledger(store).seal(entries)
    wanted = [0, 255, 256, 1023, 1024, 1499]
    found = opened(store).find([hash_of(n) for n in (*wanted, 7777)])
    assert found == {hash_of(n): entries[n] for n in wanted}


# ---- what an entry may hold ------------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=()), max_size=20)
numbers = st.none() | st.integers(0, 2**40)
amounts = st.none() | st.floats(0, 1e6)
moments = st.datetimes(
    datetime.datetime(2020, 1, 1),
    datetime.datetime(2100, 1, 1),
    timezones=st.just(datetime.UTC) | st.just(datetime.timezone(datetime.timedelta(hours=-7))),
)
anything = st.builds(
    Entry,
    **dict.fromkeys(("id", "hash", "build", "run", "provider", "model", "outcome"), words),
    **dict.fromkeys(("text", "finish_reason", "request_id", "detail"), st.none() | words),
    **dict.fromkeys(("status", "tokens_in", "tokens_out", "tokens_cached"), numbers),
    usd=amounts,
    seconds=amounts,
    asked_at=moments,
)


def written(one: Entry) -> Entry:
    texts = {k: well_formed(v) for k, v in dataclasses.asdict(one).items() if isinstance(v, str)}
    return dataclasses.replace(one, **texts)


@given(st.lists(anything, max_size=5))
def test_an_entry_comes_back_as_it_was_but_for_what_no_utf8_can_hold(entries: list[Entry]) -> None:
    assert entries_of(table_of(entries)) == [written(one) for one in entries]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("größe 🐕\0\r\n", "größe 🐕\0\r\n"),
        ("cut \ud83d", "cut \ufffd"),
        ("\udc15 cut", "\ufffd cut"),
        ("a \ud83d\udc15", "a 🐕"),
        ("", ""),
    ],
)
def test_any_text_can_be_sealed(store: Store, text: str, kept: str) -> None:
    ledger = Ledger(store)
    ledger.seal([entry(1, text=text, detail=text), entry(2, text=None)])
    assert opened(store).find([hash_of(1)])[hash_of(1)] == entry(1, text=kept, detail=kept)


def test_a_file_has_the_fields_of_an_entry_as_columns_and_is_packed(store: Store) -> None:
    Ledger(store).seal([entry(n, text="the same " * 500) for n in range(20)])
    (name,) = names(store.root)
    with pq.ParquetFile(store.root / name) as file:
        assert file.schema_arrow.equals(SCHEMA)
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert SCHEMA.names == [field.name for field in dataclasses.fields(Entry)]
    assert str(SCHEMA.field("asked_at").type) == "timestamp[us, tz=UTC]"
    assert {field.name for field in SCHEMA if not field.nullable} == {
        field.name for field in dataclasses.fields(Entry) if field.default is dataclasses.MISSING
    }
    assert name.startswith("20261121-000019-")


# ---- merging ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_small_files_become_one_that_holds_all_in_order(store: Store) -> None:
    ledger = Ledger(store)
    entries = [entry(n, asked_at=START) if n < 4 else entry(n) for n in range(8)]
    for number in (5, 2, 7, 0, 1, 6, 3, 4):
        ledger.seal([entries[number]])
    assert ledger.small == 8
    ledger.merge()
    (name,) = names(store.root)
    assert entries_of(pq.read_table(store.root / name)) == entries
    assert ledger.small == 1
    for one in (ledger, opened(store)):
        assert one.find([e.hash for e in entries]) == {e.hash: e for e in entries}


def test_failures_and_what_others_sealed_are_merged_too(store: Store) -> None:
    Ledger(store).seal([failure(1)])
    Ledger(store).seal([entry(2)])
    ledger = opened(store)
    ledger.merge()
    (name,) = names(store.root)
    assert entries_of(pq.read_table(store.root / name)) == [failure(1), entry(2)]


def test_one_small_file_is_left_as_it_is(store: Store) -> None:
    ledger = Ledger(store)
    ledger.seal([entry(1)])
    before = names(store.root)
    ledger.merge()
    assert names(store.root) == before


def test_files_that_are_large_enough_are_not_merged_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MERGED", 3)
    ledger = Ledger(store)
    for first in (0, 10, 20):
        ledger.seal([entry(first + n) for n in range(3)])
    ledger.seal([entry(30)])
    assert ledger.small == 1
    before = names(store.root)
    ledger.merge()
    assert names(store.root) == before


def test_many_small_files_become_several_files_of_neighbours(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MERGED", 4)
    ledger = Ledger(store)
    for number in range(10):
        ledger.seal([entry(number)])
    ledger.merge()
    held = [[e.id for e in entries_of(pq.read_table(store.root / name))] for name in names(store.root)]
    assert held == [[entry(n).id for n in numbers] for numbers in ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9))]
    assert ledger.small == 1


def test_files_of_few_long_answers_are_large(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE", 10_000)
    ledger = Ledger(store)
    for number in range(3):
        ledger.seal([entry(number, text=f"{number}" * 20_000)])
    assert ledger.small == opened(store).small == 0


def test_entries_that_stand_in_two_files_stand_once_when_these_are_merged(store: Store) -> None:
    for batch in ([entry(1), entry(2)], [entry(2), entry(3)], [entry(1)]):
        Ledger(store).seal(batch)
    opened(store).merge()
    (name,) = names(store.root)
    assert entries_of(pq.read_table(store.root / name)) == [entry(1), entry(2), entry(3)]


@pytest.mark.slow
def test_a_file_that_holds_all_that_the_others_hold_survives_their_merge(store: Store) -> None:
    ledger = Ledger(store)
    for number in range(3):
        ledger.seal([entry(number)])
    ledger.merge()
    ledger.seal([entry(1)])
    ledger.merge()
    (name,) = names(store.root)
    assert entries_of(pq.read_table(store.root / name)) == [entry(0), entry(1), entry(2)]
    assert ledger.find([hash_of(n) for n in range(3)]).keys() == {hash_of(n) for n in range(3)}


def test_other_things_in_the_folder_are_left_alone(store: Store) -> None:
    store.put_bytes("batches/1.parquet", b"no ledger's")
    store.put_bytes("notes.txt", b"mine")
    (store.root / "folder.parquet").mkdir()
    ledger = opened(store)
    ledger.seal([entry(1)])
    ledger.seal([entry(2)])
    ledger.refresh()
    ledger.merge()
    assert store.read_bytes("batches/1.parquet") == b"no ledger's"
    assert store.exists("notes.txt") and store.exists("folder.parquet")
    assert ledger.totals("b").requests == 2


# ---- sums ------------------------------------------------------------------------------------------------------------


def test_totals_are_the_sums_over_all_entries_of_a_build_each_once(store: Store) -> None:
    Ledger(store).seal([entry(1, usd=0.1), entry(2, usd=0.2), failure(3)])
    Ledger(store).seal([entry(2, usd=0.2), entry(4, usd=None), failure(5, seconds=1.0)])
    Ledger(store).seal([entry(6, build="another", usd=5.0)])
    Ledger(store).seal([failure(7, detail="declined, yet billed")])
    assert Ledger(store).totals("b") == Totals(6, 3, 30, 9, 0.3, 1)
    assert Ledger(store).totals("another") == Totals(1, 1, 10, 3, 5.0, 0)
    assert Ledger(store).totals("nobody's") == Totals(0, 0, 0, 0, 0.0, 0)


def test_totals_include_what_attempts_that_failed_did_cost(store: Store) -> None:
    Ledger(store).seal([entry(1, outcome="length", text=None, usd=0.5), entry(2, usd=0.25)])
    assert Ledger(store).totals("b") == Totals(2, 1, 20, 6, 0.75, 0)


# ---- where it lies ---------------------------------------------------------------------------------------------------


def test_the_ledger_of_a_dataset_is_its_own_folder_or_the_one_that_is_noted(tmp_path: Path) -> None:
    dataset = Store(tmp_path / "d")
    assert ledger_of(dataset).root == tmp_path / "d" / "ledger"
    dataset.put_bytes(LEDGER_NOTE, f'{{"at": "{tmp_path}/paid"}}'.encode())
    assert ledger_of(dataset).root == tmp_path / "paid"


@pytest.mark.parametrize("note", [b"", b"{}", b"[]", b"\xff", b'"at"', b'{"at": 5}'])
def test_a_note_that_names_no_ledger_is_one_line(tmp_path: Path, note: bytes) -> None:
    dataset = Store(tmp_path)
    dataset.put_bytes(LEDGER_NOTE, note)
    with pytest.raises(BuildError, match=r'ledger\.json: names no ledger; write \{"at": "<its folder>"\} there, or'):
        ledger_of(dataset)
