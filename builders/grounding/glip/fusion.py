"""Deep fusion (section 3.2): image and text attend to each other, both ways, over one map of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from builders.grounding.glip.config import GlipConfig
from builders.grounding.glip.language import clamped


class BiAttention(nn.Module):
    """Cross-modality multi-head attention: scores between positions and tokens, used along both axes.

    The projections of the image are never applied to its 22,400 positions. A score is q(v) . k(t) = v . (Wq' k(t)) + c,
    and a weighted sum of projected positions is the projected sum, so the matrices are multiplied into the few tokens:
    the same numbers but for rounding, and 12 times less work for a caption of 20 tokens. Heads come one by one, so that
    the map in memory is N x positions x tokens, whatever the number of heads.
    """

    def __init__(self, channels: int, text_width: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.v_proj, self.l_proj = nn.Linear(channels, width), nn.Linear(text_width, width)
        self.values_v_proj, self.values_l_proj = nn.Linear(channels, width), nn.Linear(text_width, width)
        self.out_v_proj, self.out_l_proj = nn.Linear(width, channels), nn.Linear(width, text_width)

    def forward(self, image: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What is added to image (N x positions x channels) and text (N x tokens x text_width).

        `mask` (N x tokens) is False where there is padding. The image attends to no padding; what padding gathers from
        the image reaches nothing else.
        """
        key = self._split(self.l_proj(text))
        key = key / math.sqrt(key.shape[-1])
        keys = torch.einsum("nthd,chd->hntc", key, self._split(self.v_proj.weight.T))
        offsets = torch.einsum("nthd,hd->hnt", key, self._split(self.v_proj.bias))
        value = self._split(self.values_l_proj(text))
        values = torch.einsum("nthd,chd->hntc", value, self._split(self.out_v_proj.weight))
        to_image = self.out_v_proj.bias.expand(image.shape).clone()
        gathered = []
        for head in range(self.heads):
            scores = clamped(torch.baddbmm(offsets[head][:, None], image, keys[head].transpose(1, 2)))
            gathered.append(scores.softmax(1).transpose(1, 2) @ image)
            to_image += scores.masked_fill_(~mask[:, None], -math.inf).softmax(2) @ values[head]
        seen = torch.einsum("hntc,chd->nthd", torch.stack(gathered), self._split(self.values_v_proj.weight.T))
        to_text = self.out_l_proj((seen + self._split(self.values_v_proj.bias)).flatten(2))
        return to_image, to_text

    def _split(self, values: Tensor) -> Tensor:
        """The last axis as heads x what one head is wide."""
        return values.reshape(*values.shape[:-1], self.heads, -1)


class BiAttentionBlock(nn.Module):
    """Normalise, attend, add. The residual is the normalised tensor, not what came in."""

    def __init__(self, config: GlipConfig) -> None:
        super().__init__()
        self.layer_norm_v, self.layer_norm_l = nn.LayerNorm(config.channels), nn.LayerNorm(config.text_width)
        self.attn = BiAttention(config.channels, config.text_width, config.fusion_width, config.fusion_heads)
        self.gamma_v = nn.Parameter(torch.ones(config.channels))
        self.gamma_l = nn.Parameter(torch.ones(config.text_width))

    def forward(self, image: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        image, text = self.layer_norm_v(image), self.layer_norm_l(text)
        to_image, to_text = self.attn(image, text, mask)
        return image + self.gamma_v * to_image, text + self.gamma_l * to_text


class VLFuse(nn.Module):
    """Fuses the five levels, as one sequence of positions, with the text."""

    def __init__(self, config: GlipConfig) -> None:
        super().__init__()
        self.b_attn = BiAttentionBlock(config)

    def forward(self, levels: Sequence[Tensor], text: Tensor, mask: Tensor) -> tuple[list[Tensor], Tensor]:
        """Levels of N x channels x rows x columns, text of N x tokens x text_width, and both again."""
        image = torch.cat([level.flatten(2) for level in levels], 2).transpose(1, 2)
        image, text = self.b_attn(image, text, mask)
        parts = image.transpose(1, 2).split([level[0, 0].numel() for level in levels], 2)
        return [part.reshape(level.shape) for part, level in zip(parts, levels, strict=True)], text
