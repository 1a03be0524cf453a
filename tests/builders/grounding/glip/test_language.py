"""BERT and the tower's BERT layers: against transformers' own, and past the clamps that transformers' lack."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from builders.grounding.glip.language import AddAndNorm, BertLayer, bert
from builders.torchvision_fix import complete_torchvision
from tests.builders.grounding.glip.tiny import TINY, draw, drawn_module

WIDTH, HEADS = TINY.text_width, TINY.text_heads
TEXT = draw(2, 7, WIDTH)
MASK = torch.tensor([[True] * 7, [True] * 3 + [False] * 4])


def layer() -> BertLayer:
    module = drawn_module(BertLayer(WIDTH, HEADS))
    assert isinstance(module, BertLayer)
    return module


@pytest.mark.slow
def test_a_layer_is_berts_own_where_nothing_reaches_the_clamps() -> None:
    complete_torchvision()
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertLayer as TheirLayer

    sizes = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "intermediate_size": 4 * WIDTH}
    theirs = TheirLayer(BertConfig(**sizes, attn_implementation="eager")).double().eval()
    theirs.load_state_dict(layer().state_dict())
    hidden = torch.zeros(2, 1, 1, 7, dtype=torch.float64).masked_fill(~MASK[:, None, None], -1e300)
    with torch.inference_mode():
        expected = theirs(TEXT, attention_mask=hidden)
    expected = expected[0] if isinstance(expected, tuple) else expected
    assert torch.allclose(layer()(TEXT, MASK), expected, rtol=0, atol=1e-12)


def test_padding_is_attended_to_by_none() -> None:
    other = TEXT.clone()
    other[1, 3:] = 7.0
    assert torch.equal(layer()(other, MASK)[1, :3], layer()(TEXT, MASK)[1, :3])
    assert torch.allclose(layer()(TEXT[1:, :3], MASK[1:, :3]), layer()(TEXT, MASK)[1:, :3], rtol=0, atol=1e-12)


def clamp(values: Tensor) -> Tensor:
    return values.clamp(-50_000, 50_000)


def spelled_out(module: BertLayer, text: Tensor) -> Tensor:
    """All tokens, one head after the other, each clamp in its place."""
    attention = module.attention["self"]
    heads = []
    for columns in torch.arange(WIDTH).chunk(HEADS):
        query, key, value = (part(text)[..., columns] for part in (attention.query, attention.key, attention.value))
        heads.append(clamp(query @ key.transpose(1, 2) / math.sqrt(len(columns))).softmax(-1) @ value)
    first, last = module.attention["output"], module.output
    attended = first.LayerNorm(first.dense(torch.cat(heads, -1)) + text)
    wide = clamp(nn.functional.gelu(clamp(module.intermediate["dense"](attended))))
    return clamp(last.LayerNorm(clamp(last.dense(wide)) + attended))


@pytest.mark.parametrize("where", ["nowhere", "query", "intermediate", "output", "output.LayerNorm"])
def test_values_past_50_000_are_clamped(where: str) -> None:
    module = layer()
    grown = {
        "query": module.attention["self"].query.weight,
        "intermediate": module.intermediate["dense"].weight,
        "output": module.output.dense.weight,
        "output.LayerNorm": module.output.LayerNorm.weight,
    }
    before = module(TEXT[:1], MASK[:1])
    if where in grown:
        grown[where].mul_(1e6)
        assert (module(TEXT[:1], MASK[:1]) - before).abs().max() > 0.01
    assert torch.allclose(module(TEXT[:1], MASK[:1]), spelled_out(module, TEXT[:1]), rtol=1e-12, atol=1e-9)
    assert module(TEXT[:1], MASK[:1]).abs().max() <= 50_000


def test_the_attentions_own_sum_is_not_clamped() -> None:
    module = layer()
    module.attention["output"].dense.weight.mul_(1e7)
    assert torch.allclose(module(TEXT[:1], MASK[:1]), spelled_out(module, TEXT[:1]), rtol=0, atol=1e-9)
    assert isinstance(module.attention["output"], AddAndNorm) and module.attention["output"].limit == math.inf


@pytest.mark.slow
def test_bert_reads_a_caption_the_same_with_and_without_padding() -> None:
    model = drawn_module(bert(TINY))
    ids, mask = torch.tensor([[2, 4, 7, 3, 0, 0]]), torch.tensor([[True] * 4 + [False] * 2])
    with torch.inference_mode():
        padded = model(input_ids=ids, attention_mask=mask).last_hidden_state
        plain = model(input_ids=ids[:, :4], attention_mask=mask[:, :4]).last_hidden_state
    assert padded.shape == (1, 6, WIDTH)
    assert torch.allclose(padded[:, :4], plain, rtol=0, atol=1e-12)
