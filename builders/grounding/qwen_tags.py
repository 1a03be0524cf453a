"""Qwen-VL's grounded text: `<ref>a dog</ref><box>(x1,y1),(x2,y2)</box>`, whole numbers in [0, 1000).

Several boxes of a phrase follow each other, each in its own `<box>`; the order is ours (Qwen-VL, arXiv 2308.12966,
does not tell one).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from builders.grounding.boxes import DECIMALS, Box, one_apart
from builders.grounding.expressions import Offsets
from builders.grounding.tokens import Phrase

SIDE = 1000
"""Coordinates count thousandths of a side."""

_BOX = re.compile(r"<box>\((\d+),(\d+)\),\((\d+),(\d+)\)</box>")
_PHRASE = re.compile(rf"<ref>([^<]+)</ref>((?:{_BOX.pattern})+)")


def box_text(box: Box) -> str:
    """The box in tags, at least a unit wide and high. In 0..1 with x2 > x1 and y2 > y1, otherwise ValueError."""
    x1, y1, x2, y2 = box
    if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        raise ValueError(f"not a box in 0..1: {box}")
    units = [min(math.floor(round(value * SIDE, DECIMALS)), SIDE - 1) for value in box]  # 0.57 is 570, not 569.99…
    (a, c), (b, d) = (one_apart(units[i], units[i + 2], SIDE - 1) for i in (0, 1))
    return f"<box>({a},{b}),({c},{d})</box>"


def ref_text(words: str) -> str:
    """A phrase in tags. Raises ValueError where it holds "<", which readers would take for a tag."""
    return f"<ref>{plain(words)}</ref>"


def plain(words: str) -> str:
    """The words as they are. Raises ValueError where they hold "<"."""
    if "<" in words:
        raise ValueError(f"'<' at character {words.index('<')}: readers would take it for a tag")
    return words


def render(caption: str, phrases: Sequence[Phrase]) -> str:
    """The caption with its phrases in tags. They stand in order of their start and do not overlap, else ValueError."""
    parts, done = [], 0
    plain(caption)
    for phrase in phrases:
        if phrase.start < done:
            raise ValueError(f"phrases overlap at character {phrase.start}")
        parts += [caption[done : phrase.start], ref_text(caption[phrase.start : phrase.end])]
        parts += map(box_text, phrase.boxes)
        done = phrase.end
    return "".join(parts) + caption[done:]


def parse(text: str) -> tuple[str, list[Phrase]]:
    """The caption, and its phrases with boxes in 0..1, each to a thousandth. Raises ValueError where "<" is left."""
    caption, phrases, done = "", [], 0
    for found in _PHRASE.finditer(text):
        caption += text[done : found.start()]
        boxes = tuple(_read(numbers) for numbers in _BOX.findall(found[2]))
        phrases.append(Phrase(len(caption), len(caption) + len(found[1]), boxes))
        caption, done = caption + found[1], found.end()
    return plain(caption + text[done:]), phrases


def _read(numbers: Sequence[str]) -> Box:
    x1, y1, x2, y2 = (int(number) / SIDE for number in numbers)
    if max(x1, y1, x2, y2) >= 1:
        raise ValueError(f"{numbers} is no box in [0, {SIDE})")
    return x1, y1, x2, y2


def most_spans(spans: Iterable[Offsets]) -> list[Offsets]:
    """The most spans of which none overlaps another, in order: greedily the one that ends first.

    So Qwen-VL reads GrIT: of "a dog in a field of flowers" it keeps "a dog" and "a field", where Kosmos-2 keeps the
    whole. Of two that end together the shorter one stays.
    """
    kept: list[Offsets] = []
    for span in sorted(set(spans), key=lambda span: (span[1], -span[0])):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept
