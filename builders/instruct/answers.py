"""From an answer, or from the annotations alone, to turns that a sample may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from builders.dice import Dice
from builders.instruct.context import boxes_of
from builders.instruct.parse import Unreadable, parse_turns
from builders.instruct.quality import REFUSAL, Rule, broken
from builders.instruct.questions import DETAILED
from builders.instruct.template.compose import Seen, Template
from builders.instruct.turns import Turn
from builders.step import Record, Rejected, Result, Services

TURNS = pa.list_(pa.struct([("question", pa.string()), ("answer", pa.string())]))
TEMPLATE = "template"
"""The `model` of samples that no model has written."""
_CUT = {"length": "truncated", "refusal": "refusal", "content_filter": "content_filter"}
"""What an answer is that the API itself did not call whole, by its finish reason."""

LONGEST = 100_000
"""Characters of an answer that is read: 20 times what a recipe allows one text by default. Our choice."""


@dataclass
class ReadAnswer:
    """Adds `_read`, the turns of the answer. One of over `longest` characters is rejected before it is looked at."""

    longest: int = LONGEST
    name: ClassVar = "read_answer"
    reads: ClassVar = ("response", "_text", "_finish_reason")
    adds: ClassVar = {"_read": TURNS}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._read(record) for record in records]

    def _read(self, record: Record) -> Result:
        text, ended = record["_text"] or "", record["_finish_reason"]
        if ended in _CUT:
            return Rejected(_CUT[ended], text[-200:])
        if len(text) > self.longest:
            return Rejected("too_long", f"{len(text):,} characters are over {self.longest:,}")
        try:
            turns = parse_turns(text, record["response"])
        except Unreadable as error:
            refused = broken([Turn("", text)], [REFUSAL])
            return Rejected(*refused) if refused else Rejected(error.reason, f"{error.detail}: {text[:200]!r}")
        return {"_read": [vars(turn) for turn in turns]}


@dataclass
class ComposeAnswer:
    """Adds `_read`, turns composed of what the annotations decide, and `model`: "template"."""

    template: Template
    name: ClassVar = "template"
    reads: ClassVar = ("key", "response", "_told", "_gold", "boxes_invalid")
    adds: ClassVar = {"_read": TURNS, "model": pa.string()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._compose(record) for record in records]

    def _compose(self, record: Record) -> Result:
        crowds = frozenset(item["category"] for item in record["_gold"] if item["crowd"])
        seen = Seen(tuple(record["_told"]), boxes_of(record), crowds, bool(record["boxes_invalid"]))
        turns = self.template.turns(seen, record["response"], record["key"])
        if isinstance(turns, Rejected):
            return Rejected(turns.reason, turns.detail, {"model": TEMPLATE})
        return {"_read": [vars(turn) for turn in turns], "model": TEMPLATE}


@dataclass
class CheckTurns:
    """Adds `_turns`: those of `_read` if they break none of `rules`; a description gets its question by (seed, key)."""

    rules: tuple[Rule, ...]
    seed: int
    name: ClassVar = "check_turns"
    reads: ClassVar = ("key", "_read")
    adds: ClassVar = {"_turns": TURNS}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._check(record["key"], record["_read"]) for record in records]

    def _check(self, key: str, read: list[dict[str, Any]]) -> Result:
        turns = [Turn(**turn) for turn in read]
        if problem := broken(turns, self.rules):
            return Rejected(*problem)
        asked = Dice(self.seed, "question", key).pick(DETAILED)
        return {"_turns": [vars(Turn(turn.question or asked, turn.answer)) for turn in turns]}
