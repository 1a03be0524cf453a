"""Anchors, decoding and post-processing against the original's, on answers of a head by formula (golden/README.md)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from builders.grounding.glip.anchors import decode
from builders.grounding.glip.config import STRIDES
from builders.grounding.glip.head import Level
from builders.grounding.glip.postprocess import boxes_of, nms
from tests.builders.grounding.glip import golden

ROUNDED = 1e-4
"""Pixels: the original keeps its boxes in float32, and seven digits of them are recorded."""


def cells(levels: Any) -> Any:
    return list(zip(range(len(STRIDES)), STRIDES, levels["sizes"], strict=True))


def test_anchors_are_eight_strides_wide_about_the_middle_of_each_cell() -> None:
    (case, _) = golden.load("anchors")
    for i, stride, (rows, columns) in cells(case):
        unmoved = decode(torch.zeros(rows * columns, 4).double(), torch.arange(rows * columns), columns, stride)
        assert unmoved.tolist() == case["expected"][f"p{i + 3}"]


def test_moves_and_stretches_past_the_limit_are_decoded_as_the_original_does() -> None:
    (_, case) = golden.load("anchors")
    for i, stride, (rows, columns) in cells(case):
        moves = golden.given(case["inputs"]["moves"][i])
        boxes = decode(moves, torch.arange(rows * columns), columns, stride)
        expected = torch.tensor(case["expected"][f"p{i + 3}"]).double()
        assert torch.allclose(boxes, expected, rtol=1e-6, atol=1e-6)


def answers(case: dict[str, Any]) -> list[Level]:
    """Levels as the head gives them, from maps by formula."""
    levels = []
    for formulas in case["inputs"]["levels"]:
        logits, moves, stretches, centerness = (golden.given(formula) for formula in formulas.values())
        boxes = torch.cat([moves, stretches], 1).flatten(2).transpose(1, 2)
        levels.append(Level(logits, boxes, centerness.flatten(1), (moves.shape[2], moves.shape[3])))
    return levels


@pytest.mark.parametrize("case", golden.load("postprocess"), ids=lambda case: case["name"])
def test_phrases_get_the_originals_boxes(case: dict[str, Any]) -> None:
    for i, (height, width) in enumerate(case["inputs"]["sizes"]):
        found = boxes_of(answers(case), i, case["inputs"]["phrases"], width, height)
        golden.same_boxes(found.phrases, found.scores, found.boxes, case["expected"][f"image_{i}"], ROUNDED)


def test_overlap_counts_the_last_pixel() -> None:
    (case,) = golden.load("nms")
    assert nms(torch.tensor(case["boxes"])).tolist() == case["expected"]["kept"]
