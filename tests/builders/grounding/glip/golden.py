"""Inputs by formula, and the comparison with what the original code answered (golden/README.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FOLDER = Path(__file__).parent / "golden"
PROBES = 28
TOLERANCE = 1e-9
"""Of the largest number of a tensor, if that is over 1. A prototype came to 5e-13, the smallest mutation to 0.04."""


def load(name: str) -> Any:
    """The cases of golden/<name>.json."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def pattern(shape: Sequence[int], phase: int, scale: float = 1.0) -> Tensor:
    """Numbers of [-scale, scale) without visible order, exact on every machine: a quadratic chirp modulo 2**32."""
    i = torch.arange(int(torch.tensor(tuple(shape)).prod()), dtype=torch.int64) + 7919 * phase
    mixed = (1013904223 * ((i * i) % 2**32) + 1664525 * i) % 2**32
    return ((mixed.double() / 2**31 - 1) * scale).reshape(tuple(shape))


def photo(height: int, width: int, phase: int) -> Tensor:
    """An RGB image of uint8, (height, width, 3)."""
    return ((pattern((height, width, 3), phase) + 1) * 128).floor().to(torch.uint8)


def given(formula: dict[str, Any]) -> Tensor:
    """The input that a case describes: a pattern, moved by `shift`, in whole steps where `step` is given."""
    drawn = pattern(formula["shape"], formula["phase"], formula["scale"]) + formula.get("shift", 0.0)
    return (drawn / formula["step"]).round() * formula["step"] if "step" in formula else drawn


def probes(size: int) -> Tensor:
    """The flat indexes at which values are recorded."""
    return (torch.arange(min(size, PROBES)) * 2654435761 + 7) % size


def summary(tensor: Tensor) -> dict[str, Any]:
    """What is recorded of a tensor; `projection`, on a pattern, sees a change of any one element."""
    flat = tensor.detach().double().contiguous().reshape(-1)
    return {
        "shape": list(tensor.shape),
        "mean": flat.mean().item(),
        "std": flat.std(correction=0).item(),
        "largest": flat.abs().max().item(),
        "projection": (flat * pattern((len(flat),), 0)).mean().item(),
        "probes": flat[probes(len(flat))].tolist(),
    }


def difference(actual: Tensor, expected: dict[str, Any]) -> float:
    """How far a tensor is from the recorded one, at its worst, as a share of its largest number where that is over 1.

    Its shape must be the same.
    """
    assert list(actual.shape) == expected["shape"]
    found = summary(actual)
    worst = max(abs(found[name] - expected[name]) for name in ("mean", "std", "largest", "projection"))
    worst = max([worst] + [abs(a - b) for a, b in zip(found["probes"], expected["probes"], strict=True)])
    return worst / max(1.0, expected["largest"])


def agrees(actual: Tensor, expected: dict[str, Any]) -> None:
    assert difference(actual, expected) <= TOLERANCE


def same_boxes(phrases: Tensor, scores: Tensor, boxes: Tensor, rows: Sequence[Sequence[float]], pixels: float) -> None:
    """The same boxes, best first; in any order where their scores tie."""
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    ours = [
        (-round(score, 9), phrase, *box)
        for phrase, score, box in zip(phrases.tolist(), scores.tolist(), boxes.tolist(), strict=True)
    ]
    theirs = [(-round(score, 9), phrase, *box) for phrase, score, *box in rows]
    assert len(ours) == len(theirs)
    for one, other in zip(sorted(ours), sorted(theirs), strict=True):
        assert one[1] == other[1]
        assert abs(one[0] - other[0]) <= 1e-9 + 1e-12
        assert max(abs(a - b) for a, b in zip(one[2:], other[2:], strict=True)) <= pixels
