"""Boxes as (x1, y1, x2, y2) in 0..1 of the photo as a viewer sees it, origin at the upper left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, np.dtype[np.float64]]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Detection:
    """A box that a detector gives to a span: `span` is the span's position in the query.

    `instance`, 0 or more, tells annotated things apart; learned detectors leave it None.
    """

    span: int
    box: Box
    score: float
    instance: int | None = None


def area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def iou(a: Box, b: Box) -> float:
    """Intersection over union, 0..1; 0 where both are empty."""
    inner = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    union = area(a) + area(b) - inner
    return inner / union if union > 0 else 0.0


DECIMALS = 6
"""Coordinates are rounded before they are compared or stored: a thousandth of a pixel on a photo of 1,000."""


def clip(box: Box) -> Box | None:
    """The part of a box that lies in the photo, rounded; None where nothing does, or a number is none."""
    if not all(math.isfinite(value) for value in box):
        return None
    x1, y1, x2, y2 = (round(min(max(value, 0.0), 1.0), DECIMALS) for value in box)
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def one_apart(low: int, high: int, most: int) -> tuple[int, int]:
    """Two whole coordinates in 0..most, at least one apart: a box whose sides fall together is none to its readers.

    The higher one gives way, at the edge the lower.
    """
    if high > low:
        return low, high
    return (low, low + 1) if low < most else (most - 1, most)


def from_pixels(x: float, y: float, w: float, h: float, width: int, height: int) -> Box | None:
    """A COCO box in 0..1, clipped; None where its size is not positive or it lies outside."""
    if not (w > 0 and h > 0):
        return None
    return clip((x / width, y / height, (x + w) / width, (y + h) / height))


def upright(box: Box, orientation: int) -> Box:
    """A box on the stored pixels, moved to where a viewer sees it (EXIF orientation 1..8)."""
    x1, y1, x2, y2 = box
    if orientation in (5, 6, 7, 8):
        x1, y1, x2, y2 = y1, x1, y2, x2
    if orientation in (2, 3, 6, 7):
        x1, x2 = 1 - x2, 1 - x1
    if orientation in (3, 4, 7, 8):
        y1, y2 = 1 - y2, 1 - y1
    return x1, y1, x2, y2


def nms(detections: Sequence[Detection], starts: Sequence[int], threshold: float) -> list[Detection]:
    """Greedy non-maximum suppression over all boxes, across spans (Kosmos-2, section 2, step 1).

    The higher score wins; ties go to the span that starts first (`starts[span]`), the smaller box, the earlier
    detection. Two annotated instances are one only if they are the same instance, however they overlap.
    Returns the survivors in the order that they were given. An endpoint may answer tens of thousands of boxes: a pass
    for each survivor, over the arrays of those that are left.
    """
    order = sorted(
        range(len(detections)),
        key=lambda i: (-detections[i].score, starts[detections[i].span], area(detections[i].box), i),
    )
    boxes = np.array([detections[i].box for i in order]).reshape(-1, 4)
    instances = np.array([-1 if detections[i].instance is None else detections[i].instance for i in order], np.int64)
    left = np.arange(len(order))
    kept: list[int] = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(order[best])
        told = (instances[left] >= 0) & (instances[best] >= 0)
        same = np.where(told, instances[left] == instances[best], _ious(boxes[best], boxes[left]) > threshold)
        left = left[~same]
    return [detections[i] for i in sorted(kept)]


def _ious(box: Numbers, others: Numbers) -> Numbers:
    """What `iou` gives for `box` (4) and each of `others` (N x 4), to the last bit."""
    inner = _areas(np.concatenate([np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])], axis=1))
    union = _areas(others) + _areas(box[None]) - inner
    return np.divide(inner, union, out=np.zeros(len(others)), where=union > 0)


def _areas(boxes: Numbers) -> Numbers:
    sides: Numbers = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return sides[:, 0] * sides[:, 1]
