"""Deep fusion against the paper's formulas written out in full, projections of all positions included."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from builders.grounding.glip.fusion import BiAttention, BiAttentionBlock, VLFuse
from tests.builders.grounding.glip.tiny import TINY, draw, drawn_module

POSITIONS, TOKENS = 50, 6
MASK = torch.tensor([[True] * TOKENS, [True] * 4 + [False] * 2])
IMAGE, TEXT = draw(2, POSITIONS, TINY.channels, seed=1), draw(2, TOKENS, TINY.text_width, seed=2)


def attention() -> BiAttention:
    module = drawn_module(BiAttention(TINY.channels, TINY.text_width, TINY.fusion_width, TINY.fusion_heads))
    assert isinstance(module, BiAttention)
    return module


def block() -> BiAttentionBlock:
    module = drawn_module(BiAttentionBlock(TINY))
    assert isinstance(module, BiAttentionBlock)
    return module


def in_full(module: BiAttention, image: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Every projection, and all heads' scores at once; shifted by their greatest and clamped as GLIP's code has it."""

    def heads(values: Tensor) -> Tensor:
        return values.view(*values.shape[:2], module.heads, -1).transpose(1, 2)

    def joined(values: Tensor) -> Tensor:
        return values.transpose(1, 2).flatten(2)

    query, key = heads(module.v_proj(image)), heads(module.l_proj(text))
    scores = (query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])).clamp(-50_000, 50_000)
    turned = scores.transpose(2, 3)
    to_text = (turned - turned.amax(-1, keepdim=True)).clamp(-50_000, 50_000).softmax(-1)
    to_image = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1)
    seen, read = (
        joined(to_text @ heads(module.values_v_proj(image))),
        joined(to_image @ heads(module.values_l_proj(text))),
    )
    return module.out_v_proj(read), module.out_l_proj(seen)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e5], ids=["moderate", "large", "past the clamps"])
def test_matrices_multiplied_into_the_tokens_give_what_projecting_every_position_gives(scale: float) -> None:
    module = attention()
    module.l_proj.weight.mul_(scale)
    found, expected = module(IMAGE, TEXT, MASK), in_full(module, IMAGE, TEXT, MASK)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-9)


def test_scores_past_the_clamps_tie() -> None:
    """Two tokens whose scores are far over 50,000 share the attention, whichever is higher."""
    module = attention()
    for name, values in module.named_parameters():
        values.fill_(0.0 if name.endswith("bias") else 1.0)
    image, text = torch.ones(1, 3, TINY.channels).double(), torch.ones(1, 2, TINY.text_width).double()
    text[0, 1] *= 2
    text *= 1e3
    to_image, _ = module(image, text, torch.ones(1, 2, dtype=torch.bool))
    apart = module.out_v_proj(module.values_l_proj(text))
    assert torch.allclose(to_image[0, 0], (apart[0, 0] + apart[0, 1]) / 2)


def test_padding_changes_neither_the_image_nor_the_other_tokens() -> None:
    module = block()
    image, text = module(IMAGE, TEXT, MASK)
    other = TEXT.clone()
    other[1, 4:] = 1e3 * draw(2, TINY.text_width, seed=5)
    again, text_again = module(IMAGE, other, MASK)
    assert torch.equal(again, image)
    assert torch.allclose(text_again[1, :4], text[1, :4], rtol=0, atol=1e-12)
    short, text_short = module(IMAGE[1:], TEXT[1:, :4], MASK[1:, :4])
    assert torch.allclose(short, image[1:], rtol=0, atol=1e-12)
    assert torch.allclose(text_short, text[1:, :4], rtol=0, atol=1e-12)


def test_what_is_added_to_is_the_normalised_tensor() -> None:
    module = block()
    image, text = module(IMAGE, TEXT, MASK)
    v = functional.layer_norm(IMAGE, [TINY.channels], module.layer_norm_v.weight, module.layer_norm_v.bias)
    t = functional.layer_norm(TEXT, [TINY.text_width], module.layer_norm_l.weight, module.layer_norm_l.bias)
    to_image, to_text = in_full(module.attn, v, t, MASK)
    assert torch.allclose(image, v + module.gamma_v * to_image, rtol=0, atol=1e-10)
    assert torch.allclose(text, t + module.gamma_l * to_text, rtol=0, atol=1e-10)
    assert (image - (IMAGE + module.gamma_v * to_image)).abs().max() > 0.1


def test_the_levels_are_one_sequence_and_come_back_in_their_shapes() -> None:
    module = drawn_module(VLFuse(TINY))
    levels = [draw(2, TINY.channels, *size, seed=i) for i, size in enumerate([(5, 7), (3, 4), (1, 1)])]
    fused, text = module(levels, TEXT, MASK)
    assert [level.shape for level in fused] == [level.shape for level in levels]
    positions = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)
    image, expected = module.b_attn(positions, TEXT, MASK)
    assert torch.equal(text, expected)
    assert torch.equal(fused[1][0, :, 2, 1], image[0, 35 + 2 * 4 + 1])
