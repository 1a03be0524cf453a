"""What GLIP sees: a Swin Transformer (Liu et al. 2021) under a feature pyramid (Lin et al. 2017) of five levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from builders.grounding.glip.config import GlipConfig
from builders.torchvision_fix import complete_torchvision


def swin(config: GlipConfig) -> Any:
    """transformers' Swin, whose last three stages (strides 8, 16 and 32) are normalised and handed on."""
    complete_torchvision()
    from transformers import SwinBackbone, SwinConfig

    sizes = {"depths": list(config.depths), "num_heads": list(config.heads), "window_size": config.window}
    stages = ["stage2", "stage3", "stage4"]
    model = SwinBackbone(SwinConfig(embed_dim=config.embed_dim, out_features=stages, drop_path_rate=0.0, **sizes))
    model.set_attn_implementation("sdpa")  # the eager one rounds to float32
    model.swin.layernorm = nn.Identity()  # it follows the last stage of a classifier, and a GLIP has none
    return model


class Fpn(nn.Module):
    """Five levels of `channels` from the three stages: P3 to P5 top down, P6 and P7 by strided convolutions."""

    def __init__(self, stages: Sequence[int], channels: int) -> None:
        super().__init__()
        self.fpn_inner2, self.fpn_inner3, self.fpn_inner4 = (nn.Conv2d(width, channels, 1) for width in stages)
        self.fpn_layer2, self.fpn_layer3, self.fpn_layer4 = (_conv3(channels, 1) for _ in stages)
        self.top_blocks = nn.ModuleDict({"p6": _conv3(channels, 2), "p7": _conv3(channels, 2)})

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        c3, c4, c5 = stages
        top = self.fpn_inner4(c5)
        middle = self.fpn_inner3(c4) + functional.interpolate(top, size=c4.shape[2:], mode="nearest")
        bottom = self.fpn_inner2(c3) + functional.interpolate(middle, size=c3.shape[2:], mode="nearest")
        p3, p4, p5 = self.fpn_layer2(bottom), self.fpn_layer3(middle), self.fpn_layer4(top)
        p6 = self.top_blocks["p6"](p5)
        return [p3, p4, p5, p6, self.top_blocks["p7"](torch.relu(p6))]


def _conv3(channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, stride, 1)


class Backbone(nn.Module):
    """Images (N x 3 x height x width) to the five levels, each N x channels x rows x columns."""

    def __init__(self, config: GlipConfig) -> None:
        super().__init__()
        self.body = swin(config)
        self.fpn = Fpn([config.embed_dim * scale for scale in (2, 4, 8)], config.channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        levels: list[Tensor] = self.fpn(self.body(images).feature_maps)
        return levels
