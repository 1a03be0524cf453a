"""A contact sheet: samples with the boxes of their phrases drawn, coloured and labelled."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from builders.instruct.turns import IMAGE
from builders.shards.query import connect
from builders.shards.store import Store
from builders.shards.tar import read_members

COLOURS = ("#e6194b", "#0082c8", "#f58231", "#3cb44b", "#911eb4", "#008080", "#f032e6", "#9a6324")
ON_SHEET = 9
"""Samples on a sheet, at least: three rows of three."""

_PHOTO = (480, 360)
_MARGIN = 12
_LINE = 20
_LINES = 18
"""Of text under a photo, at most."""


@dataclass(frozen=True)
class Shown:
    """A sample as read back from its shard by range."""

    key: str
    image: bytes
    record: dict[str, Any]

    @property
    def text(self) -> str:
        """The key, and what is said: the turns, or the grounded caption, or the caption with its score."""
        if self.turns:
            return "\n".join([self.key, *(f"  {'A' if i % 2 else 'Q'}: {told}" for i, told in enumerate(self.turns))])
        return f"{self.key}  {self.record.get('grounded_caption') or self.record['caption']}{self.score}"

    @property
    def turns(self) -> list[str]:
        """Of a conversation: questions and answers by turns."""
        told = self.record.get("conversations", [])
        return [turn["value"].replace(IMAGE, "").strip() for turn in told]

    @property
    def score(self) -> str:
        """The CLIP score, where there is one."""
        score = self.record.get("clip_score")
        return "" if score is None else f"  ({score:.3f})"


def pick(store: Store, count: int) -> list[Shown]:
    """Up to `count` samples, one a photo first, evenly over the dataset; the same ones each time."""
    connection = connect(store)
    columns = connection.sql("select * from samples limit 0").columns
    first = "n_phrases desc, key" if "n_phrases" in columns else "key"
    photo = ", ".join([name for name in ("image_file", "url") if name in columns] + ["key"])
    rows = connection.sql(
        f"""
            with numbered as (
                select *, row_number() over (partition by coalesce({photo}) order by {first}) as turn
                from samples
            ), ordered as (
                select *, row_number() over (order by turn, key) - 1 as place, sum((turn = 1)::int) over () as photos
                from numbered
            )
            select key, shard, members from ordered
            where place < {count} or photos > {count} and turn = 1
            order by place
            """
    ).fetchall()
    step = max(1, len(rows) // count)
    return [_read(store, *row) for row in rows[::step][:count]]


def _read(store: Store, key: str, shard: str, members: list[dict[str, Any]]) -> Shown:
    with store.open(shard) as tar:
        parts = read_members(tar, key, members)
    record = json.loads(parts.pop("json"))
    parts.pop("txt", None)
    (image,) = parts.values()
    return Shown(key, image, record)


def draw_sheet(samples: list[Shown], path: Path) -> None:
    """Write the contact sheet of `samples` as PNG."""
    columns = max(1, min(3, len(samples)))
    tiles = [_tile(sample) for sample in samples]
    heights = [max(t.height for t in tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    width = columns * (_PHOTO[0] + _MARGIN) + _MARGIN
    sheet = Image.new("RGB", (width, sum(heights) + _MARGIN * (len(heights) + 1)), "white")
    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        sheet.paste(tile, (_MARGIN + column * (_PHOTO[0] + _MARGIN), _MARGIN * (row + 1) + sum(heights[:row])))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _tile(sample: Shown) -> Image.Image:
    font = ImageFont.load_default(15)
    photo = ImageOps.contain(Image.open(io.BytesIO(sample.image)).convert("RGB"), _PHOTO)
    draw = ImageDraw.Draw(photo)
    phrases = sample.record.get("phrases", [])
    for i, phrase in enumerate(phrases):
        for x1, y1, x2, y2 in phrase["boxes"]:
            left, top = x1 * photo.width, y1 * photo.height
            box = (left, top, max(left, x2 * photo.width - 1), max(top, y2 * photo.height - 1))
            draw.rectangle(box, outline=COLOURS[i % len(COLOURS)], width=3)
    for i, phrase in enumerate(phrases):
        x1, y1, *_ = phrase["boxes"][0]
        _label(draw, (x1 * photo.width, y1 * photo.height), str(i + 1), COLOURS[i % len(COLOURS)], font)
    said = _coloured_turns(sample.turns) if sample.turns else [_coloured_words(sample.record)]
    lines = [line for words in said for line in _wrap(words, font, _PHOTO[0])]
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], [("…", "black")]]
    tile = Image.new("RGB", (_PHOTO[0], photo.height + 8 + _LINE * (len(lines) + 1)), "white")
    tile.paste(photo, (0, 0))
    draw = ImageDraw.Draw(tile)
    y = photo.height + 6
    for line in lines:
        x = 0.0
        for word, colour in line:
            draw.text((x, y), word, fill=colour, font=font)
            x += draw.textlength(word, font=font)
        y += _LINE
    draw.text((0, y), f"{sample.key}{sample.score}", fill="#888888", font=ImageFont.load_default(12))
    return tile


def _label(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: str, font: Any) -> None:
    x, y = at[0] + 3, at[1] + 3
    draw.rectangle((x, y, x + 8 + draw.textlength(text, font=font), y + 18), fill=colour)
    draw.text((x + 4, y), text, fill="white", font=font)


def _coloured_words(record: dict[str, Any]) -> list[tuple[str, str]]:
    """The caption's words, each with the space after it; those of a phrase in its colour, its number before them."""
    parts, done = [], 0
    for i, phrase in enumerate(record.get("phrases", [])):
        parts.append((record["caption"][done : phrase["start"]], "black"))
        parts.append((f"{i + 1}: {phrase['text']}", COLOURS[i % len(COLOURS)]))
        done = phrase["end"]
    parts.append((record["caption"][done:], "black"))
    spaced = ((re.sub(r"\s", " ", text), colour) for text, colour in parts)  # a line break would end the drawing
    return [(word, colour) for text, colour in spaced for word in re.findall(r"\S+ *| +", text)]


def _coloured_turns(turns: list[str]) -> list[list[tuple[str, str]]]:
    """The words of each question, in colour, and of each answer."""
    coloured = ((re.sub(r"\s", " ", told), "black" if i % 2 else COLOURS[1]) for i, told in enumerate(turns))
    return [[(word, colour) for word in re.findall(r"\S+ *| +", text)] for text, colour in coloured]


def _wrap(words: list[tuple[str, str]], font: Any, width: int) -> list[list[tuple[str, str]]]:
    lines: list[list[tuple[str, str]]] = [[]]
    used = 0.0
    for word, colour in words:
        if used + font.getlength(word.rstrip()) > width and lines[-1]:
            lines.append([])
            used = 0.0
        lines[-1].append((word, colour))
        used += font.getlength(word)
    return lines
