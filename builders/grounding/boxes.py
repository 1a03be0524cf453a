"""Boxes as (x1, y1, x2, y2) in 0..1 of the photo as a viewer sees it, origin at the upper left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Detection:
    """A box that a detector gives to a span: `span` is the span's position in the query.

    `instance` tells annotated things apart; learned detectors leave it None.
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
    Returns the survivors in the order that they were given.
    """
    order = sorted(
        range(len(detections)),
        key=lambda i: (-detections[i].score, starts[detections[i].span], area(detections[i].box), i),
    )
    kept: list[int] = []
    for i in order:
        if not any(_same(detections[i], detections[j], threshold) for j in kept):
            kept.append(i)
    return [detections[i] for i in sorted(kept)]


def _same(a: Detection, b: Detection, threshold: float) -> bool:
    if a.instance is not None and b.instance is not None:
        return a.instance == b.instance
    return iou(a.box, b.box) > threshold
