"""Lets torchvision be imported beside a torch that its compiled library was not built for.

PyPI's torchvision wheels are built for CUDA. Beside a CPU-only torch their `_C.so` cannot load, torchvision carries on
without it, and then fails where it registers fake kernels for operators that only that library defines ("operator
torchvision::nms does not exist"). open_clip and transformers import torchvision, but need none of its operators.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from pathlib import Path
from typing import Any

import torch

_OPERATORS = ("nms", "qnms")
"""What torchvision/_meta_registrations.py registers fakes for unconditionally (0.15 to 0.28); all else it guards."""

_library: Any = None
"""Kept: the operators go when it is collected."""


def complete_torchvision() -> bool:
    """Defines the missing operators, `nms` with a plain implementation. Call it before torchvision is imported.

    Returns whether it did anything: not where torchvision is absent, whole, imported already, or completed before.
    """
    global _library
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None or "torchvision" in sys.modules or hasattr(torch.ops.torchvision, "nms"):
        return False
    compiled = sorted(Path(found.origin).parent.glob("_C.*"))
    if compiled and _loads(compiled[0]):
        return False
    library: Any = torch.library.Library
    _library = library("torchvision", "DEF")
    for name in _OPERATORS:
        _library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _library.impl("nms", nms, "CPU")
    return True


def _loads(library: Path) -> bool:
    try:
        ctypes.CDLL(str(library))
    except OSError:
        return False
    return True


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """The positions of the boxes (N x 4: x1, y1, x2, y2) that no higher-scoring one overlaps more, best first."""
    order = scores.argsort(descending=True, stable=True)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[torch.Tensor] = []
    while order.numel():
        best, rest = order[0], order[1:]
        kept.append(best)
        upper_left = torch.maximum(boxes[best, :2], boxes[rest, :2])
        lower_right = torch.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = (lower_right - upper_left).clamp(min=0).prod(1)
        order = rest[shared <= iou_threshold * (area[best] + area[rest] - shared)]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.long)
