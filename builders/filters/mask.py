"""Text in a photo masked, so that a caption must fit what is seen and not what is read (T-MARS, arXiv 2307.03132)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
from PIL import Image, ImageStat

from builders.filters.clip_image import Preprocess, prepared
from builders.step import Record, Rejected, Result, Services

RIM = 4
"""Pixels around a region whose mean colour fills it: the paper says the surrounding pixels, not how many."""


@dataclass
class PrepareMasked:
    """Adds `_pixels_masked`, as PrepareImage adds `_pixels`, of the photo without its text; null where it has none."""

    preprocess: Preprocess
    name: ClassVar = "prepare_masked"
    reads: ClassVar = ("image", "_text_boxes")
    adds: ClassVar = {"_pixels_masked": pa.large_binary()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._prepare(record["image"], record["_text_boxes"] or []) for record in records]

    def _prepare(self, data: bytes, boxes: Sequence[Sequence[float]]) -> Result:
        if not boxes:
            return {"_pixels_masked": None}
        pixels = prepared(data, self.preprocess, change=lambda image: mask(image.convert("RGB"), boxes))
        return pixels if isinstance(pixels, Rejected) else {"_pixels_masked": pixels}


def mask(image: Image.Image, boxes: Sequence[Sequence[float]]) -> Image.Image:
    """An RGB photo with each box filled by the mean colour of the pixels around it, in the order given.

    What lies outside the photo, or is no box, masks nothing.
    """
    for box in boxes:
        if len(box) != 4 or not all(map(math.isfinite, box)):
            continue
        left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
        right, low = min(image.width, math.ceil(box[2])), min(image.height, math.ceil(box[3]))
        if left < right and top < low:
            image.paste(_around(image, left, top, right, low), (left, top, right, low))
    return image


def _around(image: Image.Image, left: int, top: int, right: int, low: int) -> tuple[int, ...]:
    """The mean colour of the rim of a region, or, where it fills the photo, of the region."""
    area = max(0, left - RIM), max(0, top - RIM), min(image.width, right + RIM), min(image.height, low + RIM)
    rim = Image.new("L", (area[2] - area[0], area[3] - area[1]), 255)
    rim.paste(0, (left - area[0], top - area[1], right - area[0], low - area[1]))
    seen = rim if rim.getbbox() else None
    return tuple(round(value) for value in ImageStat.Stat(image.crop(area), seen).mean)
