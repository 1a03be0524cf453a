"""From what the head says to boxes for phrases (microsoft/GLIP, modeling/rpn/inference.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from builders.grounding.glip.anchors import clip, decode
from builders.grounding.glip.config import STRIDES
from builders.grounding.glip.head import Level

MIN_PHRASE = 0.05
"""A cell whose phrase score, before centerness, is not over it is no candidate."""
MOST_A_LEVEL = 1_000
MAX_IOU = 0.6
MOST = 100
"""Boxes an image, of all its phrases; more where the last ones' scores tie. It is the original's: a phrase all of whose
boxes score less than that many of other phrases has none."""


@dataclass(frozen=True)
class Boxes:
    """K boxes of one image, best first. `boxes`: K x 4 pixels; `phrases`: the phrase of each, by its position;
    `dropped`: the phrases of those that were over MOST."""

    boxes: Tensor
    scores: Tensor
    phrases: Tensor
    dropped: Tensor


def boxes_of(levels: Sequence[Level], image: int, phrases: Sequence[Sequence[int]], width: int, height: int) -> Boxes:
    """The boxes of one image, whose size is that before padding. `phrases`: the tokens of each; one of none has no box.

    A phrase's score at a cell is the mean of its tokens' probabilities; a box's, the root of that times centerness.
    """
    found = [_candidates(level, stride, image, phrases) for level, stride in zip(levels, STRIDES, strict=True)]
    boxes, scores, labels = (torch.cat([part.cpu() for part in parts]) for parts in zip(*found, strict=True))
    order = scores.argsort(descending=True, stable=True)
    boxes, scores, labels = clip(boxes[order], width, height), scores[order], labels[order]
    kept = [one[nms(boxes[one])] for one in ((labels == label).nonzero()[:, 0] for label in set(labels.tolist()))]
    order = torch.cat([*kept, order[:0]]).sort()[0]
    over = order[:0]
    if len(order) > MOST:
        enough = scores[order] >= scores[order[MOST - 1]]
        order, over = order[enough], order[~enough]
    return Boxes(boxes[order], scores[order], labels[order], labels[over])


def _candidates(
    level: Level, stride: int, image: int, phrases: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores and phrases of a level's best cells."""
    likely = level.logits[image].sigmoid()
    columns = [likely[:, list(tokens)].mean(1) if tokens else likely.new_zeros(len(likely)) for tokens in phrases]
    aligned = torch.stack(columns, 1) if columns else likely[:, :0]
    cells, labels = (aligned > MIN_PHRASE).nonzero().unbind(1)
    scores = aligned[cells, labels] * level.centerness[image].sigmoid()[cells]
    best = scores.argsort(descending=True, stable=True)[:MOST_A_LEVEL]
    cells, labels = cells[best], labels[best]
    return decode(level.boxes[image][cells], cells, level.size[1], stride), scores[best].sqrt(), labels


def nms(boxes: Tensor) -> Tensor:
    """The positions of those boxes, best first, that no better one overlaps by more than `MAX_IOU`, +1 widths."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    areas = sides.prod(1)
    left = torch.arange(len(boxes))
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        upper_left, lower_right = boxes[left, :2].maximum(boxes[best, :2]), boxes[left, 2:].minimum(boxes[best, 2:])
        shared = (lower_right - upper_left + 1).clamp(min=0).prod(1)
        left = left[shared / (areas[left] + areas[best] - shared) <= MAX_IOU]
    return torch.stack(kept) if kept else left
