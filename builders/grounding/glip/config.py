"""The sizes of the two released models (arXiv 2112.03857, section 4; microsoft/GLIP, configs/pretrain)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Variant = Literal["T", "L"]

STRIDES = (8, 16, 32, 64, 128)
"""Pixels between the cells of each level of the pyramid, P3 to P7."""
MAX_TOKENS = 256
"""Of text in one forward pass, with [CLS] and [SEP]."""


@dataclass(frozen=True)
class GlipConfig:
    """A GLIP's sizes. What T and L share has defaults; tests shrink it.

    embed_dim, depths, heads, window: of the Swin Transformer.
    layers: of the tower, each a fusion, a BERT layer and a dynamic convolution.
    """

    embed_dim: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    window: int
    layers: int
    channels: int = 256
    fusion_width: int = 2048
    fusion_heads: int = 8
    text_width: int = 768
    text_layers: int = 12
    text_heads: int = 12
    vocabulary: int = 30_522


VARIANTS: dict[Variant, GlipConfig] = {
    "T": GlipConfig(96, (2, 2, 6, 2), (3, 6, 12, 24), window=7, layers=6),
    "L": GlipConfig(192, (2, 2, 18, 2), (6, 12, 24, 48), window=12, layers=8),
}
