"""Grounded text back to a caption with its phrases, as transformers' Kosmos-2 code reads it (offsets without tags)."""

from __future__ import annotations

import re

from builders.grounding.tokens import RELEASED, P, Phrase, Style, dequantise


def parse(text: str, style: Style = RELEASED) -> tuple[str, list[Phrase]]:
    """The caption and its phrases; each box is what its two cells stand for.

    Undoes `render`: white space at the edges of the text and at the start of a phrase belongs to the caption's spacing.
    Raises ValueError where a tag or a "<" is left over, or a cell lies outside the grid.
    """
    caption, phrases = "", []
    rest, body = 0, text.removeprefix(style.grounding)
    for found in _phrase(style).finditer(body):
        caption += body[rest : found.start()]
        words = found["words"]
        start = len(caption) + len(words) - len(words.lstrip())
        caption += words
        boxes = tuple(_box(group, style) for group in found["boxes"].split(style.delimiter))
        phrases.append(Phrase(start, len(caption), boxes))
        rest = found.end()
    caption += body[rest:]
    if "<" in caption:
        raise ValueError(f"'<' at character {caption.index('<')} of {caption!r}: no grounded text of these tokens")
    shift = len(caption) - len(caption.lstrip())
    return caption.strip(), [Phrase(p.start - shift, p.end - shift, p.boxes) for p in phrases]


def _phrase(style: Style) -> re.Pattern[str]:
    words, boxes = map(re.escape, style.phrase), list(map(re.escape, style.boxes))
    opened, closed = words
    return re.compile(f"{opened}(?P<words>[^<]+){closed}{boxes[0]}(?P<boxes>.+?){boxes[1]}")


def _box(group: str, style: Style) -> tuple[float, float, float, float]:
    cell = re.escape(style.cell).replace(re.escape("{:04d}"), r"(\d{4})").replace(re.escape("{}"), r"(\d{1,4})")
    found = re.fullmatch(cell + cell, group)
    cells = (int(found[1]), int(found[2])) if found else (-1, -1)
    if not 0 <= min(cells) <= max(cells) < P * P:
        raise ValueError(f"{group!r} is no pair of cells of a grid of {P} x {P}")
    return dequantise(cells)
