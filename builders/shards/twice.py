"""Keys that stand twice in a dataset, looked for with 8 bytes a key: 10^9 of them take 8 GB, not 100."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from builders.places.several import each_of_many
from builders.shards.store import Store
from builders.shards.unit import index_path

_MOST = 10_000
"""Hashes that are looked into, where many stand twice."""


def hashed(keys: Iterable[str]) -> bytes:
    """Of each key 8 bytes, one after the other."""
    return b"".join(map(_hash, keys))


def _hash(key: str) -> bytes:
    return hashlib.blake2b(str(key).encode(), digest_size=8).digest()


def twice(store: Store, units: Sequence[int], hashes: bytearray) -> Iterator[tuple[str, list[int]]]:
    """The keys that stand more than once in the indexes of `units`, with the units that hold them; a unit as often as
    it does. `hashes`: those of all these keys, which are sorted here. Indexes are read only where two are equal, since
    they may be of keys that differ.
    """
    again = _again(hashes)
    if not again:
        return
    places: dict[str, list[int]] = {}
    for unit, keys in zip(units, each_of_many(store.root, units, partial(_keys_in, store, again)), strict=True):
        for key in keys:
            places.setdefault(key, []).append(unit)
    yield from ((key, where) for key, where in places.items() if len(where) > 1)


def _again(hashes: bytearray) -> frozenset[bytes]:
    """The hashes that stand more than once."""
    numbers = np.frombuffer(hashes, np.uint64)
    numbers.sort()
    equal = np.unique(numbers[1:][numbers[1:] == numbers[:-1]])
    return frozenset(number.tobytes() for number in equal[:_MOST])


def _keys_in(store: Store, hashes: frozenset[bytes], unit: int) -> list[str]:
    """The keys of a unit with one of these hashes; none where its index has become unreadable in the meantime."""
    try:
        with store.open(index_path(unit)) as file:
            keys = pq.read_table(file, columns=["key"])["key"].to_pylist()
    except (OSError, pa.ArrowException, KeyError):
        return []
    return [key for key in keys if _hash(key) in hashes]
