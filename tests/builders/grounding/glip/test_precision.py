"""Lower precision, as far as a CPU can tell: autocast there rounds as on a GPU, though no GPU's kernels run."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from builders.grounding.glip.head import Level
from builders.grounding.glip.model import GlipModel
from tests.builders.grounding.glip.tiny import TINY, draw, drawn_module

pytestmark = pytest.mark.slow

IDS = torch.tensor([[2, 4, 7, 6, 5, 8, 3, 0], [2, 5, 16, 17, 3, 0, 0, 0]])
MASK = IDS != 0


def answers(dtype: torch.dtype) -> tuple[list[Level], set[torch.dtype], set[torch.dtype]]:
    """What a model of TINY sizes says, and the types of numbers that backbone and tower worked with."""
    model = drawn_module(GlipModel(TINY, dtype)).float()
    seen: dict[str, set[torch.dtype]] = {"backbone": set(), "head": set()}

    def watch(part: str, kind: type[nn.Module]) -> None:
        for module in model.get_submodule(part).modules():
            if isinstance(module, kind):
                module.register_forward_hook(lambda _, given, answer: seen[part].add(answer.dtype))

    watch("backbone", nn.Conv2d)
    watch("head", nn.Conv2d)
    watch("head", nn.Linear)
    levels: list[Level]
    with torch.inference_mode():
        levels = model(draw(2, 3, 64, 96).float(), IDS, MASK)
    return levels, seen["backbone"], seen["head"]


def scores(levels: list[Level]) -> Tensor:
    """Probabilities at the tokens that are no padding."""
    likely = torch.cat([level.logits for level in levels], 1).sigmoid()
    return likely.masked_select(MASK[:, None])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.02), (torch.float16, 0.004)])
def test_scores_in_lower_precision_stay_near_those_of_float32(dtype: torch.dtype, tolerance: float) -> None:
    exact, lower = answers(torch.float32)[0], answers(dtype)[0]
    difference = (scores(exact) - scores(lower)).abs().mean().item()
    assert 0 < difference < tolerance
    assert scores(exact).std() > tolerance, "or a constant would pass"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_backbone_alone_is_of_lower_precision(dtype: torch.dtype) -> None:
    levels, backbone, head = answers(dtype)
    assert backbone == {dtype}
    assert head == {torch.float32}
    assert {values.dtype for level in levels for values in (level.logits, level.boxes, level.centerness)} == {
        torch.float32
    }
