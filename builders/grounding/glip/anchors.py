"""Anchors, one square a cell, and the boxes that the head makes of them (Faster R-CNN's coder, +1 widths)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SIDE = 8
"""An anchor is so many strides wide and high."""
_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
_STRETCH = math.log(1000 / 16)
"""No anchor grows more than 62.5 times."""


def decode(moves: Tensor, cells: Tensor, columns: int, stride: int) -> Tensor:
    """K x 4 boxes (x1, y1, x2, y2, pixels) from K x 4 moves of the cells numbered row after row.

    A cell's anchor is centred on its middle pixel. Both corners belong to a box: it is x2 - x1 + 1 wide.
    """
    side = float(_SIDE * stride)
    centre = torch.stack([cells % columns, cells // columns], 1).to(moves.dtype) * stride + (stride - 1) / 2
    moves = moves / moves.new_tensor(_WEIGHTS)
    centre = moves[:, :2] * side + centre
    half = (moves[:, 2:].clamp(max=_STRETCH).exp() * side - 1) / 2
    return torch.cat([centre - half, centre + half], 1)


def clip(boxes: Tensor, width: int, height: int) -> Tensor:
    """The boxes with their corners on pixels of the image."""
    last = boxes.new_tensor([width - 1, height - 1, width - 1, height - 1])
    return boxes.clamp(min=0).minimum(last)
