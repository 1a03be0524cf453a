"""The dynamic head: each part by numbers worked out by hand or written out anew."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from builders.grounding.glip.deform import deform_conv
from builders.grounding.glip.dynamic_head import DyConv, DynamicRelu
from tests.builders.grounding.glip.tiny import draw, drawn_module

CHANNELS = 32
SIZES = [(7, 10), (4, 5), (2, 3), (1, 2), (1, 1)]


def levels(batch: int) -> list[Tensor]:
    return [draw(batch, CHANNELS, *size, seed=i) for i, size in enumerate(SIZES)]


def dynamic() -> DyConv:
    module = drawn_module(DyConv(CHANNELS))
    assert isinstance(module, DyConv)
    return module


def test_dynamic_relu_takes_the_greater_of_two_lines_whose_numbers_the_mean_decides() -> None:
    module = DynamicRelu(4).double()
    for values in module.parameters():
        values.data.zero_()
    # hard sigmoid(3) is 1, (-3) is 0, (0) is 1/2: a1 = 2 (1 - 1/2) + 1, b1 = 1 - 1/2, a2 = 2 (0 - 1/2), b2 = 0
    module.fc[2].bias.data = torch.tensor([3.0] * 4 + [3.0] * 4 + [-3.0] * 4 + [0.0] * 4).double()
    x = torch.tensor([-2.0, -0.1, 0.0, 3.0]).double().view(1, 1, 1, 4).expand(1, 4, 1, 4)
    assert module(x)[0, 0, 0].tolist() == pytest.approx([2.0, 0.3, 0.5, 6.5])  # max(2 x + 0.5, -x)


def test_dynamic_relu_is_a_relu_where_nothing_is_learned() -> None:
    module = DynamicRelu(4).double()
    for values in module.parameters():
        values.data.zero_()
    x = draw(2, 4, 3, 3)
    assert torch.equal(module(x), x.clamp(min=0))


def written_out(module: DyConv, maps: list[Tensor], i: int) -> Tensor:
    """Level i, with the neighbours looked up by name; enlarged from corner to corner."""
    learned = module.offset(maps[i])
    offset, mask = learned[:, :18], torch.sigmoid(learned[:, 18:])

    def view(branch: int, source: Tensor, stride: int) -> Tensor:
        conv, norm = module.DyConv[branch].conv, module.DyConv[branch].bn
        return functional.group_norm(
            deform_conv(source, offset, mask, conv.weight, conv.bias, stride), 16, norm.weight, norm.bias
        )

    views = [view(1, maps[i], 1)]
    if i > 0:
        views.append(view(2, maps[i - 1], 2))
    if i < 4:
        views.append(corner_to_corner(view(0, maps[i + 1], 1), maps[i].shape[2], maps[i].shape[3]))
    shares = []
    for one in views:
        logit = module.AttnConv[1](one.mean((2, 3), keepdim=True)).clamp(min=0)
        shares.append(((logit + 3) / 6).clamp(0, 1))
    return module.relu(sum(one * share for one, share in zip(views, shares, strict=True)) / len(views))


def corner_to_corner(small: Tensor, rows: int, columns: int) -> Tensor:
    """Bilinear, the corners' centres on the corners' centres."""

    def matrix(into: int, of: int) -> Tensor:
        where = torch.arange(into).double() * ((of - 1) / (into - 1) if into > 1 else 0)
        return (1 - (where[:, None] - torch.arange(of)).abs()).clamp(min=0)

    return matrix(rows, small.shape[2]) @ small @ matrix(columns, small.shape[3]).T


@pytest.mark.parametrize("i", range(5))
def test_each_level_is_the_mean_of_its_weighted_views(i: int) -> None:
    module, maps = dynamic(), levels(2)
    fused = module(maps)[i]
    assert fused.shape == maps[i].shape
    assert torch.allclose(fused, written_out(module, maps, i), rtol=0, atol=1e-10)


def test_a_batch_is_as_good_as_one_by_one() -> None:
    module, maps = dynamic(), levels(2)
    together = module(maps)
    alone = [module([level[n : n + 1] for level in maps]) for n in range(2)]
    for n, single in enumerate(alone):
        for batched, level in zip(together, single, strict=True):
            assert torch.allclose(batched[n : n + 1], level, rtol=0, atol=1e-12)
