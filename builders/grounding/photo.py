"""What GrIT's readers did to photos: small ones left out, and a square cut from the middle that the boxes follow."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
from PIL import Image

from builders.grounding.boxes import Box, area, clip
from builders.grounding.detect import DETECTION
from builders.sources.images import decoded
from builders.step import Record, Rejected, Result, Services

WHOLE = {
    "image": "_photo",
    "format": "photo_format",
    "width": "photo_width",
    "height": "photo_height",
    "_boxes_kept": "_photo_boxes",
}
"""The columns of the whole photo, where a square is cut from it."""


@dataclass
class MinSide:
    """Rejects a photo whose smaller side has fewer than `pixels`; adds nothing."""

    pixels: int = 200
    name: ClassVar = "min_side"
    reads: ClassVar = ("width", "height")
    adds: ClassVar[Mapping[str, pa.DataType]] = {}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._check(record) for record in records]

    def _check(self, record: Record) -> Result:
        side = min(record["width"], record["height"])
        return {} if side >= self.pixels else Rejected("too_small", f"the smaller side has {side} pixels")


@dataclass
class CentreCrop:
    """Adds the largest square in the middle of a photo, as a photo's own columns, and the boxes on it.

    Steps before it work on the whole photo, whose columns WHOLE names.

    A box of which less than `least` of its area is left is dropped and counted; a pair with none left is rejected. A
    square photo keeps its bytes; others are encoded again, JPEG with quality 95, the rest as PNG, with the colour
    profile that they have.
    """

    least: float = 0.2
    name: ClassVar = "centre_crop"
    reads: ClassVar = tuple(WHOLE.values())
    adds: ClassVar = {
        "image": pa.large_binary(),
        "format": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "_boxes_kept": pa.list_(DETECTION),
        "dropped_crop": pa.int32(),
    }

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._crop(record) for record in records]

    def _crop(self, record: Record) -> Result:
        width, height, kind = record["photo_width"], record["photo_height"], record["photo_format"]
        pixels = middle(width, height)
        crop = pixels[0] / width, pixels[1] / height, pixels[2] / width, pixels[3] / height
        kept = [_moved(one, crop, self.least) for one in record["_photo_boxes"]]
        boxes = [one for one in kept if one]
        dropped = len(kept) - len(boxes)
        if not boxes:
            return Rejected("no_box_in_crop", f"{dropped} boxes lie outside the square", {"dropped_crop": dropped})
        data: bytes | Rejected = record["_photo"]
        if width != height:
            kind = "jpg" if kind == "jpg" else "png"
            data = decoded(record["_photo"], lambda image: _encoded(image.crop(pixels), kind))
        if isinstance(data, Rejected):
            return data
        side = min(width, height)
        told = {"format": kind, "width": side, "height": side, "dropped_crop": dropped}
        return {"image": data, "_boxes_kept": boxes, **told}


def middle(width: int, height: int) -> tuple[int, int, int, int]:
    """The largest square in the middle, in whole pixels: left, top, right, bottom."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def follow(box: Box, crop: Box, least: float) -> Box | None:
    """A box in 0..1 of the crop; None where less than `least` of its area lies in it."""
    x1, y1, x2, y2 = crop
    wide, high = x2 - x1, y2 - y1
    moved = clip(((box[0] - x1) / wide, (box[1] - y1) / high, (box[2] - x1) / wide, (box[3] - y1) / high))
    return moved if moved and area(moved) * wide * high >= least * area(box) else None


def _moved(row: Mapping[str, Any], crop: Box, least: float) -> Record | None:
    box = follow((row["x1"], row["y1"], row["x2"], row["y2"]), crop, least)
    return box and {**row, **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))}


def _encoded(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    options = {"quality": 95, "subsampling": 0} if kind == "jpg" else {}
    image.save(out, "JPEG" if kind == "jpg" else "PNG", icc_profile=image.info.get("icc_profile"), **options)
    return out.getvalue()
