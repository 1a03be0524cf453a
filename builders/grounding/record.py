"""A sample's `key.json`, read: its phrases, and the noun chunks that Qwen-VL would read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builders.grounding.boxes import Box
from builders.grounding.qwen_tags import most_spans
from builders.grounding.tokens import Phrase


def phrases_of(record: Mapping[str, Any]) -> list[Phrase]:
    """The phrases with their boxes, in order; none overlaps another."""
    return [Phrase(p["start"], p["end"], tuple(map(_box, p["boxes"]))) for p in record["phrases"]]


def most_chunks(record: Mapping[str, Any]) -> list[Phrase]:
    """The most noun chunks with boxes of which none overlaps another, in order, as Qwen-VL reads GrIT."""
    items = record["noun_chunks"]
    spans = most_spans((start, end) for start, end, *_ in items)
    return [Phrase(*span, tuple(_box(item[2:6]) for item in items if (item[0], item[1]) == span)) for span in spans]


def _box(values: Sequence[float]) -> Box:
    x1, y1, x2, y2 = values
    return x1, y1, x2, y2
