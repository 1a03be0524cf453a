"""Anchors and the box coder, by numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from builders.grounding.glip.anchors import clip, decode


def one(moves: list[float], cell: int, columns: int, stride: int) -> list[float]:
    decoded = decode(torch.tensor([moves], dtype=torch.float64), torch.tensor([cell]), columns, stride)
    return list(decoded[0].tolist())


@pytest.mark.parametrize(
    ("cell", "stride", "box"),
    [
        (0, 8, [-28, -28, 35, 35]),  # 64 pixels about (3.5, 3.5), both corners included
        (1, 8, [-20, -28, 43, 35]),
        (5, 8, [-28, -20, 35, 43]),  # five columns: the sixth cell begins the second row
        (7, 16, [-24, -40, 103, 87]),
        (0, 128, [-448, -448, 575, 575]),
    ],
)
def test_a_cell_that_moves_nothing_keeps_its_anchor_of_eight_strides(cell: int, stride: int, box: list[float]) -> None:
    assert one([0, 0, 0, 0], cell, columns=5, stride=stride) == box


def test_moves_count_in_tenths_of_the_side_and_stretches_in_fifths_of_a_logarithm() -> None:
    # moved by 1.0 / 10 * 64 right, by -0.5 / 10 * 64 down; twice as wide, half as high
    box = one([1.0, -0.5, 5 * math.log(2), -5 * math.log(2)], cell=0, columns=5, stride=8)
    centre, side = (3.5 + 6.4, 3.5 - 3.2), (128, 32)
    expected = [centre[0] - 63.5, centre[1] - 15.5, centre[0] + 63.5, centre[1] + 15.5]
    assert box == pytest.approx(expected, abs=1e-12)
    assert (box[2] - box[0] + 1, box[3] - box[1] + 1) == pytest.approx(side, abs=1e-12)


def test_no_anchor_grows_more_than_62_and_a_half_times() -> None:
    box = one([0, 0, 1e9, 5 * math.log(62.5)], cell=0, columns=5, stride=8)
    assert box == pytest.approx([3.5 - 1999.5, 3.5 - 1999.5, 3.5 + 1999.5, 3.5 + 1999.5])


def test_anchors_shrink_without_a_limit() -> None:
    box = one([0, 0, -1e9, -1e9], cell=0, columns=5, stride=8)
    assert box == [4.0, 4.0, 3.0, 3.0]  # no pixel wide: x2 - x1 + 1 is 0


def test_corners_are_clipped_to_the_last_pixel_of_the_photo() -> None:
    boxes = torch.tensor([[-3.0, -4.0, 500.0, 600.0], [10.0, 20.0, 30.0, 40.0], [200.0, 5.0, 300.0, 9.0]])
    expected = [[0, 0, 99, 79], [10, 20, 30, 40], [99, 5, 99, 9]]
    assert clip(boxes, width=100, height=80).tolist() == expected
