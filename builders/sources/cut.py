"""Where one unit ends and the next begins."""

from __future__ import annotations

from collections.abc import Iterable

UNIT_BYTES = 256_000_000
"""A unit's media stay under about this, so that a block fits a worker's memory many times."""


def cut(sizes: Iterable[int], most: int) -> list[int]:
    """Unit sizes for inputs whose media have `sizes` bytes: at most `most` inputs and UNIT_BYTES, at least one."""
    units: list[int] = []
    count = size = 0
    for media in sizes:
        if count and (count == most or size + media > UNIT_BYTES):
            units.append(count)
            count = size = 0
        count += 1
        size += media
    return [*units, count] if count else units
