"""Text on a contact sheet: coloured words, broken into lines that fit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from PIL import ImageDraw, ImageFont

COLOURS = ("#e6194b", "#0082c8", "#f58231", "#3cb44b", "#911eb4", "#008080", "#f032e6", "#9a6324")
GREY = "#888888"
LINE = 20
"""Pixels from one line to the next."""

Words = list[tuple[str, str]]
"""Each with the space after it, and its colour."""
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@cache
def font(size: int = 15) -> Font:
    return ImageFont.load_default(size)


def words(text: str, colour: str = "black") -> Words:
    """The words of `text`, all in one colour; white space of any kind is plain: a line break would end the drawing."""
    return [(word, colour) for word in re.findall(r"\S+ *| +", re.sub(r"\s", " ", text))]


def lines(told: Iterable[Words], width: int, most: int, size: int = 15) -> list[Words]:
    """Each of `told` in lines of at most `width` pixels; where they are more than `most`, the last is "…"."""
    broken = [line for one in told for line in _wrap(one, font(size), width)]
    return broken if len(broken) <= most else [*broken[: most - 1], [("…", "black")]]


def draw_lines(draw: ImageDraw.ImageDraw, at: tuple[float, float], told: Iterable[Words], size: int = 15) -> float:
    """Draw lines from the corner `at` down. Returns where the next one would begin."""
    left, y = at
    for line in told:
        x = left
        for word, colour in line:
            draw.text((x, y), word, fill=colour, font=font(size))
            x += draw.textlength(word, font=font(size))
        y += LINE
    return y


def write(draw: ImageDraw.ImageDraw, y: float, told: Words, width: int, most: int = 1, size: int = 15) -> float:
    """Draw `told` from the left in up to `most` lines (see `lines`). Returns where the next one would begin."""
    return draw_lines(draw, (0, y), lines([told], width, most, size), size)


def _wrap(told: Words, face: Font, width: int) -> list[Words]:
    broken: list[Words] = [[]]
    used = 0.0
    for whole, colour in told:
        for word in _fitting(whole, face, width):
            if used + face.getlength(word.rstrip()) > width and broken[-1]:
                broken.append([])
                used = 0.0
            broken[-1].append((word, colour))
            used += face.getlength(word)
    return broken


def _fitting(word: str, face: Font, width: int) -> list[str]:
    """The word, in pieces where it is wider than a line."""
    if face.getlength(word.rstrip()) <= width:
        return [word]
    pieces, used = [""], 0.0
    for letter in word:
        wide = face.getlength(letter)
        if used + wide > width and pieces[-1]:
            pieces.append("")
            used = 0.0
        pieces[-1] += letter
        used += wide
    return pieces
