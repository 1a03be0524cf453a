"""One ledger, many hands: whatever others seal, merge or fail to finish, no answer is lost and none counts twice."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.llm import ledger as module
from builders.llm.ledger import Ledger
from builders.llm.request import Entry
from builders.llm.segments import entries_of, files_of
from builders.shards.store import Store
from tests.builders.llm.entries import START, entry, failure, hash_of, names

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "ledger")


def opened(store: Store) -> Ledger:
    ledger = Ledger(store)
    ledger.refresh()
    return ledger


def sealed(store: Store, *numbers: int) -> Ledger:
    """A ledger that sealed one entry a file."""
    ledger = Ledger(store)
    for number in numbers:
        ledger.seal([entry(number)])
    return ledger


def held(store: Store) -> list[Entry]:
    """Every entry of every file, as often as it stands there."""
    return [one for name in names(store.root) for one in entries_of(pq.read_table(store.root / name))]


# ---- any order of what several do ------------------------------------------------------------------------------------

HANDS = 3
HASHES = [hash_of(0), hash_of(1), hash_of(1)[:16] + "0" * 48]
batches = st.lists(st.tuples(st.sampled_from(HASHES), st.integers(0, 2), st.booleans()), min_size=1, max_size=4)
deeds = st.tuples(st.integers(0, HANDS - 1), st.sampled_from(["merge", "refresh", "find"]) | batches)


def earliest(answers: list[Entry]) -> dict[str, Entry]:
    return {one.hash: one for one in sorted(answers, key=lambda one: (one.asked_at, one.id), reverse=True)}


@settings(max_examples=60)
@given(st.lists(deeds, max_size=25))
def test_find_says_what_a_dict_would_whatever_was_sealed_merged_and_refreshed_before(deeds: list[Any]) -> None:
    ids = itertools.count()
    answers: list[Entry] = []
    requests = 0
    known: list[list[Entry]] = [[] for _ in range(HANDS)]
    with tempfile.TemporaryDirectory() as folder, patch.object(module, "MERGED", 5):
        hands = [Ledger(Store(folder)) for _ in range(HANDS)]
        for who, deed in deeds:
            if deed == "merge":
                hands[who].merge()
            elif deed == "refresh":
                hands[who].refresh()
                known[who] = list(answers)
                assert hands[who].find(HASHES) == earliest(answers)
            elif deed != "find":
                batch = [
                    (entry if good else failure)(next(ids), hash=hash, asked_at=START.replace(second=at))
                    for hash, at, good in deed
                ]
                hands[who].seal(batch)
                requests += len(batch)
                answers += [one for one in batch if one.answered]
                known[who] += [one for one in batch if one.answered]
            found = hands[who].find(HASHES)  # what others sealed meanwhile may be in it, what it knew must be
            assert all(one in answers for one in found.values())
            assert earliest([*found.values(), *known[who]]) == found
        for hand in (*hands, Ledger(Store(folder))):
            hand.refresh()
            assert hand.find(HASHES) == earliest(answers)
            assert hand.totals("b").requests == requests


# ---- who looks while others merge ------------------------------------------------------------------------------------


class Meanwhile:
    """Does something once, right before the first call of a method of a store."""

    def __init__(self, store: Store, method: str, deed: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
        self._call = getattr(store, method)
        self._deeds = [deed]
        monkeypatch.setattr(store, method, self)

    def __call__(self, *arguments: Any) -> Any:
        while self._deeds:
            self._deeds.pop()()
        return self._call(*arguments)


@pytest.mark.parametrize("ask", ["refresh", "find", "merge", "totals"])
def test_files_that_are_merged_away_before_they_are_read_are_found_where_they_went(
    store: Store, ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sealed(Store(store.root), 1, 2, 3)
    mine = Store(store.root)
    ledger = Ledger(mine)
    if ask in ("find", "merge"):
        ledger.refresh()
    Meanwhile(mine, "open", other.merge, monkeypatch)
    wanted = [hash_of(n) for n in (1, 2, 3)]
    told = {
        "refresh": ledger.refresh,
        "find": lambda: ledger.find(wanted),
        "merge": ledger.merge,
        "totals": lambda: ledger.totals("b").requests,
    }[ask]()
    assert told == {"find": {hash_of(n): entry(n) for n in (1, 2, 3)}, "totals": 3}.get(ask)
    ledger.refresh()
    assert ledger.find(wanted).keys() == set(wanted)
    assert held(store) == [entry(1), entry(2), entry(3)]


def test_what_is_sealed_while_the_folder_is_being_listed_is_not_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = sealed(store, 1)
    real, late = store.list, [2]

    def list_and_then_seal(folder: str) -> list[str]:
        listed = real(folder)
        for number in late:
            ledger.seal([entry(number)])
        late.clear()
        return listed

    monkeypatch.setattr(store, "list", list_and_then_seal)
    ledger.refresh()
    assert ledger.find([hash_of(1), hash_of(2)]).keys() == {hash_of(1), hash_of(2)}


@pytest.mark.parametrize("knows", [True, False])
def test_a_listing_that_shows_neither_the_merged_file_nor_those_it_replaced_is_not_believed(
    store: Store, knows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sealed(Store(store.root), 1, 2)
    ledger = Ledger(store)
    if knows:
        ledger.refresh()
    other.merge()
    real, blind = store.list, [True]
    monkeypatch.setattr(store, "list", lambda folder: [] if blind and blind.pop() else real(folder))
    ledger.refresh()
    assert ledger.find([hash_of(1), hash_of(2)]).keys() == {hash_of(1), hash_of(2)}
    blind.append(True)
    assert files_of(store) == set(names(store.root))


def test_until_the_merged_files_are_deleted_entries_stand_twice_and_count_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = sealed(store, 1, 2, 3)

    def killed(path: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(store, "delete", killed)
        ledger.merge()
    assert len(held(store)) == 6
    for one in (ledger, opened(store)):
        assert one.find([hash_of(2)]) == {hash_of(2): entry(2)}
        assert one.totals("b").requests == 3
    opened(store).merge()
    assert held(store) == [entry(1), entry(2), entry(3)]


def test_two_that_merge_the_same_files_at_once_write_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MERGED", 3)
    mine = Store(store.root)
    sealed(store, 1, 2, 3)
    ledger, other = opened(mine), opened(store)
    Meanwhile(mine, "put", other.merge, monkeypatch)
    ledger.merge()
    assert held(store) == [entry(1), entry(2), entry(3)]
    assert ledger.find([hash_of(1)]).keys() == other.find([hash_of(1)]).keys() == {hash_of(1)}


# ---- really at once --------------------------------------------------------------------------------------------------


def test_threads_seal_and_find_while_others_merge(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MERGED", 40)
    mine, other = Ledger(store), Ledger(Store(store.root))
    done = threading.Event()

    def seal(ledger: Ledger, first: int) -> None:
        for number in range(first, first + 40):
            ledger.seal([entry(number)])
            assert ledger.find([hash_of(number)]) == {hash_of(number): entry(number)}
            assert ledger.find([hash_of(first)]).keys() == {hash_of(first)}

    def merge(ledger: Ledger) -> None:
        while not done.is_set():
            ledger.refresh()
            ledger.merge()

    with ThreadPoolExecutor(8) as pool:
        merging = [pool.submit(merge, ledger) for ledger in (mine, mine, other)]
        sealing = [pool.submit(seal, ledger, 1000 * n) for n, ledger in enumerate([mine, mine, mine, other, other])]
        try:
            for task in sealing:
                task.result()
        finally:
            done.set()
        for task in merging:
            task.result()
    wanted = [1000 * n + i for n in range(5) for i in range(40)]
    for ledger in (mine, other, opened(store)):
        ledger.refresh()
        assert ledger.find([hash_of(n) for n in wanted]) == {hash_of(n): entry(n) for n in wanted}
        assert ledger.totals("b").requests == len(wanted)


@contextmanager
def worker(folder: Path, first: int, count: int) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process that seals `count` entries and merges, ready to begin, and what it tells."""
    command = [sys.executable, "-m", "tests.builders.llm.entries", str(folder), str(first), str(count)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process, process.stdout
        finally:
            process.kill()


@pytest.mark.faults
def test_two_processes_and_this_one_share_a_folder(store: Store) -> None:
    with worker(store.root, 0, 60) as (one, told), worker(store.root, 1000, 60) as (two, told_too):
        ledger, safe = Ledger(store), []
        for line in itertools.chain(told, told_too):
            safe.append(int(line))
            ledger.refresh()
            assert ledger.find([hash_of(n) for n in safe[-20:]]).keys() == {hash_of(n) for n in safe[-20:]}
        assert (one.wait(), two.wait()) == (0, 0)
    assert len(safe) == 120
    assert opened(store).find([hash_of(n) for n in safe]) == {hash_of(n): entry(n) for n in safe}
    assert opened(store).totals("b").requests == 120


@pytest.mark.faults
def test_who_is_killed_while_it_seals_and_merges_loses_nothing_that_was_sealed(store: Store) -> None:
    chance, safe = random.Random(0), []
    for turn in range(10):
        with worker(store.root, 1000 * turn, 1000) as (process, told):
            safe += [int(line) for line in itertools.islice(told, chance.randrange(1, 25))]
            threading.Event().wait(chance.uniform(0, 0.01))
            process.kill()
            safe += [int(line) for line in told if line.endswith("\n")]
        found = opened(store).find([hash_of(n) for n in safe])
        assert found == {hash_of(n): entry(n) for n in safe}
    ledger = opened(store)
    requests = ledger.totals("b").requests
    assert len(safe) <= requests <= len(safe) + 10, "one more a turn may have been sealed and not told"
    ledger.merge()
    assert len({one.id for one in held(store)}) == len(held(store)) == requests
    assert ledger.find([hash_of(n) for n in safe]).keys() == {hash_of(n) for n in safe}
