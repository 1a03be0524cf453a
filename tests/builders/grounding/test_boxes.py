"""Boxes: from pixels to 0..1, upright, and non-maximum suppression over all of a caption's spans."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from builders.grounding.boxes import DECIMALS, Detection, area, clip, from_pixels, iou, nms, upright
from builders.sources.images import _UPRIGHT

UNIT = st.floats(0, 1)
ANY = st.floats(allow_nan=True, allow_infinity=True)
SIDES = st.integers(1, 10_000)
UNKNOWN: st.SearchStrategy[int | None] = st.none()


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    x1, x2 = sorted((draw(UNIT), draw(UNIT)))
    y1, y2 = sorted((draw(UNIT), draw(UNIT)))
    box = clip((x1, y1, x2, y2))
    assume(box is not None)
    assert box is not None
    return box


@st.composite
def detections(draw: st.DrawFn, instances: st.SearchStrategy[int | None] = UNKNOWN) -> list[Detection]:
    one = st.builds(Detection, st.integers(0, 3), boxes(), st.sampled_from([0.2, 0.7, 0.9, 1.0]), instances)
    return draw(st.lists(one, max_size=8))


# ---- from pixels -----------------------------------------------------------------------------------------------------


def test_a_coco_box_becomes_its_corners_as_parts_of_the_photo() -> None:
    assert from_pixels(10, 20, 30, 40, width=100, height=200) == (0.1, 0.1, 0.4, 0.3)


def test_a_box_that_reaches_over_the_edge_is_clipped_to_the_photo() -> None:
    assert from_pixels(-10, -20, 60, 1000, width=100, height=200) == (0.0, 0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    "box",
    [
        (10, 10, 0, 5),
        (10, 10, 5, 0),
        (10, 10, -5, 5),
        (200, 10, 5, 5),
        (10, -50, 5, 5),
        (math.nan, 10, 5, 5),
        (10, 10, math.nan, 5),
        (10, 10, math.inf, 5),
        (-math.inf, 10, 5, 5),
        (10, 10, 1e-9, 5),
    ],
)
def test_a_box_of_no_area_outside_the_photo_or_of_no_numbers_is_none(box: tuple[float, ...]) -> None:
    assert from_pixels(*box, width=100, height=100) is None


@given(ANY, ANY, ANY, ANY, SIDES, SIDES)
def test_whatever_the_numbers_a_box_lies_in_the_photo_with_an_area_or_is_none(
    x: float, y: float, w: float, h: float, width: int, height: int
) -> None:
    box = from_pixels(x, y, w, h, width, height)
    if box is not None:
        x1, y1, x2, y2 = box
        assert 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1
        assert all(round(value, DECIMALS) == value for value in box)


@given(boxes())
def test_clipping_twice_changes_nothing(box: tuple[float, float, float, float]) -> None:
    assert clip(box) == box


# ---- overlap ---------------------------------------------------------------------------------------------------------


def test_overlap_is_what_two_boxes_share_of_what_they_cover() -> None:
    assert iou((0, 0, 0.5, 1), (0.25, 0, 0.75, 1)) == pytest.approx(1 / 3)
    assert iou((0, 0, 0.5, 1), (0.5, 0, 1, 1)) == 0
    assert iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0


@given(boxes(), boxes())
def test_overlap_is_symmetric_between_nothing_and_all_and_all_for_itself(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float]
) -> None:
    assert iou(a, b) == iou(b, a)
    assert 0 <= iou(a, b) <= 1 + 1e-9
    assert iou(a, a) == pytest.approx(1)
    assert 0 <= area(a) <= 1


# ---- upright ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_goes_where_its_pixels_go_when_a_photo_is_turned_upright(orientation: int) -> None:
    stored = Image.new("L", (8, 4), 0)
    stored.paste(255, (1, 2, 4, 3))
    seen = stored.transpose(_UPRIGHT[orientation]) if orientation > 1 else stored
    x1, y1, x2, y2 = upright((1 / 8, 2 / 4, 4 / 8, 3 / 4), orientation)
    moved = tuple(round(v) for v in (x1 * seen.width, y1 * seen.height, x2 * seen.width, y2 * seen.height))
    assert moved == seen.getbbox()


@given(boxes(), st.integers(1, 8))
def test_turning_keeps_a_box_a_box_of_the_same_area(box: tuple[float, float, float, float], orientation: int) -> None:
    x1, y1, x2, y2 = upright(box, orientation)
    assert 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1
    assert area((x1, y1, x2, y2)) == pytest.approx(area(box), abs=1e-9)


# ---- non-maximum suppression -----------------------------------------------------------------------------------------

LEFT, NEARLY_LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.0, 0.0, 0.45, 1.0), (0.5, 0.0, 1.0, 1.0)


def test_of_two_boxes_that_overlap_the_higher_score_stays_across_spans() -> None:
    low, high = Detection(0, LEFT, 0.7), Detection(1, NEARLY_LEFT, 0.9)
    assert nms([low, high], [0, 10], 0.5) == [high]


def test_boxes_that_overlap_no_more_than_the_threshold_both_stay() -> None:
    apart = [Detection(0, LEFT, 0.7), Detection(0, RIGHT, 0.9)]
    assert nms(apart, [0], 0.5) == apart
    exactly = [Detection(0, LEFT, 0.9), Detection(0, NEARLY_LEFT, 0.7)]
    assert nms(exactly, [0], iou(LEFT, NEARLY_LEFT)) == exactly


def test_of_equal_scores_the_span_that_starts_first_wins_then_the_smaller_box_then_the_earlier() -> None:
    early, late = Detection(1, LEFT, 0.9), Detection(0, LEFT, 0.9)
    assert nms([late, early], [20, 5], 0.5) == [early]
    large, small = Detection(0, LEFT, 0.9), Detection(0, NEARLY_LEFT, 0.9)
    assert nms([large, small], [0], 0.5) == [small]
    first, second = Detection(0, LEFT, 0.9, None), Detection(1, LEFT, 0.9, None)
    assert nms([first, second], [3, 3], 0.5) == [first]


def test_annotated_instances_are_one_only_if_they_are_the_same_however_they_overlap() -> None:
    twins = [Detection(0, LEFT, 1.0, 1), Detection(0, LEFT, 1.0, 2)]
    assert nms(twins, [0], 0.5) == twins
    claimed_twice = [Detection(0, LEFT, 1.0, 1), Detection(1, LEFT, 1.0, 1)]
    assert nms(claimed_twice, [0, 9], 0.5) == claimed_twice[:1]


@given(detections(), st.permutations([0, 5, 9, 12]), st.floats(0, 1))
def test_survivors_are_in_order_do_not_overlap_and_explain_every_box_that_went(
    found: list[Detection], starts: list[int], threshold: float
) -> None:
    kept = nms(found, starts, threshold)
    assert [d for d in found if any(d is k for k in kept)] == kept
    for i, a in enumerate(kept):
        assert all(iou(a.box, b.box) <= threshold for b in kept[i + 1 :])
    for gone in (d for d in found if not any(d is k for k in kept)):
        assert any(iou(gone.box, k.box) > threshold and k.score >= gone.score for k in kept)


@given(detections(), st.floats(0, 1))
def test_suppressing_twice_changes_nothing(found: list[Detection], threshold: float) -> None:
    once = nms(found, [0, 3, 6, 9], threshold)
    assert nms(once, [0, 3, 6, 9], threshold) == once


@given(detections(st.integers(0, 4)), st.floats(0, 1))
def test_every_annotated_instance_stays_exactly_once(found: list[Detection], threshold: float) -> None:
    kept = nms(found, [0, 3, 6, 9], threshold)
    assert sorted(d.instance or 0 for d in kept) == sorted({d.instance or 0 for d in found})


@given(detections(), st.floats(0, 1))
def test_overlap_is_told_as_iou_tells_it_to_the_last_bit(found: list[Detection], threshold: float) -> None:
    kept: list[Detection] = []
    for one in sorted(found, key=lambda d: (-d.score, d.span, area(d.box))):
        if all(iou(one.box, other.box) <= threshold for other in kept):
            kept.append(one)
    assert sorted(map(id, nms(found, [0, 1, 2, 3], threshold))) == sorted(map(id, kept))
