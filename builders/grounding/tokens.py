"""Kosmos-2's location tokens: a box as two cells of a P x P grid, a caption with its phrases and boxes as text.

Sources: Kosmos-2 (arXiv 2306.14824), section 2; the released code (microsoft/unilm, kosmos-2) and transformers'
Kosmos2Processor, which differ in how a lower-right corner on a cell's edge is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from builders.grounding.boxes import Box

P = 32
"""Cells a side of the grid."""

LowerRight = Literal["transformers", "unilm"]
Cells = tuple[int, int]


@dataclass(frozen=True)
class Style:
    """The spelling of one token vocabulary."""

    phrase: tuple[str, str]
    boxes: tuple[str, str]
    delimiter: str
    cell: str
    grounding: str = "<grounding>"


RELEASED = Style(
    ("<phrase>", "</phrase>"), ("<object>", "</object>"), "</delimiter_of_multi_objects/>", "<patch_index_{:04d}>"
)
PAPER = Style(("<p>", "</p>"), ("<box>", "</box>"), "<delim>", "<loc_{}>")


def quantise(box: Box, lower_right: LowerRight = "transformers") -> Cells:
    """The cells of a box's upper-left and lower-right corners, 0..1023, row by row.

    `lower_right` says which cell holds a corner exactly on an edge: the one before it (transformers) or the one after
    (unilm). Box in 0..1 with x2 > x1 and y2 > y1, otherwise ValueError.
    """
    x1, y1, x2, y2 = box
    if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        raise ValueError(f"not a box in 0..1: {box}")
    if lower_right == "transformers":
        right, bottom = math.ceil(x2 * P - 1), math.ceil(y2 * P - 1)
    else:
        right, bottom = (math.floor(min(value, 0.99999) * P) for value in (x2, y2))
    left, top = math.floor(x1 * P), math.floor(y1 * P)
    return top * P + left, max(bottom, top) * P + max(right, left)


def dequantise(cells: Cells) -> Box:
    """The box that two cells stand for.

    In one cell, row or column: from the first cell's upper-left to the second's lower-right corner; otherwise between
    the cells' centres.
    """
    (top, left), (bottom, right) = divmod(cells[0], P), divmod(cells[1], P)
    if left == right or top == bottom:
        return left / P, top / P, (right + 1) / P, (bottom + 1) / P
    return (left + 0.5) / P, (top + 0.5) / P, (right + 0.5) / P, (bottom + 0.5) / P


@dataclass(frozen=True)
class Phrase:
    """A span of the caption with the boxes that show it."""

    start: int
    end: int
    boxes: tuple[Box, ...]


def render(caption: str, phrases: Sequence[Phrase], style: Style, lower_right: LowerRight) -> str:
    """The grounded caption. `phrases` stand in order of their start and do not overlap.

    The space before a phrase goes inside its tag, as the models' own output has it: tokenizers bind it to the word.
    Raises ValueError for phrases that overlap, and for "<", which readers would take for a token.
    """
    if "<" in caption:
        raise ValueError(f"'<' at character {caption.index('<')}: readers would take it for a token")
    parts, done = [style.grounding + (" " if not phrases or phrases[0].start else "")], 0
    for phrase in phrases:
        start = phrase.start
        if start < done:
            raise ValueError(f"phrases overlap at character {start}")
        space = " " if start > done and caption[start - 1] == " " else ""
        parts.append(caption[done : start - len(space)])
        parts.append(_phrase(space + caption[start : phrase.end], phrase.boxes, style, lower_right))
        done = phrase.end
    return "".join(parts) + caption[done:]


def _phrase(text: str, boxes: Sequence[Box], style: Style, lower_right: LowerRight) -> str:
    return f"{style.phrase[0]}{text}{style.phrase[1]}{place(boxes, style, lower_right)}"


def place(boxes: Sequence[Box], style: Style, lower_right: LowerRight) -> str:
    """The boxes of one phrase in tags: each as its two cells, the delimiter between them."""
    groups = []
    for box in boxes:
        upper, lower = quantise(box, lower_right)
        groups.append(style.cell.format(upper) + style.cell.format(lower))
    return f"{style.boxes[0]}{style.delimiter.join(groups)}{style.boxes[1]}"
