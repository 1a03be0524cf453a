"""Photos as the network sees them, by sizes and pixels worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from builders.grounding.glip.preprocess import Fitted, fitted, prepared, resized


@pytest.mark.parametrize(
    ("width", "height", "size", "padded"),
    [
        (640, 480, (1066, 800), (800, 1088)),  # 800 * 640 / 480 is 1066.67, and cut off
        (480, 640, (800, 1066), (1088, 800)),
        (500, 500, (800, 800), (800, 800)),
        (1000, 600, (1333, 800), (800, 1344)),
        (2000, 500, (1332, 333), (352, 1344)),  # 1333 * 500 / 2000 is 333.25
        (500, 2000, (333, 1332), (1344, 352)),
        (4000, 2, (2000, 1), (32, 2016)),  # 0.67 is one pixel, by which the long side follows
        (100_000, 1, (2666, 1), (32, 2688)),
    ],
)
def test_the_short_side_becomes_800_unless_the_long_one_would_be_over_1333(
    width: int, height: int, size: tuple[int, int], padded: tuple[int, int]
) -> None:
    assert fitted(width, height) == Fitted(*size)
    assert fitted(width, height).padded == padded


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_orientation_decides_nothing_but_the_sides_order(width: int, height: int) -> None:
    lying, standing = fitted(width, height), fitted(height, width)
    assert (lying.width, lying.height) == (standing.height, standing.width)
    assert min(lying.width, lying.height) in range(1, 801)


@pytest.mark.parametrize("size", [(6, 4), (4, 6)], ids=["landscape", "portrait"])
def test_pixels_are_blue_first_normalised_and_padded_after(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    found = prepared(Image.fromarray(pixels))
    assert found.dtype == torch.float32 and found.shape == (3, 32, 32)
    for channel, (mean, std) in enumerate(((103.53, 57.375), (116.28, 57.12), (123.675, 58.395))):
        expected = (pixels[:, :, 2 - channel].astype(float) - mean) / std
        assert np.abs(found[channel, : size[1], : size[0]].numpy() - expected).max() < 1e-6
    assert not found[:, size[1] :].any() and not found[:, :, size[0] :].any()


@pytest.mark.parametrize("size", [(50, 30), (11_000, 1_100)], ids=["small", "over eight times as long"])
def test_a_photo_of_any_size_is_resized_in_one_step_by_pillows_bilinear_filter(size: tuple[int, int]) -> None:
    """As the original does. One that is averaged down first comes to other pixels."""
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8))
    expected = {(50, 30): (1333, 800), (11_000, 1_100): (1330, 133)}[size]
    assert np.array_equal(resized(photo), photo.resize(expected, Image.Resampling.BILINEAR))
    assert resized(photo).size == expected
