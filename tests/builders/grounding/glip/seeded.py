"""Random weights that anybody can draw again: each tensor from its own name, so that no order of drawing matters.

The recorded answers of the original code were made of the same (golden/README.md).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import torch
from torch import Tensor


def seeded(name: str, shape: Sequence[int]) -> Tensor:
    """The tensor of one name of a released checkpoint (without `module.`), in float64.

    Tensors of two and more dimensions have a spread of 0.02. Of the others, norms' weights and the head's scales lie
    about 1, all else about 0, with a spread of 0.1.
    """
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 2**63
    values = torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if len(shape) >= 2:
        return values * 0.02
    about_one = bool(re.search(r"(\.weight|scales\.\d+\.scale)$", name))
    return about_one + 0.1 * values
