"""Lines for machines to collect: one JSON object a line on stderr, with dataset, unit and stage where they are known.

The driver's are what `ray job logs` shows; a worker's stand in its own file among Ray's logs. They hold counts, names
and keys, never what records hold nor what an exception says of it: that is in the rejects. Only `build_stopped` has
words, those with which the command ends.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

MOST = 20
"""Lines of one unit in one stage; of more, only their number is told."""

Level = Literal["info", "warning", "error"]


@dataclass
class _Place:
    fields: dict[str, Any]
    most: float
    told: int = 0


_place: ContextVar[_Place | None] = ContextVar("place", default=None)


def tell(event: str, level: Level = "info", **fields: Any) -> None:
    """Write one line, within `about`; outside of it no build is running (`plan` tries steps), and nothing is told."""
    place = _place.get()
    if place:
        place.told += 1
        if place.told <= place.most:
            _write(event, level, {**place.fields, **fields})


@contextmanager
def about(most: float = MOST, **fields: Any) -> Iterator[None]:
    """What is told within has these fields, too; after `most` lines only the number of the further ones is told."""
    place = _Place(fields, most)
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)
        if place.told > most:
            _write("lines_left_out", "warning", {**fields, "lines": place.told - most})


def _write(event: str, level: Level, fields: dict[str, Any]) -> None:
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"at": at, "level": level, "event": event, **fields})  # ASCII: one line in any encoding
    print(line, file=sys.stderr, flush=True)


def raised(error: BaseException) -> dict[str, str]:
    """An exception without its words: its class, and the file and line that raised it."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return {"error": type(error).__name__, "raised_by": place}
