"""The pyramid of features: sizes for any photo, and every level by its formula."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from builders.grounding.glip.backbone import Backbone, Fpn
from tests.builders.grounding.glip.tiny import TINY, draw, drawn_module


@pytest.mark.parametrize("sizes", [[(8, 12), (4, 6), (2, 3)], [(7, 11), (4, 6), (2, 3)], [(5, 3), (3, 2), (2, 1)]])
def test_levels_are_added_top_down_by_the_nearest_cell(sizes: list[tuple[int, int]]) -> None:
    module = drawn_module(Fpn([16, 32, 64], 32))
    stages = [draw(2, width, *size, seed=width) for width, size in zip((16, 32, 64), sizes, strict=True)]
    p3, p4, p5, p6, p7 = module(stages)
    sides = [
        functional.conv2d(stage, layer.weight, layer.bias)
        for stage, layer in zip(stages, (module.fpn_inner2, module.fpn_inner3, module.fpn_inner4), strict=True)
    ]
    for level in (1, 0):
        rows, columns = (
            torch.arange(into) * of // into
            for into, of in zip(sides[level].shape[2:], sides[level + 1].shape[2:], strict=True)
        )
        sides[level] = sides[level] + sides[level + 1][:, :, rows][:, :, :, columns]
    smooth = (module.fpn_layer2, module.fpn_layer3, module.fpn_layer4)
    for found, side, layer in zip((p3, p4, p5), sides, smooth, strict=True):
        assert torch.allclose(found, functional.conv2d(side, layer.weight, layer.bias, 1, 1), rtol=0, atol=1e-12)
    strided = [module.top_blocks[name] for name in ("p6", "p7")]
    assert torch.allclose(p6, functional.conv2d(p5, strided[0].weight, strided[0].bias, 2, 1), rtol=0, atol=1e-12)
    relu = p6.clamp(min=0)
    assert torch.allclose(p7, functional.conv2d(relu, strided[1].weight, strided[1].bias, 2, 1), rtol=0, atol=1e-12)


@pytest.mark.slow
def test_a_photo_of_any_size_has_five_levels_and_a_batch_is_as_good_as_one_by_one() -> None:
    module = drawn_module(Backbone(TINY))
    images = draw(2, 3, 60, 101)
    together = module(images)
    assert [tuple(level.shape) for level in together] == [
        (2, 32, 8, 13),
        (2, 32, 4, 7),
        (2, 32, 2, 4),
        (2, 32, 1, 2),
        (2, 32, 1, 1),
    ]
    for n in range(2):
        for batched, single in zip(together, module(images[n : n + 1]), strict=True):
            assert torch.allclose(batched[n : n + 1], single, rtol=0, atol=1e-10)
