"""Photos for a detector: what size the model will see them at, told without decoding them, and their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from builders.grounding.zero_shot_files import InputSize
from builders.sources.images import decoded, look, not_a_photo, orientation_of, upright
from builders.step import Rejected

MAX_ASPECT = 10
"""Longer side / shorter side, for models that keep a photo's aspect: a more elongated one would come to fewer cells
than they have queries. Others see a square of any."""
_TURNED = {5, 6, 7, 8}
"""EXIF orientations that exchange width and height."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Shape:
    """A photo's size in pixels as a viewer sees it, and the (height, width) at which the model sees it."""

    width: int
    height: int
    seen: tuple[int, int]


def shape_of(data: bytes, size: InputSize, multiple: int) -> Shape | Rejected:
    """The shape of an encoded photo, from its head alone.

    `multiple`: where the model keeps a photo's aspect, its sides are rounded to multiples of so many pixels, so that
    photos of nearly one shape share a batch; 1 keeps transformers' own size to the pixel.
    """
    return decoded(data, lambda image: _shape(image, size, multiple))


def viewed(data: bytes) -> tuple[int, int] | Rejected:
    """Width and height of an encoded photo as a viewer sees it, from its head alone; Rejected for one too elongated."""
    return decoded(data, _viewed)


def pixels_of(data: bytes, largest: int) -> Pixels | Rejected:
    """The photo as a viewer sees it: uint8, height x width x RGB.

    One that is at least four times as large as the model's `largest` side is averaged down by a whole factor first:
    its pixels as floats would fill the memory.
    """
    return decoded(data, lambda image: _pixels(image, largest))


def _viewed(image: Image.Image) -> tuple[int, int] | Rejected:
    if problem := not_a_photo(image):
        return problem
    turned = image.format != "TIFF" and orientation_of(image) in _TURNED  # of a TIFF, Pillow tells the upright size
    width, height = image.size[::-1] if turned else image.size
    if not size.fixed and max(width, height) > MAX_ASPECT * min(width, height):
        return Rejected("too_elongated", f"{width} x {height} pixels: one side is over {MAX_ASPECT} times the other")
    return width, height


def _shape(image: Image.Image, size: InputSize, multiple: int) -> Shape | Rejected:
    viewed = _viewed(image)
    if isinstance(viewed, Rejected):
        return viewed
    return Shape(*viewed, (size.height, size.width) if size.fixed else _kept_aspect(*viewed, size, multiple))


def _kept_aspect(width: int, height: int, size: InputSize, multiple: int) -> tuple[int, int]:
    from transformers.image_transforms import get_size_with_aspect_ratio

    exact = get_size_with_aspect_ratio((height, width), size.shortest, size.longest)
    high, wide = (max(multiple, round(side / multiple) * multiple) for side in exact)
    return high, wide


def _pixels(image: Image.Image, largest: int) -> Pixels | Rejected:
    seen = look(image)
    if isinstance(seen, Rejected):
        return seen
    shown = upright(image, seen)
    factor = max(shown.size) // (2 * largest)
    return np.array(shown.reduce(factor) if factor > 1 else shown)
