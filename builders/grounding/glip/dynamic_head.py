"""The dynamic head (Dai et al. 2021): attention over levels, places and channels, as convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from builders.grounding.glip.deform import TAPS, deform_conv

_GROUPS = 16


class DeformConv(nn.Module):
    """A modulated deformable convolution, 3 x 3, and its GroupNorm."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, 1)
        self.bn = nn.GroupNorm(_GROUPS, channels)
        self.stride = stride

    def forward(self, level: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        assert self.conv.bias is not None
        normed: Tensor = self.bn(deform_conv(level, offset, mask, self.conv.weight, self.conv.bias, self.stride))
        return normed


class DynamicRelu(nn.Module):
    """max(a1 x + b1, a2 x + b2), whose four numbers a channel come from the mean of the map (Chen et al. 2020)."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        narrow = channels // reduction
        layers = [nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, 4 * channels), nn.Hardsigmoid()]
        self.fc = nn.Sequential(*layers)

    def forward(self, level: Tensor) -> Tensor:
        learned = self.fc(level.mean((2, 3))) - 0.5
        a1, b1, a2, b2 = learned[..., None, None].chunk(4, 1)
        return torch.maximum(level * (2 * a1 + 1) + b1, level * (2 * a2) + b2)


class DyConv(nn.Module):
    """Each level from itself and its two neighbours, all three sampled where the level itself says.

    `DyConv[0]` takes the coarser neighbour, whose result is enlarged; [1] the level; [2] the finer one, at stride 2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.DyConv = nn.ModuleList([DeformConv(channels, 1), DeformConv(channels, 1), DeformConv(channels, 2)])
        self.AttnConv = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 1, 1), nn.ReLU())
        self.relu = DynamicRelu(channels)
        self.offset = nn.Conv2d(channels, 3 * TAPS, 3, 1, 1)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Levels of N x channels x rows x columns, the finest first, and the same again."""
        return [self._fused(levels, i) for i in range(len(levels))]

    def _fused(self, levels: Sequence[Tensor], i: int) -> Tensor:
        level = levels[i]
        offset, mask = self.offset(level).split([2 * TAPS, TAPS], 1)
        where = offset, mask.sigmoid()
        views = [self.DyConv[1](level, *where)]
        if i > 0:
            views.append(self.DyConv[2](levels[i - 1], *where))
        if i + 1 < len(levels):
            coarse = self.DyConv[0](levels[i + 1], *where)
            views.append(functional.interpolate(coarse, size=level.shape[2:], mode="bilinear", align_corners=True))
        weighted = [view * functional.hardsigmoid(self.AttnConv(view)) for view in views]
        fused: Tensor = self.relu(torch.stack(weighted).mean(0))
        return fused
