"""Chance that depends on nothing but its key."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


def number(*key: int | str) -> int:
    """64 bits drawn from a key."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), "big")


class Dice:
    """Draws from a key, such as (seed, "scene", 7), all by `random.random`, whose sequence Python guarantees."""

    __slots__ = ("unit",)

    def __init__(self, *key: int | str) -> None:
        self.unit = random.Random(number(*key)).random
        """The next number in 0..1, 1 excluded."""

    def below(self, end: int) -> int:
        """A whole number in 0..end, `end` excluded."""
        return int(self.unit() * end)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def chance(self, probability: float) -> bool:
        return self.unit() < probability

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.unit() * len(items))]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """One of the keys by its weight; none whose weight is 0."""
        wanted = [item for item, weight in weights.items() if weight]
        left = self.unit() * sum(weights.values())
        for item in wanted:
            left -= weights[item]
            if left < 0:
                return item
        return wanted[-1]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        left = list(items)
        return [left.pop(int(self.unit() * len(left))) for _ in items]

    def bytes(self, count: int) -> bytes:
        return bytes(int(self.unit() * 256) for _ in range(count))
