"""Random weights that anybody can draw again: each tensor from its own name, so that no order of drawing matters."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor


def seeded(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, Tensor]:
    """Tensors for the names of a released checkpoint, in float64.

    Tensors of two and more dimensions have a spread of 0.02. Of the others, norms' weights and the head's scales lie
    about 1, all else about 0, with a spread of 0.1.
    """
    return {name: _drawn(name, shape) for name, shape in sorted(shapes)}


def _drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 2**63
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if len(shape) >= 2:
        return values * 0.02
    about_one = name.endswith((".weight", ".scale"))
    return about_one + 0.1 * values
