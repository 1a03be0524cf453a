"""Photos for a detector: the size at which a model sees them, told from their heads, and their upright pixels."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders.grounding.zero_shot_files import InputSize
from builders.grounding.zero_shot_image import Shape, pixels_of, shape_of
from builders.step import Rejected

DINO = InputSize(shortest=800, longest=1333)


def encoded(width: int, height: int, kind: str = "JPEG", orientation: int = 1, **options: Any) -> bytes:
    """Grey, but for a white upper left quarter of the stored pixels."""
    picture = Image.new("RGB", (width, height), (90, 90, 90))
    picture.paste((255, 255, 255), (0, 0, width // 2, height // 2))
    tags = Image.Exif()
    tags[0x0112] = orientation
    out = io.BytesIO()
    picture.save(out, kind, exif=tags, **options)
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "exact", "rounded"),
    [
        ((640, 480), (800, 1066), (800, 1056)),
        ((480, 640), (1066, 800), (1056, 800)),
        ((500, 500), (800, 800), (800, 800)),
        ((1000, 300), (400, 1333), (384, 1344)),
        ((600, 598), (800, 802), (800, 800)),
    ],
)
def test_a_photo_keeps_its_aspect_to_the_pixel_or_rounded_so_that_many_share_a_batch(
    size: tuple[int, int], exact: tuple[int, int], rounded: tuple[int, int]
) -> None:
    data = encoded(*size)
    assert shape_of(data, DINO, 1) == Shape(*size, exact)
    assert shape_of(data, DINO, 32) == Shape(*size, rounded)


def test_a_model_of_one_size_sees_every_photo_at_that_size() -> None:
    assert shape_of(encoded(640, 480), InputSize(960, 960), 32) == Shape(640, 480, (960, 960))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_size_and_pixels_are_those_that_a_viewer_sees(kind: str, orientation: int) -> None:
    data = encoded(60, 40, kind, orientation)
    turned = orientation >= 5
    shape = shape_of(data, InputSize(64, 64), 1)
    assert shape == Shape(*((40, 60) if turned else (60, 40)), (64, 64))
    pixels = pixels_of(data, 64)
    assert isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8
    assert pixels.shape == ((60, 40, 3) if turned else (40, 60, 3))
    white = {
        (top, left)
        for top, row in enumerate(np.array_split(pixels, 2))
        for left, part in enumerate(np.array_split(row, 2, axis=1))
        if part.mean() > 170
    }
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}
    assert white == {corner[orientation]}


def test_a_photo_four_times_as_large_as_the_model_sees_is_averaged_down_first() -> None:
    assert _shape(pixels_of(encoded(255, 100), 64)) == (100, 255, 3)
    assert _shape(pixels_of(encoded(256, 100), 64)) == (50, 128, 3)
    assert _shape(pixels_of(encoded(640, 100), 64)) == (20, 128, 3)


def _shape(pixels: Any) -> tuple[int, ...]:
    return np.asarray(pixels).shape


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_an_image"),
        (b"no photo at all", "not_an_image"),
        (encoded(1001, 100), "too_elongated"),
        (encoded(100, 1001), "too_elongated"),
    ],
    ids=["empty", "text", "wide", "tall"],
)
def test_what_is_no_photo_is_rejected_by_its_head(data: bytes, reason: str) -> None:
    shape = shape_of(data, InputSize(shortest=64, longest=128), 1)
    assert isinstance(shape, Rejected) and shape.reason == reason


def test_what_breaks_off_has_a_shape_but_no_pixels() -> None:
    data = encoded(200, 200, "PNG")[:-40]
    assert shape_of(data, InputSize(64, 64), 1) == Shape(200, 200, (64, 64))
    pixels = pixels_of(data, 64)
    assert isinstance(pixels, Rejected) and pixels.reason == "broken_image"


def test_a_photo_of_ten_to_one_is_still_looked_at() -> None:
    assert shape_of(encoded(1000, 100), InputSize(shortest=64, longest=128), 1) == Shape(1000, 100, (13, 128))


def test_a_model_that_sees_a_square_looks_at_any_photo() -> None:
    assert shape_of(encoded(1500, 100), InputSize(64, 64), 1) == Shape(1500, 100, (64, 64))
