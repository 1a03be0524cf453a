"""What the head makes of the fused levels and text, by its formulas, every bias and scale in them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from builders.grounding.glip.head import Head
from tests.builders.grounding.glip.tiny import TINY, draw, drawn_module

pytestmark = pytest.mark.slow

SIZES = [(4, 6), (2, 3), (1, 2), (1, 1), (1, 1)]
LEVELS = [draw(2, TINY.channels, *size, seed=i) for i, size in enumerate(SIZES)]
TEXT = draw(2, 5, TINY.text_width, seed=9)
MASK = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])


def head() -> Head:
    module = drawn_module(Head(TINY))
    assert isinstance(module, Head)
    return module


def cells(level: Tensor) -> Tensor:
    return level.permute(0, 2, 3, 1).flatten(1, 2)


def test_logits_boxes_and_centerness_of_each_level() -> None:
    module = head()
    answers = module(LEVELS, TEXT, MASK)
    levels, text = module._tower(LEVELS, TEXT, MASK)
    token = text / text.norm(dim=-1, keepdim=True)
    projection = module.dot_product_projection_text
    query = token / 2 @ projection.weight.T + projection.bias
    for level, answer, scale, size in zip(levels, answers, module.scales, SIZES, strict=True):
        aligned = torch.einsum("npc,ntc->npt", cells(level), query) / module.log_scale.exp()
        logits = aligned + (token @ module.bias_lang)[:, None] + module.bias0
        box, centre = module.bbox_pred, module.centerness
        moves = (cells(level) @ box.weight[:, :, 0, 0].T + box.bias) * scale.scale
        centerness = (cells(level) @ centre.weight[:, :, 0, 0].T + centre.bias)[..., 0]
        assert answer.size == size
        for found, expected in ((answer.logits, logits), (answer.boxes, moves), (answer.centerness, centerness)):
            assert torch.allclose(found, expected, rtol=0, atol=1e-10)


def test_logits_are_clamped_at_50_000() -> None:
    module = head()
    module.log_scale.fill_(-30.0)
    logits = torch.cat([level.logits.flatten() for level in module(LEVELS, TEXT, MASK)])
    assert (logits.min(), logits.max()) == (-50_000, 50_000)


def test_each_layer_of_the_tower_fuses_then_reads_then_looks() -> None:
    module = head()
    levels, text = LEVELS, TEXT
    for i in range(TINY.layers):
        levels, text = module.dyhead_tower[3 * i](levels, text, MASK)
        text = module.dyhead_tower[3 * i + 1](text, MASK)
        levels = module.dyhead_tower[3 * i + 2](levels)
    found, read = module._tower(LEVELS, TEXT, MASK)
    assert torch.equal(read, text)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, levels, strict=True))
