"""Deformable convolution against one written with loops, number by number."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from builders.grounding.glip import deform
from builders.grounding.glip.deform import deform_conv
from tests.builders.grounding.glip.tiny import draw

CASES = [(stride, batch, spread) for stride in (1, 2) for batch in (1, 2) for spread in (0.0, 0.7, 20.0)]


def at(channel: Tensor, y: float, x: float) -> float:
    """Bilinear, and 0 outside."""
    found = 0.0
    top, left = math.floor(y), math.floor(x)
    for row, down in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, right in ((left, 1 - (x - left)), (left + 1, x - left)):
            if 0 <= row < channel.shape[0] and 0 <= column < channel.shape[1]:
                found += down * right * float(channel[row, column])
    return found


def by_hand(image: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """`offset` and `mask` are lists of numbers, read as maps of the output's size: that is all that the kernel knew."""
    batch, channels, height, width = image.shape
    rows, columns = (height - 1) // stride + 1, (width - 1) // stride + 1
    out = bias[None, :, None, None].expand(batch, -1, rows, columns).clone()
    for n in range(batch):
        offsets, masks = offset[n].flatten().tolist(), mask[n].flatten().tolist()
        for row in range(rows):
            for column in range(columns):
                cell = row * columns + column
                for tap in range(9):
                    y = row * stride - 1 + tap // 3 + offsets[2 * tap * rows * columns + cell]
                    x = column * stride - 1 + tap % 3 + offsets[(2 * tap + 1) * rows * columns + cell]
                    share = masks[tap * rows * columns + cell]
                    for c in range(channels):
                        sample = share * at(image[n, c], y, x)
                        out[n, :, row, column] += weight[:, c, tap // 3, tap % 3] * sample
    return out


@pytest.mark.parametrize(("stride", "batch", "spread"), CASES)
def test_each_tap_looks_where_its_offset_says_and_sees_nothing_outside(stride: int, batch: int, spread: float) -> None:
    image, weight, bias = draw(batch, 3, 5, 6, seed=1), draw(4, 3, 3, 3, seed=2), draw(4, seed=3)
    rows, columns = (5, 6) if stride == 1 else (3, 3)
    offset, mask = draw(batch, 18, rows, columns, seed=4) * spread, draw(batch, 9, rows, columns, seed=5).sigmoid()
    expected = by_hand(image, offset, mask, weight, bias, stride)
    assert torch.allclose(deform_conv(image, offset, mask, weight, bias, stride), expected, rtol=0, atol=1e-12)


def test_without_offsets_and_with_a_full_mask_it_is_a_plain_convolution() -> None:
    image, weight, bias = draw(2, 3, 7, 4), draw(5, 3, 3, 3, seed=2), draw(5, seed=3)
    found = deform_conv(image, torch.zeros(2, 18, 4, 2).double(), torch.ones(2, 9, 4, 2).double(), weight, bias, 2)
    assert torch.allclose(found, torch.nn.functional.conv2d(image, weight, bias, 2, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 2])
def test_offsets_of_a_larger_map_are_read_on_and_not_cropped(batch: int) -> None:
    image, weight, bias = draw(batch, 3, 3, 4, seed=1), draw(4, 3, 3, 3, seed=2), draw(4, seed=3)
    offset, mask = draw(batch, 18, 6, 8, seed=4), draw(batch, 9, 6, 8, seed=5).sigmoid()
    found = deform_conv(image, offset, mask, weight, bias, 1)
    assert torch.allclose(found, by_hand(image, offset, mask, weight, bias, 1), rtol=0, atol=1e-12)
    cropped = by_hand(image, offset[:, :, :3, :4], mask[:, :, :3, :4], weight, bias, 1)
    assert (found - cropped).abs().max() > 1


def test_a_single_cell_is_convolved_too() -> None:
    image, weight, bias = draw(1, 2, 1, 1), draw(2, 2, 3, 3, seed=2), draw(2, seed=3)
    offset, mask = draw(1, 18, 1, 1, seed=4), draw(1, 9, 1, 1, seed=5).sigmoid()
    for stride in (1, 2):
        found = deform_conv(image, offset, mask, weight, bias, stride)
        assert torch.allclose(found, by_hand(image, offset, mask, weight, bias, stride), rtol=0, atol=1e-12)


@pytest.mark.slow
def test_torchvision_computes_the_same_where_it_has_its_operators() -> None:
    if not deform._compiled():
        pytest.skip("torchvision's compiled operators do not load beside this torch")
    from torchvision.ops import deform_conv2d

    image, weight, bias = draw(2, 3, 5, 6, seed=1), draw(4, 3, 3, 3, seed=2), draw(4, seed=3)
    offset, mask = draw(2, 18, 3, 3, seed=4), draw(2, 9, 3, 3, seed=5).sigmoid()
    theirs = deform_conv2d(image, offset, weight, bias, 2, padding=1, mask=mask)
    assert torch.allclose(deform_conv(image, offset, mask, weight, bias, 2), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("there", [True, False])
def test_an_operator_is_called_where_it_has_a_kernel_for_gpus(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    """torchvision's has none where it was built for CPUs."""
    monkeypatch.setattr(torch.ops.torchvision, "deform_conv2d", object(), raising=False)
    monkeypatch.setattr("torch._C._dispatch_has_kernel_for_dispatch_key", lambda name, key: there and key == "CUDA")
    assert deform._compiled.__wrapped__() is there
