"""Modulated deformable convolution, 3 x 3 (Zhu et al. 2019): each tap looks where its offset says, times its mask."""

from __future__ import annotations

import importlib.util
from functools import cache, partial

import torch
from torch import Tensor
from torch.nn import functional

from builders.torchvision_fix import complete_torchvision

TAPS = 9


def deform_conv(image: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """N x out x rows x columns, padded by one pixel; what lies outside the image is 0.

    `offset` holds two numbers a tap (down, right), `mask` one. Both may come from a larger map than the output has:
    GLIP's CUDA kernel was handed such maps and read them as if they had the output's size, row after row of the wrong
    length (microsoft/GLIP, issue 52), and the released weights were trained on that. So each channel here is not a
    crop of the map, but the next rows x columns numbers of it.

    A GPU runs torchvision's operator where it has one; a CPU never does, so that it gives the same bits with any
    torchvision.
    """
    rows, columns = ((side - 1) // stride + 1 for side in image.shape[2:])
    offset = _as_read(offset, 2 * TAPS, rows, columns)
    mask = _as_read(mask, TAPS, rows, columns)
    if image.is_cuda and _compiled():
        from torchvision.ops import deform_conv2d

        convolved: Tensor = deform_conv2d(image, offset, weight, bias, stride, padding=1, mask=mask)
        return convolved
    return _sampled(image, offset, mask, weight, bias, stride)


def _as_read(values: Tensor, channels: int, rows: int, columns: int) -> Tensor:
    return values.flatten(1)[:, : channels * rows * columns].reshape(-1, channels, rows, columns)


@cache
def _compiled() -> bool:
    """Whether torchvision is there with its operator for GPUs: one that was built for CPUs has another."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    complete_torchvision()
    import torchvision  # noqa: F401 registers the operators

    operator = "torchvision::deform_conv2d"
    there = hasattr(torch.ops.torchvision, "deform_conv2d")
    return there and torch._C._dispatch_has_kernel_for_dispatch_key(operator, "CUDA")


def _sampled(image: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """The same with PyTorch alone: bilinear samples for every tap, then one matrix product an image."""
    height, width = image.shape[2:]
    rows, columns = offset.shape[2:]
    steps = partial(torch.arange, device=image.device, dtype=image.dtype)
    tap = steps(TAPS).view(TAPS, 1, 1)
    down = offset[:, 0::2] + (tap / 3).floor() + (steps(rows) * stride - 1)[:, None]
    right = offset[:, 1::2] + tap.remainder(3) + (steps(columns) * stride - 1)
    grid = torch.stack([(2 * right + 1) / width - 1, (2 * down + 1) / height - 1], -1).flatten(2, 3)
    matrix = weight.flatten(1)
    convolved = []
    for one, where, share in zip(image, grid, mask.flatten(2), strict=True):  # 155 MB of samples a large image
        samples = functional.grid_sample(one[None], where[None], align_corners=False)[0].mul_(share)
        convolved.append(torch.addmm(bias[:, None], matrix, samples.flatten(0, 1)))
    return torch.stack(convolved).view(len(image), -1, rows, columns)
