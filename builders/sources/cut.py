"""Where one unit ends and the next begins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

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


def cut_runs(runs: Iterable[tuple[int, int]], most: int) -> list[int]:
    """What `cut` comes to for runs of inputs, each a count and the bytes of every input in it, without looking at the
    inputs one by one."""
    units: list[int] = []
    count = size = 0
    for left, media in runs:
        each = max(1, min(most, UNIT_BYTES // media if media else most))
        if count and size + media <= UNIT_BYTES:
            fit = min(left, most - count, (UNIT_BYTES - size) // media if media else left)
            count, size, left = count + fit, size + fit * media, left - fit
        if left:
            whole, last = divmod(left - 1, each)  # the last unit stays open: the next run's inputs may fit in
            units += [count] * (count > 0) + [each] * whole
            count, size = last + 1, (last + 1) * media
    return [*units, count] if count else units


def digests_of(listed: Sequence[Any], sizes: Iterable[int]) -> list[str]:
    """SHA-256 in hex of what was listed of the inputs of each unit (plain JSON values), for units of these sizes."""
    digests, start = [], 0
    for size in sizes:
        digests.append(hashlib.sha256(json.dumps(listed[start : start + size]).encode()).hexdigest())
        start += size
    return digests
