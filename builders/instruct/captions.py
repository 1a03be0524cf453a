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

    `column` holds them: `_captions`, a list, or `_caption`, where a source has one. Captions longer than `max_chars`,
    and with control characters, are left out and counted in `captions_dropped` as the empty ones are.
    """

    column: str
    max_chars: int
    name: ClassVar = "captions"
    adds: ClassVar = {"_told": pa.list_(pa.string()), "n_captions": pa.int32(), "captions_dropped": pa.int32()}

    @property
    def reads(self) -> tuple[str, ...]:
        return self.column, "_problem"

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
        told = [line for caption in given if self._fits(line := " ".join(caption.expandtabs(1).splitlines()).strip())]
        if not told:
            return Rejected("no_caption", f"none of {len(given)} can be used")
        return {"_told": told, "n_captions": len(told), "captions_dropped": len(given) - len(told)}

    def _fits(self, caption: str) -> bool:
        return 0 < len(caption) <= self.max_chars and not any(unicodedata.category(c) == "Cc" for c in caption)
