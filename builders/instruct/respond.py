"""Which response an image gets: conversation, detail or complex reasoning (LLaVA, arXiv 2304.08485, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from builders.dice import Dice
from builders.instruct.parse import Kind
from builders.step import Child, Record, Result, Services


@dataclass
class ChooseResponse:
    """Adds `response`. One is drawn by (seed, key) with `weights`, or `every` one whose weight is above 0 becomes a
    record of its own, with the response's name at the end of its key."""

    weights: Mapping[Kind, float]
    every: bool
    seed: int
    name: ClassVar = "choose_response"
    reads: ClassVar = ("key",)
    adds: ClassVar = {"response": pa.string()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        wanted = [kind for kind, weight in self.weights.items() if weight]
        if self.every:
            return [[Child(kind, {"response": kind}) for kind in wanted] for _ in records]
        return [{"response": Dice(self.seed, "response", record["key"]).weighted(self.weights)} for record in records]
