"""What GLIP reads: BERT (Devlin et al. 2019), and the BERT layers that stand in the tower."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from builders.grounding.glip.config import GlipConfig
from builders.torchvision_fix import complete_torchvision

LIMIT = 50_000.0
"""Scores and activations are clamped there, on either side: the models were trained in float16."""


def bert(config: GlipConfig) -> Any:
    """transformers' BERT without its pooler. GLIP reads its last layer."""
    complete_torchvision()
    from transformers import BertConfig, BertModel

    sizes = {"num_hidden_layers": config.text_layers, "num_attention_heads": config.text_heads}
    widths = {"hidden_size": config.text_width, "intermediate_size": 4 * config.text_width}
    model = BertModel(BertConfig(vocab_size=config.vocabulary, **sizes, **widths), add_pooling_layer=False)
    model.set_attn_implementation("sdpa")
    return model


def clamped(values: Tensor) -> Tensor:
    return values.clamp(-LIMIT, LIMIT)


class BertLayer(nn.Module):
    """A layer of BERT with clamps: self-attention over the tokens, then a feed-forward network."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        attention = {"self": SelfAttention(width, heads), "output": AddAndNorm(width, width)}
        self.attention = nn.ModuleDict(attention)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, 4 * width)})
        self.output = AddAndNorm(4 * width, width, LIMIT)

    def forward(self, text: Tensor, mask: Tensor) -> Tensor:
        """N x tokens x width; `mask`, N x tokens, is False where there is padding."""
        attended = self.attention["output"](self.attention["self"](text, mask), text)
        hidden = clamped(functional.gelu(clamped(self.intermediate["dense"](attended))))
        return clamped(self.output(hidden, attended))


class SelfAttention(nn.Module):
    """Every token attends to every token that is no padding."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.heads = heads

    def forward(self, text: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (self._split(projection(text)) for projection in (self.query, self.key, self.value))
        scores = clamped(query @ key.transpose(2, 3) / math.sqrt(query.shape[-1]))
        weights = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1)
        return (weights @ value).transpose(1, 2).flatten(2)

    def _split(self, values: Tensor) -> Tensor:
        """N x heads x tokens x what one head is wide."""
        return values.reshape(*values.shape[:2], self.heads, -1).transpose(1, 2)


class AddAndNorm(nn.Module):
    """How a sublayer ends: projected, clamped at `limit`, added to what went in, normalised."""

    def __init__(self, width_in: int, width: int, limit: float = math.inf) -> None:
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(width_in, width), nn.LayerNorm(width, eps=1e-12)
        self.limit = limit

    def forward(self, values: Tensor, residual: Tensor) -> Tensor:
        normed: Tensor = self.LayerNorm(self.dense(values).clamp(-self.limit, self.limit) + residual)
        return normed
