"""One display of a build: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_EVERY_S = 0.5
_LINE_EVERY_S = 10.0


class Display:
    """Shows what `read` counts until the block ends. Units and inputs of earlier runs are counted in `start`.

    `calls`: requests to a language model that this run may make.
    """

    def __init__(
        self,
        read: Callable[[], Mapping[str, float]],
        units: int,
        inputs: int,
        start: Mapping[str, float],
        calls: int = 0,
    ) -> None:
        self._read, self._units, self._inputs, self._start, self._calls = read, units, inputs, dict(start), calls
        self._console = Console(stderr=True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._began = time.monotonic()

    def __enter__(self) -> Display:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

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

    def _line(self, counts: Mapping[str, float]) -> str:
        seconds = max(time.monotonic() - self._began, 1e-9)
        speed = (counts["inputs"] - self._start["inputs"]) / seconds
        left = (self._inputs - counts["inputs"]) / speed if speed else float("inf")
        told = " ".join(f"{name} {int(counts[name]):,}" for name in ("kept", "rejected", "failed"))
        ends = f"{left:,.0f} s left" if left != float("inf") else "starting"
        line = f"units {int(counts['units']):,}/{self._units:,}  {told}  {speed:,.0f} records/s  {ends}"
        return f"{line}  {money}" if (money := spent(counts, self._calls)) else line

    def _lines(self) -> None:
        last = ""
        while not self._stop.wait(_LINE_EVERY_S):
            counts = self._counts()
            line = self._line(counts) if counts else last
            if line != last:
                print(line, file=sys.stderr, flush=True)
            last = line

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
                    speed = (counts["inputs"] - self._start["inputs"]) / (time.monotonic() - self._began)
                    told: Any = {name: counts[name] for name in ("kept", "rejected", "failed")}
                    told["money"] = spent(counts, self._calls)
                    progress.update(task, completed=counts["units"], speed=speed, **told)


def spent(counts: Mapping[str, float], calls: int) -> str:
    """What this run has paid for answers, and what it will come to; "" before anything was asked."""
    answers, usd = counts.get("answers", 0), counts.get("usd", 0)
    if not answers:
        return ""
    left = max(0, calls - answers - counts.get("from_ledger", 0))
    asked = f"{int(counts['asked']):,} asked"
    if counts.get("unpriced"):
        return f"{asked}, cost unknown"
    return f"{asked}, ${usd:,.2f} of about ${usd + left * usd / answers:,.2f}"
