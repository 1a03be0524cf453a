"""The names and shapes of a released model's tensors against the original's state dict (golden/README.md)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch

from builders.grounding.glip.checkpoint import released_name
from builders.grounding.glip.config import VARIANTS
from builders.grounding.glip.model import GlipModel
from tests.builders.grounding.glip import golden

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", golden.load("keys"), ids=lambda case: case["name"])
def test_our_model_has_a_place_for_every_tensor_of_the_original_that_is_used_and_no_other(case: dict[str, Any]) -> None:
    with torch.device("meta"):
        model = GlipModel(VARIANTS[case["name"]])

    rows = set()
    for name, tensor in model.state_dict().items():
        key, third = released_name(name)
        shape = tensor.shape if third is None else (3 * tensor.shape[0], *tensor.shape[1:])
        rows.add(f"{key} {'x'.join(map(str, shape))}")

    assert len(rows) == case["used"]
    assert hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest() == case["sha256"]
