"""From pixels to boxes against the original, with all weights of a released model seeded (golden/README.md)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from builders.grounding.glip.postprocess import boxes_of
from builders.grounding.glip.preprocess import prepared
from tests.builders.grounding.glip import golden, parts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.consumers,  # minutes each: in make test-all
    pytest.mark.timeout(1800),  # a loaded machine took more than the 300 s of the other tests
]

MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
ROUNDED = 1e-4
"""Pixels: the original keeps its boxes in float32, and seven digits of them are recorded."""


@pytest.mark.parametrize("variant", ["T", "L"])
def test_a_photo_and_a_caption_have_the_originals_logits_and_boxes(variant: Any) -> None:
    (case,) = golden.load(f"end_to_end_{variant.lower()}")
    photo = case["inputs"]["photo"]
    pixels = normalised(**photo)

    inside, answers = parts.network(variant, pixels, torch.tensor([case["inputs"]["ids"]]))

    for i, level in enumerate(answers):
        inside[f"p{i + 3}.logits"] = level.logits
        inside[f"p{i + 3}.boxes"], inside[f"p{i + 3}.centerness"] = level.boxes, level.centerness
    expected = dict(case["expected"])
    rows = expected.pop("detections")
    for name, summary in expected.items():
        golden.agrees(inside[name], summary)
    found = boxes_of(answers, 0, case["inputs"]["phrases"], photo["width"], photo["height"])
    golden.same_boxes(found.phrases, found.scores, found.boxes, rows, ROUNDED)


def normalised(height: int, width: int, phase: int) -> torch.Tensor:
    """In float64, which `prepared` is not, and as it pads."""
    rgb = golden.photo(height, width, phase)
    padded = prepared(Image.fromarray(rgb.numpy())).double()
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (MEAN, STD))
    padded[:, :height, :width] = ((rgb.double().flip(2) - mean) / std).permute(2, 0, 1)
    return padded[None]
