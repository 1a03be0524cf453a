"""The tower of deep fusion (section 3.2), and detection as phrase grounding on top of it (section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from builders.grounding.glip.config import STRIDES, GlipConfig
from builders.grounding.glip.dynamic_head import DyConv
from builders.grounding.glip.fusion import VLFuse
from builders.grounding.glip.language import BertLayer, clamped


@dataclass(frozen=True)
class Level:
    """What the head says of the cells of one level, row after row, of N images."""

    logits: Tensor
    """N x cells x tokens: how well they align."""
    boxes: Tensor
    """N x cells x 4: moves and stretches of the cell's anchor."""
    centerness: Tensor
    """N x cells, a logit."""
    size: tuple[int, int]
    """Rows and columns."""


class Scale(nn.Module):
    """A learned factor."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, values: Tensor) -> Tensor:
        return values * self.scale


class Head(nn.Module):
    """Fuses image and text layer by layer; then aligns every cell with every token, and gives it a box."""

    def __init__(self, config: GlipConfig) -> None:
        super().__init__()
        channels, width = config.channels, config.text_width
        layers = ((VLFuse(config), BertLayer(width, config.text_heads), DyConv(channels)) for _ in range(config.layers))
        self.dyhead_tower = nn.ModuleList(part for layer in layers for part in layer)
        self.bbox_pred, self.centerness = nn.Conv2d(channels, 4, 1), nn.Conv2d(channels, 1, 1)
        self.scales = nn.ModuleList(Scale() for _ in STRIDES)
        self.dot_product_projection_text = nn.Linear(width, channels)
        self.log_scale, self.bias0 = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.bias_lang = nn.Parameter(torch.zeros(width))

    def forward(self, levels: Sequence[Tensor], text: Tensor, mask: Tensor) -> list[Level]:
        """Five levels of N x channels x rows x columns; text of N x tokens x width, its mask False at padding."""
        levels, text = self._tower(levels, text, mask)
        token = functional.normalize(text, dim=-1)
        query = self.dot_product_projection_text(token / 2)
        bias = (token @ self.bias_lang + self.bias0)[:, None]
        answers = []
        for level, scale in zip(levels, self.scales, strict=True):
            logits = clamped(_cells(level) @ query.transpose(1, 2) / self.log_scale.exp() + bias)
            boxes, centerness = scale(_cells(self.bbox_pred(level))), _cells(self.centerness(level))[..., 0]
            answers.append(Level(logits, boxes, centerness, (level.shape[2], level.shape[3])))
        return answers

    def _tower(self, levels: Sequence[Tensor], text: Tensor, mask: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        parts = list(self.dyhead_tower)
        for fuse, bert_layer, dynamic in zip(parts[0::3], parts[1::3], parts[2::3], strict=True):
            levels, text = fuse(levels, text, mask)
            text = bert_layer(text, mask)
            levels = dynamic(levels)
        return levels, text


def _cells(level: Tensor) -> Tensor:
    return level.flatten(2).transpose(1, 2)
