"""Photos for a detector: what size the model will see them at, told without decoding them, and their pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from builders.grounding.zero_shot_files import InputSize
from builders.sources.images import decoded, look, not_a_photo, orientation_of, upright
from builders.step import Rejected
from builders.torchvision_fix import complete_torchvision

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
    """The shape of an encoded photo, from its head alone; Rejected where a model that keeps aspects gets one too long.

    `multiple`: where the model keeps a photo's aspect, its sides are rounded to multiples of so many pixels, so that
    photos of nearly one shape share a batch; 1 keeps transformers' own size to the pixel.
    """
    if size.fixed:
        whole = decoded(data, _viewed)
        return whole if isinstance(whole, Rejected) else Shape(*whole, (size.height, size.width))
    view = viewed(data)
    return view if isinstance(view, Rejected) else Shape(*view, _kept_aspect(*view, size, multiple))


def viewed(data: bytes) -> tuple[int, int] | Rejected:
    """Width and height of an encoded photo as a viewer sees it, from its head alone; Rejected for one too elongated."""
    view = decoded(data, _viewed)
    if isinstance(view, Rejected) or max(view) <= MAX_ASPECT * min(view):
        return view
    return Rejected("too_elongated", f"{view[0]} x {view[1]} pixels: one side is over {MAX_ASPECT} times the other")


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
    return image.size[::-1] if turned else image.size


@cache
def _resizer() -> Callable[[tuple[int, int], int, int], tuple[int, int]]:
    """transformers' own rule for the size of a photo that keeps its aspect."""
    complete_torchvision()
    from transformers.image_transforms import get_size_with_aspect_ratio

    return get_size_with_aspect_ratio  # type: ignore[no-any-return]


def _kept_aspect(width: int, height: int, size: InputSize, multiple: int) -> tuple[int, int]:
    exact = _resizer()((height, width), size.shortest, size.longest)
    high, wide = (max(multiple, round(side / multiple) * multiple) for side in exact)
    return high, wide


def _pixels(image: Image.Image, largest: int) -> Pixels | Rejected:
    seen = look(image)
    if isinstance(seen, Rejected):
        return seen
    shown = upright(image, seen)
    factor = max(shown.size) // (2 * largest)
    return np.array(shown.reduce(factor) if factor > 1 else shown)
