"""Naive expansion: one caption becomes one turn (LLaVA, arXiv 2304.08485, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import pyarrow as pa

from builders.dice import Dice
from builders.instruct.questions import BRIEF, DETAILED
from builders.instruct.turns import IMAGE, Turn
from builders.step import Record, Rejected, Result, Services

QUESTIONS = {"brief": BRIEF, "detailed": DETAILED}


@dataclass
class ExpandCaption:
    """Adds `_turns`: a question drawn by (seed, key), and the caption as its answer."""

    style: Literal["brief", "detailed"]
    seed: int
    name: ClassVar = "expand"
    reads: ClassVar = ("key", "caption")
    adds: ClassVar = {"_turns": pa.list_(pa.struct([("question", pa.string()), ("answer", pa.string())]))}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._expand(record["key"], record["caption"]) for record in records]

    def _expand(self, key: str, caption: str) -> Result:
        if IMAGE in caption:
            return Rejected("image_token", f"the caption holds {IMAGE}, which a trainer would take for another image")
        question = Dice(self.seed, "question", key).pick(QUESTIONS[self.style])
        return {"_turns": [vars(Turn(question, caption))]}
