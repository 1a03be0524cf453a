"""Units as a band of coloured segments, and the tile of cross-modal turns, which is made of such bands and text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageColor, ImageDraw

from builders.cards.lettering import COLOURS, GREY, font, words, write
from builders.cards.spoken import counted, unit_ids

WIDTH = 640
BAND = 20
"""Pixels of a band's height."""
_TURNS = 8
"""Drawn of a sample, at most."""
_LINES = 5
"""Of a turn's text, at most."""
_SEGMENT = 20
"""Pixels that a unit without a duration takes, where there is room."""
_TALL = 4000


def draw_band(draw: ImageDraw.ImageDraw, top: float, ids: Sequence[int], edges: Sequence[float]) -> None:
    """A segment for each unit, between two of `edges` (pixels, one more than units); its number where it fits."""
    for unit, left, right in zip(ids, map(round, edges[:-1]), map(round, edges[1:]), strict=True):
        gap = 1 if right - left > 3 else 0  # or narrow segments would be half white
        draw.rectangle((left, top, max(left, right - 1 - gap), top + BAND - 1), fill=unit_colour(unit))
        number = str(unit)
        room = right - left - 2 - draw.textlength(number, font=font(10))
        if room >= 0:
            draw.text((left + room / 2 + 1, top + 4), number, fill="black", font=font(10))


def unit_colour(unit: int) -> tuple[int, ...]:
    """Light enough for black numbers; by the golden angle, which keeps the hues of near ids apart."""
    return ImageColor.getrgb(f"hsl({unit * 137.508 % 360:.1f}, 65%, {(72, 82, 67)[unit % 3]}%)")


def tile(key: str, record: dict[str, Any]) -> Image.Image:
    """Cross-modal turns one below the other, each as it is given and wanted: units, then text, or the other way."""
    whole = Image.new("RGB", (WIDTH, _TALL), "white")
    draw = ImageDraw.Draw(whole)
    turns = record["turns"]
    y = write(draw, 0, words(f"{key}  {counted(len(turns), 'turn')}", GREY), WIDTH, 2, 12)
    for turn in turns[:_TURNS]:
        y = _turn(draw, y, turn)
    if len(turns) > _TURNS:
        y = write(draw, y, words(f"… and {counted(len(turns) - _TURNS, 'more turn')}", GREY), WIDTH)
    return whole.crop((0, 0, WIDTH, round(y)))


def _turn(draw: ImageDraw.ImageDraw, y: float, turn: dict[str, Any]) -> float:
    asr = turn["task"] == "asr"
    colour = COLOURS[1] if asr else COLOURS[0]
    ids = unit_ids(turn["units"])
    told = f"{turn['key']}  {turn['seconds']:.2f} s  {counted(len(ids), 'unit')}"
    draw.line((0, y, WIDTH, y), fill="#dddddd")
    head = [*words(f"{turn['task']}  ", colour), *words(turn["instruction"], GREY)]
    y = write(draw, y + 4, head, WIDTH, _LINES)
    if not asr:
        y = write(draw, y, words(turn["text"]), WIDTH, _LINES)
    wide = min(_SEGMENT, WIDTH / max(len(ids), 1))
    draw_band(draw, y + 3, ids, [i * wide for i in range(len(ids) + 1)])
    y += BAND + 6
    if asr:
        y = write(draw, y, words(turn["text"]), WIDTH, _LINES)
    return write(draw, y, words(told, GREY), WIDTH, 2, 12) + 4
