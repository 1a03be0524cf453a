"""Several files of an object store at once: each takes some 30 ms, nearly all of it waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from builders.uri import Place

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 16
"""Files that are asked for at once, by one process."""
_AHEAD = 1000
"""Of many items, those of which all may have come before the first is looked at."""


def each(root: Place, items: Iterable[T], read: Callable[[T], R]) -> Iterator[R]:
    """What `read` returns of each item, in order; from an object store, if that is where `root` is, several at once.

    What it raises of an item is raised when that item's turn comes.
    """
    if isinstance(root, Path):
        yield from map(read, items)
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(read, items)


def each_of_many(root: Place, items: Sequence[T], read: Callable[[T], R]) -> Iterator[R]:
    """As `each`, and never more than some of what it returns is held."""
    for start in range(0, len(items), _AHEAD):
        yield from each(root, items[start : start + _AHEAD], read)
