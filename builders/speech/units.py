"""Speech as text for a language model: unit ids with repeats merged, written `<sosp><5><7><5><eosp>` (SpeechGPT)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_TEXT = re.compile(r"<sosp>((?:<(?:0|[1-9][0-9]{0,8})>)*)<eosp>")


@dataclass(frozen=True)
class Units:
    """The units of one utterance, no two neighbours equal, and for how many frames each holds; else ValueError."""

    ids: tuple[int, ...]
    durations: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.durations):
            raise ValueError(f"{len(self.ids)} units with {len(self.durations)} durations")
        if min(self.durations, default=1) < 1:
            raise ValueError("a unit that lasts no frame")
        _check(self.ids)

    def __str__(self) -> str:
        return f"<sosp>{''.join(f'<{unit}>' for unit in self.ids)}<eosp>"


def merge(frames: Sequence[int] | np.ndarray) -> Units:
    """One unit for each run of equal ids: 5 5 5 7 7 5 -> <sosp><5><7><5><eosp>, for 3, 2 and 1 frames."""
    if not len(frames):
        return Units((), ())
    ids = np.asarray(frames)
    starts = np.concatenate([[0], np.flatnonzero(ids[1:] != ids[:-1]) + 1])
    return Units(tuple(ids[starts].tolist()), tuple(np.diff(starts, append=len(ids)).tolist()))


def parse_units(text: str) -> tuple[int, ...]:
    """The ids that `str(Units)` wrote. Raises ValueError for any other text."""
    found = _TEXT.fullmatch(text)
    if not found:
        raise ValueError(f"{_short(text)}: no units; they are written <sosp><5><7><eosp>")
    ids = tuple(int(unit) for unit in found[1][1:-1].split("><")) if found[1] else ()
    _check(ids)
    return ids


def distance(a: Sequence[int], b: Sequence[int]) -> float:
    """Insertions, deletions and exchanges that make `b` of `a` (Levenshtein), over the longer one's length: 0..1."""
    longer = max(len(a), len(b))
    return _edits(a, b) / longer if longer else 0.0


def _check(ids: Sequence[int]) -> None:
    if min(ids, default=0) < 0:
        raise ValueError(f"the unit {min(ids)}; the first is 0")
    twice = next((i for i in range(1, len(ids)) if ids[i] == ids[i - 1]), None)
    if twice is not None:
        raise ValueError(f"the unit {ids[twice]} follows itself at {twice}; merge repeats first")


def _edits(a: Sequence[int], b: Sequence[int]) -> int:
    """Hyyrö's bit-parallel form (2003) of Myers' algorithm: a column of the table is one whole number, a bit a row.

    `up` and `down` are the rows where the column grows and shrinks by one from the row above.
    """
    if not a:
        return len(b)
    rows: dict[int, int] = {}
    for i, unit in enumerate(a):
        rows[unit] = rows.get(unit, 0) | 1 << i
    every, last = (1 << len(a)) - 1, 1 << len(a) - 1
    up, down, edits = every, 0, len(a)
    for unit in b:
        equal = rows.get(unit, 0)
        free = (((equal & up) + up) ^ up) | equal | down
        right_up = down | every & ~(free | up)
        right_down = up & free
        edits += bool(right_up & last) - bool(right_down & last)
        right_up = right_up << 1 | 1
        up = every & (right_down << 1 | ~(equal | down | right_up))
        down = every & right_up & (equal | down)
    return edits


def _short(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}…"
