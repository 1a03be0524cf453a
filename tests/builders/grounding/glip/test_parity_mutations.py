"""Four mistakes that were made or nearly made: the same made in the original moves its numbers far beyond tolerance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from builders.grounding.glip import dynamic_head
from builders.grounding.glip.fusion import BiAttentionBlock
from builders.grounding.glip.postprocess import nms
from tests.builders.grounding.glip import golden, parts

pytestmark = pytest.mark.slow

MUTATIONS = golden.load("mutations")


def mutation(name: str, of: str) -> Any:
    return next(found for found in MUTATIONS if found["name"] == name and found["of"].startswith(of))


def levels_of_the_dynamic_convolution() -> dict[str, Tensor]:
    (case,) = golden.load("dyconv")
    levels = parts.dyconv(case["module"], [golden.given(level) for level in case["inputs"]["levels"]])
    return {f"p{i + 3}": level for i, level in enumerate(levels)}


def fused() -> dict[str, Tensor]:
    case = next(case for case in golden.load("vlfuse") if case["name"] == "padded_text")
    return dict(zip(case["expected"], parts.fused(case), strict=True))


def agree(ours: dict[str, Tensor], found: Any) -> bool:
    return all(
        golden.difference(ours[name], expected) <= golden.TOLERANCE for name, expected in found["mutated"].items()
    )


def test_cropped_offsets_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mutation("cropped_offsets", "dyconv")
    honest = dynamic_head.deform_conv

    def cropped(image: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        rows, columns = ((side - 1) // stride + 1 for side in image.shape[2:])
        kept = (values[:, :, :rows, :columns].contiguous() for values in (offset, mask))
        return honest(image, *kept, weight, bias, stride)

    assert not agree(levels_of_the_dynamic_convolution(), found)
    monkeypatch.setattr(dynamic_head, "deform_conv", cropped)
    assert agree(levels_of_the_dynamic_convolution(), found)


def test_upsampling_without_aligned_corners_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mutation("align_corners_false", "dyconv")
    honest = functional.interpolate

    def unaligned(*args: Any, **options: Any) -> Tensor:
        return honest(*args, **{**options, "align_corners": False})

    assert not agree(levels_of_the_dynamic_convolution(), found)
    monkeypatch.setattr(functional, "interpolate", unaligned)
    assert agree(levels_of_the_dynamic_convolution(), found)


def test_a_residual_from_before_the_norm_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mutation("residual_before_the_norm", "vlfuse")

    def before(self: BiAttentionBlock, image: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        to_image, to_text = self.attn(self.layer_norm_v(image), self.layer_norm_l(text), mask)
        return image + self.gamma_v * to_image, text + self.gamma_l * to_text

    assert not agree(fused(), found)
    monkeypatch.setattr(BiAttentionBlock, "forward", before)
    assert agree(fused(), found)


def test_overlap_without_the_last_pixel_would_be_seen() -> None:
    (case,) = golden.load("nms")
    kept = nms(torch.tensor(case["boxes"])).tolist()
    assert kept == mutation("iou_without_plus_one", "nms")["kept"]
    assert kept != mutation("iou_without_plus_one", "nms")["mutated_kept"]


@pytest.mark.parametrize("found", [found for found in MUTATIONS if "change" in found], ids=lambda found: found["name"])
def test_every_mutation_moves_the_original_a_million_tolerances_and_more(found: Any) -> None:
    assert max(found["change"]["largest_change"]) > 1e6 * golden.TOLERANCE
