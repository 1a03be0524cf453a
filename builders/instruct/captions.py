"""All captions of one image, as text that a prompt can hold."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from builders.step import Record, Rejected, Result, Services


@dataclass
class GatherCaptions:
    """Adds `_told`: the image's captions in their order, each on one line, without those that hold nothing.

    `column` holds them: `_captions`, a list, from which the source has left out `_captions_broken` that are no text; or
    `_caption`, where a source has one. Those without a letter or digit, with control characters, or longer than
    `max_chars` are left out as well. `captions_dropped` counts all of these.
    """

    column: str
    max_chars: int
    name: ClassVar = "captions"
    adds: ClassVar = {"_told": pa.list_(pa.string()), "n_captions": pa.int32(), "captions_dropped": pa.int32()}

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column, "_problem", *(("_captions_broken",) if self.column == "_captions" else ()))

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._gather(record) for record in records]

    def _gather(self, record: Record) -> Result:
        if record["_problem"]:
            reason, _, detail = record["_problem"].partition(": ")
            return Rejected(reason, detail)
        given = record[self.column]
        given = given if isinstance(given, list) else [given or ""]
        count = len(given) + (record.get("_captions_broken") or 0)
        told = [line for caption in given if self._fits(line := " ".join(caption.expandtabs(1).splitlines()).strip())]
        if not told:
            return Rejected("no_caption", f"none of {count} can be used")
        return {"_told": told, "n_captions": len(told), "captions_dropped": count - len(told)}

    def _fits(self, caption: str) -> bool:
        if len(caption) > self.max_chars or not any(c.isalnum() for c in caption):
            return False
        return not any(unicodedata.category(c) == "Cc" for c in caption)
