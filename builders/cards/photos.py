"""A sample with a photo, for people: its text, and the photo with the boxes of its phrases drawn and coloured."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from builders.cards.lettering import COLOURS, GREY, LINE, Words, draw_lines, font, lines, words
from builders.instruct.turns import IMAGE

WIDTH = 480
_PHOTO = (WIDTH, 360)
_LINES = 18
"""Of text under a photo, at most."""


def describe(key: str, record: dict[str, Any]) -> str:
    """The key, and what is said: the turns, or the grounded caption, or the caption with its score."""
    if turns := _turns(record):
        return "\n".join([key, *(f"  {'A' if i % 2 else 'Q'}: {told}" for i, told in enumerate(turns))])
    return f"{key}  {record.get('grounded_caption') or record['caption']}{_score(record)}"


def tile(key: str, image: bytes, record: dict[str, Any]) -> Image.Image:
    """The photo with its boxes, and below it what is said; as wide as WIDTH."""
    photo = ImageOps.contain(Image.open(io.BytesIO(image)).convert("RGB"), _PHOTO)
    draw = ImageDraw.Draw(photo)
    phrases = record.get("phrases", [])
    for i, phrase in enumerate(phrases):
        for x1, y1, x2, y2 in phrase["boxes"]:
            left, top = x1 * photo.width, y1 * photo.height
            box = (left, top, max(left, x2 * photo.width - 1), max(top, y2 * photo.height - 1))
            draw.rectangle(box, outline=COLOURS[i % len(COLOURS)], width=3)
    for i, phrase in enumerate(phrases):
        x1, y1, *_ = phrase["boxes"][0]
        _label(draw, (x1 * photo.width, y1 * photo.height), str(i + 1), COLOURS[i % len(COLOURS)])
    told = [words(turn, "black" if i % 2 else COLOURS[1]) for i, turn in enumerate(_turns(record))]
    below = lines(told or [_coloured_words(record)], WIDTH, _LINES)
    whole = Image.new("RGB", (WIDTH, photo.height + 8 + LINE * (len(below) + 1)), "white")
    whole.paste(photo, (0, 0))
    draw = ImageDraw.Draw(whole)
    y = draw_lines(draw, (0, photo.height + 6), below)
    draw.text((0, y), f"{key}{_score(record)}", fill=GREY, font=font(12))
    return whole


def _turns(record: dict[str, Any]) -> list[str]:
    """Of a conversation: questions and answers by turns."""
    return [turn["value"].replace(IMAGE, "").strip() for turn in record.get("conversations", [])]


def _score(record: dict[str, Any]) -> str:
    """The CLIP score, where there is one."""
    score = record.get("clip_score")
    return "" if score is None else f"  ({score:.3f})"


def _label(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: str) -> None:
    x, y = at[0] + 3, at[1] + 3
    draw.rectangle((x, y, x + 8 + draw.textlength(text, font=font(15)), y + 18), fill=colour)
    draw.text((x + 4, y), text, fill="white", font=font(15))


def _coloured_words(record: dict[str, Any]) -> Words:
    """The caption's words; those of a phrase in its colour, its number before them."""
    parts, done = [], 0
    for i, phrase in enumerate(record.get("phrases", [])):
        parts.append((record["caption"][done : phrase["start"]], "black"))
        parts.append((f"{i + 1}: {phrase['text']}", COLOURS[i % len(COLOURS)]))
        done = phrase["end"]
    parts.append((record["caption"][done:], "black"))
    return [word for text, colour in parts for word in words(text, colour)]
