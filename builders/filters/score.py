"""A rule on a score: the score is a column by then, so it stands in index or rejects whatever comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa

from builders.step import Record, Rejected, Result, Services

DECIMALS = 6
"""Scores are rounded to so many before they are stored, as float64, or compared: float32 makes 0.69999999 of 0.7."""


@dataclass
class MinScore:
    """Rejects what scores below `min_score` or above `max_score`; the bounds themselves are kept.

    `by_language` holds the minimum of single languages (as `en`), which `language` names; all others get `min_score`.
    LAION-400M: 0.3; LAION-5B: 0.28 for English, 0.26 for other languages (ViT-B/32).
    """

    min_score: float | None
    column: str = "clip_score"
    max_score: float | None = None
    by_language: Mapping[str, float] = field(default_factory=dict)
    language: str = "language"
    adds: ClassVar[Mapping[str, pa.DataType]] = {}

    @property
    def name(self) -> str:
        return f"min_{self.column}" if self.max_score is None else f"range_{self.column}"

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column, self.language) if self.by_language else (self.column,)

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._judge(record) for record in records]

    def _judge(self, record: Record) -> Result:
        score = record[self.column]
        if score is None:
            return Rejected("no_score", f"{self.column} is null")
        language = record[self.language] if self.by_language else None
        least = self.by_language.get(language, self.min_score) if language else self.min_score
        if least is not None and score < least:
            return Rejected("low_score", f"{score:.{DECIMALS}f} < {least:g}" + (f" ({language})" if language else ""))
        if self.max_score is not None and score > self.max_score:
            return Rejected("high_score", f"{score:.{DECIMALS}f} > {self.max_score:g}")
        return {}
