"""What a build shows of itself: a bar on a terminal, lines for machines (see logs.py) elsewhere."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipelines import logs
from schemas.manifest import OUTCOMES

_EVERY_S = 0.5
_LINES_EVERY_S = 1.0
_PROGRESS_EVERY_S = 10.0
_LAST_S = 11.0
"""The last units are waited for: two questions to a watch that may take 5 s each."""

News = Callable[[int], tuple[int, Sequence[Mapping[str, Any]]]]
"""See `Watch.news`."""


class Display:
    """Shows what `read` counts and which units are the `news`, until the block ends. Units and inputs of earlier runs
    are counted in `start`.

    On a terminal a bar. Elsewhere a line a unit, of more in a second than `Watch` keeps one for the others together,
    and every ten seconds one that tells speed, time left and money. `calls`: requests to a language model that this
    run may make.
    """

    def __init__(
        self,
        dataset: str,
        read: Callable[[], Mapping[str, float]],
        news: News,
        units: int,
        inputs: int,
        start: Mapping[str, float],
        calls: int = 0,
    ) -> None:
        self._dataset, self._read, self._news = dataset, read, news
        self._units, self._inputs, self._start, self._calls = units, inputs, dict(start), calls
        self._console = Console(stderr=True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._began = self._told_at = time.monotonic()
        self._seen = 0

    def __enter__(self) -> Display:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=_LAST_S)

    def _run(self) -> None:
        if self._console.is_terminal:
            self._bar()
        else:
            self._lines()

    def _counts(self) -> dict[str, float] | None:
        try:
            return {**self._start, **self._read()}
        except Exception:  # the watch lives in the cluster and may be gone; a display must never end a build
            return None

    def _speed(self, counts: Mapping[str, float]) -> float:
        """Inputs a second."""
        return (counts["inputs"] - self._start["inputs"]) / max(time.monotonic() - self._began, 1e-9)

    def _lines(self) -> None:
        with logs.about(math.inf, dataset=self._dataset):
            while not self._stop.wait(_LINES_EVERY_S):
                self._tell()
            self._tell()  # what was committed last

    def _tell(self) -> None:
        counts = self._counts()
        if counts is None:
            return
        try:
            seen, units = self._news(self._seen)
        except Exception:
            return
        more, self._seen = seen - self._seen - len(units), seen
        done: dict[str, Any] = {"units_done": int(counts["units"]), "units": self._units}
        if more > 0:
            logs.tell("units_committed", more=more, **done)
        for unit in units:
            logs.tell("unit_committed", **unit)
        if time.monotonic() - self._told_at >= _PROGRESS_EVERY_S:
            self._told_at = time.monotonic()
            logs.tell("progress", **done, **self._progress(counts))

    def _progress(self, counts: Mapping[str, float]) -> dict[str, Any]:
        speed = self._speed(counts)
        told: dict[str, Any] = {name: int(counts[name]) for name in OUTCOMES}
        told["inputs_per_second"] = round(speed, 1)
        if speed:
            told["seconds_left"] = round((self._inputs - counts["inputs"]) / speed)
        if counts.get("asked"):
            told |= {name: counts[name] for name in ("asked", "answers", "unpriced", "usd")}
            told["usd_expected"] = round(expected_usd(counts, self._calls), 4)
        return told

    def _bar(self) -> None:
        columns = (
            TextColumn("units {task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(),
            TextColumn("[green]{task.fields[kept]:,.0f} kept[/] [yellow]{task.fields[rejected]:,.0f} rejected[/]"),
            TextColumn("[red]{task.fields[failed]:,.0f} failed[/] {task.fields[speed]:,.0f} records/s"),
            TextColumn("{task.fields[money]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("", total=self._units, kept=0, rejected=0, failed=0, speed=0, money="")
            while not self._stop.wait(_EVERY_S):
                counts = self._counts()
                if counts:
                    told: Any = {name: counts[name] for name in OUTCOMES}
                    told["money"] = spent(counts, self._calls)
                    progress.update(task, completed=counts["units"], speed=self._speed(counts), **told)


def spent(counts: Mapping[str, float], calls: int) -> str:
    """What this run has paid for answers, and what it will come to; "" before anything was asked."""
    if not counts.get("answers"):
        return ""
    asked = f"{int(counts['asked']):,} asked"
    if counts.get("unpriced"):
        return f"{asked}, cost unknown"
    return f"{asked}, ${counts.get('usd', 0):,.2f} of about ${expected_usd(counts, calls):,.2f}"


def expected_usd(counts: Mapping[str, float], calls: int) -> float:
    """What this run will have paid when it ends, if its answers go on to cost what they did."""
    answers, usd = counts.get("answers", 0), counts.get("usd", 0)
    left = max(0, calls - answers - counts.get("from_ledger", 0))
    return usd + left * usd / answers if answers else usd


def say(dataset: str, event: str, level: logs.Level = "info", **fields: Any) -> None:
    """A line of the driver's, for machines; none on a terminal."""
    if not Console(stderr=True).is_terminal:
        with logs.about(dataset=dataset):
            logs.tell(event, level, **fields)
