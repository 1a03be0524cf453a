"""The network against numbers of the original code (golden/README.md): same seeded weights, same inputs, float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.builders.grounding.glip import golden, parts

pytestmark = pytest.mark.slow


def cases(file: str) -> Any:
    return pytest.mark.parametrize("case", golden.load(file), ids=lambda case: case["name"])


@pytest.mark.parametrize("variant", ["T", "L"])
def test_swin_pads_and_shifts_its_windows_as_the_original_does_on_any_size(variant: Any) -> None:
    swin = parts.swin(variant)
    for case in golden.load(f"swin_{variant.lower()}"):
        stages = swin(golden.given(case["inputs"]["pixels"])).feature_maps
        for stage, expected in zip(stages, case["expected"].values(), strict=True):
            golden.agrees(stage, expected)


@pytest.mark.parametrize("variant", ["T", "L"])
def test_the_pyramid_of_odd_sizes_has_the_originals_levels(variant: Any) -> None:
    (case,) = golden.load(f"fpn_{variant.lower()}")
    levels = parts.pyramid(variant, [golden.given(stage) for stage in case["inputs"]["stages"]])
    for level, expected in zip(levels, case["expected"].values(), strict=True):
        golden.agrees(level, expected)


@cases("bert")
def test_bert_reads_a_padded_caption_as_the_original_does(case: dict[str, Any]) -> None:
    rows = case["inputs"]["rows"]
    ids = torch.zeros(len(rows), case["inputs"]["padded_to"], dtype=torch.int64)
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)

    hidden = parts.language(ids, parts.lengths_to_mask([len(row) for row in rows], ids.shape[1]))

    golden.agrees(hidden, case["expected"]["hidden"])
    golden.agrees(hidden[0], case["expected"]["hidden_of_the_padded_row"])


@cases("dcn")
def test_a_deformable_convolution_reads_its_offsets_as_the_cuda_kernel_does(case: dict[str, Any]) -> None:
    x, offset, mask = (golden.given(case["inputs"][name]) for name in ("x", "offset", "mask_before_abs"))
    golden.agrees(parts.deform(case["module"], x, offset, mask.abs(), case["stride"]), case["expected"]["y"])


@cases("dyconv")
def test_a_dynamic_convolution_has_the_originals_levels_down_to_one_cell(case: dict[str, Any]) -> None:
    levels = parts.dyconv(case["module"], [golden.given(level) for level in case["inputs"]["levels"]])
    for level, expected in zip(levels, case["expected"].values(), strict=True):
        golden.agrees(level, expected)


@cases("vlfuse")
def test_fusion_clamps_masks_and_adds_as_the_original_does(case: dict[str, Any]) -> None:
    for fused, expected in zip(parts.fused(case), case["expected"].values(), strict=True):
        golden.agrees(fused, expected)


@cases("tower_bert")
def test_a_layer_of_bert_in_the_tower_clamps_where_the_original_does(case: dict[str, Any]) -> None:
    text = golden.given(case["inputs"]["text"])
    mask = parts.lengths_to_mask(case["inputs"]["tokens"], text.shape[1])
    golden.agrees(parts.bert_layer(case["module"], case["scaled"], text, mask), case["expected"]["text"])


@cases("head")
def test_the_head_has_the_originals_logits_boxes_and_centerness(case: dict[str, Any]) -> None:
    levels, text = [golden.given(level) for level in case["inputs"]["levels"]], golden.given(case["inputs"]["text"])
    mask = torch.ones(text.shape[:2], dtype=torch.bool)

    answers = parts.head(case.get("set", {}), levels, text, mask)

    for i, (level, answer) in enumerate(zip(levels, answers, strict=True)):
        maps = level.shape[0], -1, *level.shape[2:]
        ours = {
            "logits": answer.logits,
            "regression": answer.boxes.transpose(1, 2).reshape(maps),
            "centerness": answer.centerness.reshape(maps),
        }
        for name, values in ours.items():
            if f"p{i + 3}.{name}" in case["expected"]:
                golden.agrees(values, case["expected"][f"p{i + 3}.{name}"])
