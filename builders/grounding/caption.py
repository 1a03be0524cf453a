"""The caption as text that a sample can hold."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from builders.step import Record, Rejected, Result, Services


@dataclass
class CheckCaption:
    """Adds `caption`: the source's, without the white space around it. Every offset counts characters of this text.

    `grounded`: it will carry tokens such as `<phrase>`, so that "<" in it would mislead readers.
    """

    max_chars: int
    grounded: bool = False
    name: ClassVar = "check_caption"
    reads: ClassVar = ("_caption", "_problem")
    adds: ClassVar = {"caption": pa.string()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._check(record) for record in records]

    def _check(self, record: Record) -> Result:
        if record["_problem"]:
            reason, _, detail = record["_problem"].partition(": ")
            return Rejected(reason, detail)
        caption = record["_caption"].strip()
        if not caption:
            return Rejected("empty_caption")
        if len(caption) > self.max_chars:
            return Rejected("caption_too_long", f"{len(caption)} characters are over {self.max_chars}")
        control = next((c for c in caption if unicodedata.category(c) == "Cc" and c not in "\n\t\r"), None)
        if control is not None:
            return Rejected("control_character", f"U+{ord(control):04X} at character {caption.index(control)}")
        if self.grounded and "<" in caption:
            return Rejected("markup", f"'<' at character {caption.index('<')}: readers would take it for a token")
        return {"caption": caption}
