"""The ledger of answers that were paid for: what was asked is in it before it is used, and is never paid for twice.

A ledger is a folder of Parquet files that many builds, on many machines, may write at once. Nobody locks anything:
files are written once, whole, under names that nobody else takes. Small ones are merged into one, and deleted only when
that one is there. So an entry may be seen twice, which its id tells, and a file that was listed may be gone, which
means that its entries are in another.
"""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from builders.llm import media, segments
from builders.llm.request import ANSWER, Entry
from builders.llm.segments import LEDGER_NOTE as LEDGER_NOTE
from builders.llm.segments import SCHEMA as SCHEMA
from builders.llm.segments import Gone, files_of
from builders.llm.segments import ledger_of as ledger_of
from builders.shards.store import Store
from schemas.errors import BuildError

MERGED = 10_000
"""Files of fewer entries are small: they are merged, to spare every reader the opening of thousands."""
LARGE = 64 << 20
"""Files of more bytes, unpacked, are not small whatever they hold: a merge has up to twice that in memory."""

_PROBE = 65_536
"""Bytes: a disk that has no room for these has none for answers."""
_COUNTED = ["id", "build", "run", "outcome", "tokens_in", "tokens_out", "usd"]

Prefixes = npt.NDArray[np.uint64]
T = TypeVar("T")


@dataclass(frozen=True)
class Totals:
    """What a build asked for so far, in all its runs. `usd` lacks the `unpriced` answers, whose price is not known."""

    requests: int
    answers: int
    tokens_in: int
    tokens_out: int
    usd: float
    unpriced: int


class Ledger:
    """Attempts at requests, kept in Parquet files of one folder that many writers and builds may share.

    `store` is that folder; what else lies in it is left alone. Holds 8 bytes an answer in memory. What others wrote is
    seen from the next `refresh` on. `lost`: the media of answers that were looked for in vain, or found to be other
    bytes. Threads may share one. Every method raises BuildError where a file is no file of a ledger, or the disk
    refuses.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lost: set[str] = set()
        self._files: dict[str, _File] = {}
        self._lock = threading.Lock()
        self._merging = threading.Lock()

    def refresh(self) -> None:
        """Learn of the files that are new and forget those that are gone."""
        known = set(self._known())
        listed, fresh = self._read_all(known, lambda name: _file(*segments.read_keys(self._store, name)))
        with self._lock:
            self._files.update(fresh)
            for name in known - listed:  # what was sealed since the listing is in neither
                self._files.pop(name, None)

    def find(self, hashes: Sequence[str]) -> dict[str, Entry]:
        """The answers to these hashes; of several to one hash the earliest (asked_at, id), in any file.

        One whose media are lost is none.
        """
        wanted = pa.array(list(dict.fromkeys(hashes)), pa.string())
        keys = _prefixes(wanted)
        found: dict[str, Entry] = {}
        seen: set[str] = set()
        while True:
            try:
                for name, file in self._known().items():
                    if name in seen:
                        continue
                    hits = file.may_hold(keys)
                    if hits.any():
                        for entry in segments.read_answers(self._store, name, wanted.filter(pa.array(hits))):
                            if self._has_lost(entry):
                                continue
                            first = found.get(entry.hash, entry)
                            found[entry.hash] = min(first, entry, key=lambda one: (one.asked_at, one.id))
                    seen.add(name)
                return found
            except Gone:
                self.refresh()

    def keep(self, data: bytes) -> None:
        """Write the media of an answer, before its entry is sealed. When this returns they survive kill -9."""
        media.write(self._store, data)

    def media(self, entry: Entry) -> bytes:
        """What an answer refers to, the very bytes that were paid for. Raises BuildError where they are lost."""
        digest = media.hash_of(entry)
        data = media.read(self._store, digest) if digest else None
        if data is None:
            raise BuildError(
                f"{self._store}/{media.path_of(digest or entry.hash)}: is gone, or is not what was paid for; run the "
                "same command again to have it asked again"
            )
        return data

    def _has_lost(self, entry: Entry) -> bool:
        digest = media.hash_of(entry)
        if digest is None or media.read(self._store, digest) is not None:
            return False
        self.lost.add(digest)
        return True

    def seal(self, entries: Sequence[Entry]) -> None:
        """Write `entries` as one new file. When this returns they survive kill -9 and are found."""
        if not entries:
            return
        table = segments.table_of(entries)
        name = segments.name_of(table, uuid.uuid4().hex)
        segments.write(self._store, name, table)
        file = _file(table, table.nbytes)
        with self._lock:
            self._files[name] = file

    def check_writable(self) -> None:
        """Raises BuildError where nothing can be written: better known before an answer is paid for."""
        name = f"probe-{uuid.uuid4().hex}"
        self._store.put_bytes(name, bytes(_PROBE))
        self._store.delete(name)

    def merge(self) -> None:
        """Combine the small files that are known into files of about MERGED entries, and delete them."""
        with self._merging:
            small = {name: file for name, file in self._known().items() if file.is_small}
            for group in _groups(small):
                self._merge(group)

    def _merge(self, names: Sequence[str]) -> None:
        try:
            table = segments.combine([segments.read(self._store, name) for name in names])
        except Gone:  # others merge the same files: theirs will do
            self.refresh()
            return
        merged = segments.name_of(table)
        segments.write(self._store, merged, table)
        file = _file(table, table.nbytes)
        replaced = [name for name in names if name != merged]  # one may have held all that the others hold
        with self._lock:
            self._files[merged] = file
            for name in replaced:
                self._files.pop(name, None)
        for name in replaced:
            self._store.delete(name)

    @property
    def small(self) -> int:
        """How many small files are known; a merge makes one of them, or few."""
        return sum(file.is_small for file in self._known().values())

    def totals(self, build: str, run: str | None = None) -> Totals:
        """The sums over all entries of `build`, or of one `run` of it, each id once, whoever wrote them.

        Reads all files, known or not.
        """

        def of_build(name: str) -> pa.Table:
            table = segments.read(self._store, name, _COUNTED)
            table = table.filter(pc.equal(table["build"], build))
            return table if run is None else table.filter(pc.equal(table["run"], run))

        _, parts = self._read_all(set(), of_build)
        table = segments.once(pa.concat_tables([SCHEMA.empty_table().select(_COUNTED), *parts.values()]))
        answered = table.filter(pc.equal(table["outcome"], ANSWER))
        return Totals(
            table.num_rows,
            answered.num_rows,
            pc.sum(table["tokens_in"]).as_py() or 0,
            pc.sum(table["tokens_out"]).as_py() or 0,
            round(math.fsum(table["usd"].drop_null().to_pylist()), 6),  # the same in any order of the files
            answered["usd"].null_count,
        )

    def _known(self) -> dict[str, _File]:
        with self._lock:
            return dict(self._files)

    def _read_all(self, known: set[str], read: Callable[[str], T]) -> tuple[set[str], dict[str, T]]:
        """The files that there are, and what `read` makes of those beside `known`."""
        made: dict[str, T] = {}
        while True:
            listed = files_of(self._store)
            try:
                for name in sorted(listed - known - made.keys()):
                    made[name] = read(name)
                return listed, made
            except Gone:
                continue


@dataclass(frozen=True)
class _File:
    """What is kept in memory of a file: how much it holds, and the sorted prefixes of the hashes of its answers."""

    entries: int
    size: int
    answered: Prefixes

    @property
    def is_small(self) -> bool:
        return 0 < self.entries < MERGED and self.size < LARGE

    def may_hold(self, wanted: Prefixes) -> npt.NDArray[np.bool_]:
        """Of each prefix: whether an answer to a hash that begins so lies in the file."""
        if not len(self.answered):
            return np.zeros(len(wanted), dtype=bool)
        places = np.searchsorted(self.answered, wanted)
        found: npt.NDArray[np.bool_] = self.answered[np.minimum(places, len(self.answered) - 1)] == wanted
        return found


def _file(keys: pa.Table, size: int) -> _File:
    answers = keys["hash"].filter(pc.equal(keys["outcome"], ANSWER))
    return _File(keys.num_rows, size, np.sort(_prefixes(answers)))


def _prefixes(hashes: pa.Array | pa.ChunkedArray) -> Prefixes:
    """The first 8 bytes of each hash (16 digits in hex) as a number. Any other text comes to some number, too."""
    heads = pc.binary_slice(hashes.cast(pa.binary()), 0, 16).to_numpy(zero_copy_only=False)
    digits = heads.astype("S16").view(np.uint8).reshape(-1, 16)
    values = (digits & 15) + 9 * (digits >> 6)  # ASCII: the digits are 0x30…, the letters 0x41… and 0x61…
    numbers: Prefixes = (values[:, 0::2] << 4 | values[:, 1::2]).view(">u8").ravel().astype(np.uint64)
    return numbers


def _groups(small: dict[str, _File]) -> list[list[str]]:
    """Names by the file that they are merged into, oldest first: of MERGED entries or LARGE bytes, or what is left."""
    groups: list[list[str]] = [[]]
    entries = size = 0
    for name, file in sorted(small.items()):
        groups[-1].append(name)
        entries, size = entries + file.entries, size + file.size
        if entries >= MERGED or size >= LARGE:
            groups.append([])
            entries = size = 0
    return [group for group in groups if len(group) > 1]
