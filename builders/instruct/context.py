"""What a language model is told of an image: its captions, or captions and boxes (LLaVA, arXiv 2304.08485, table 1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from builders.step import Record

Corners = tuple[float, float, float, float]
"""Left, top, right, bottom, in 0..1 of the image's sides."""

_LINE = re.compile(r"(?P<category>.+): \[(?P<corners>[^\[\]]+)\]")


@dataclass(frozen=True)
class Box:
    """An object of a category, and where it is."""

    category: str
    corners: Corners


@dataclass(frozen=True)
class Context:
    """All captions of one image in their order, and its boxes; none where only the captions are shown."""

    captions: tuple[str, ...]
    boxes: tuple[Box, ...] = ()

    def __str__(self) -> str:
        """Captions, a line each; an empty line; boxes, a line each, rounded to three decimals."""
        told = "\n".join(self.captions)
        return "\n".join([told, "", *map(_told, self.boxes)]) if self.boxes else told


def context_of(record: Record, boxes: bool) -> Context:
    """The image as `_told` and `_gold` tell it, regions of crowds left out."""
    return Context(tuple(record["_told"]), boxes_of(record) if boxes else ())


def boxes_of(record: Record) -> tuple[Box, ...]:
    """The boxes in file order, but for those of crowds, which would be taken for one thing."""
    shown = [item for item in record["_gold"] if not item["crowd"]]
    return tuple(Box(item["category"], (item["x1"], item["y1"], item["x2"], item["y2"])) for item in shown)


def parse_context(text: str) -> Context:
    """What `str` of a context says. Raises ValueError for a line after the empty one that is no box."""
    captions, _, boxes = text.partition("\n\n")
    return Context(tuple(captions.splitlines()), tuple(map(_box, boxes.splitlines())))


def corners_of(pixels: Sequence[float], width: float, height: float) -> Corners:
    """COCO's [x, y, width, height] in pixels of an image of `width` x `height` as corners in 0..1."""
    x, y, wide, high = pixels
    return x / width, y / height, (x + wide) / width, (y + high) / height


def _told(box: Box) -> str:
    category = " ".join(box.category.splitlines())
    return f"{category}: [{', '.join(map(_decimals, box.corners))}]"


def _decimals(number: float) -> str:
    return str(round(float(number), 3) + 0.0)  # + 0.0: -0.0 becomes 0.0


def _box(line: str) -> Box:
    found = _LINE.fullmatch(line)
    numbers = [float(number) for number in found["corners"].split(",")] if found else []
    if not found or len(numbers) != 4:
        raise ValueError(f"{line!r} is no category with a box")
    left, top, right, bottom = numbers
    return Box(found["category"], (left, top, right, bottom))
