"""Times contenders against each other, and prints what came out as ratios."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One line of the table. `target` is the least good ratio, or, where `at_most`, the greatest."""

    what: str
    ours: str
    other: str
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    target: float | None = None
    at_most: bool = False

    @property
    def good(self) -> bool | None:
        """Whether the ratio meets its target; None where it has none."""
        if self.ratio is None or self.target is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


def interleave(contenders: Mapping[str, Callable[[int], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round: A B C, C B A, A B C, …, after one round that is not measured.

    What slows the machine for a while slows all of them, and none is always the one that finds the caches warm. A
    contender is told the number of the round. One that times itself returns its seconds (float).
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name in list(contenders) if turn % 2 else reversed(list(contenders)):
            gc.collect()
            began = time.perf_counter()
            told = contenders[name](turn)
            took = time.perf_counter() - began
            if turn:
                seconds[name].append(told if isinstance(told, float) else took)
    return seconds


def compare(
    what: str, ours: list[float], other: list[float], amount: float, unit: str, target: float | None = None
) -> Row:
    """A row of speeds: the median over the rounds of the ratio in each, and the least and greatest of them."""
    each = [b / a for a, b in zip(ours, other, strict=True)]
    mine, theirs = (f"{amount / statistics.median(seconds):,.0f} {unit}" for seconds in (ours, other))
    return Row(what, mine, theirs, statistics.median(each), (min(each), max(each)), target)


def show(title: str, rows: list[Row]) -> None:
    """Print the rows of one benchmark as a table."""
    table = Table(title=title, title_justify="left")
    for name in ("", "gristmill", "compared with", "ratio", "rounds", "target", ""):
        table.add_column(name, justify="left" if not name else "right")
    for row in rows:
        target = "" if row.target is None else f"{'≤' if row.at_most else '≥'} {row.target:g}"
        table.add_row(
            row.what,
            row.ours,
            row.other,
            "" if row.ratio is None else f"{row.ratio:.2f}",
            f"{row.spread[0]:.2f}-{row.spread[1]:.2f}" if row.spread else "",
            target,
            {True: "good", False: "MISSED", None: ""}[row.good],
        )
    Console(width=132).print(table)


def machine() -> str:
    """The machine in a line, and how busy it was with other work."""
    return f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} before the start"
