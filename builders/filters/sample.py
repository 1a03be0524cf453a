"""The sample of a filtered pair."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from builders.step import Record, Result, Services


@dataclass
class PairSample:
    """Adds `json`, the sample's `key.json`: key, caption, and all of `columns`, as the index holds them."""

    columns: tuple[str, ...]
    name: ClassVar = "pair_sample"
    adds: ClassVar = {"json": pa.large_binary()}

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("key", "caption", *self.columns)))

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [{"json": json.dumps(strict(record), ensure_ascii=False).encode()} for record in records]


def strict(record: Record) -> dict[str, Any]:
    """What JSON can hold: NaN and infinity, which a table may bring, become null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in record.items()
    }
