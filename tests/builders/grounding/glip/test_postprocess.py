"""From logits to boxes: what is a candidate, what scores it, what suppresses it, and how many are left."""

from __future__ import annotations

import math

import pytest
import torch

from builders.grounding.glip.head import Level
from builders.grounding.glip.postprocess import MOST, Boxes, boxes_of, nms

SIZES = [(8, 8), (4, 4), (2, 2), (1, 1), (1, 1)]
NEVER = -100.0


def logit(p: float) -> float:
    return math.log(p / (1 - p))


class Said:
    """A head's answer of which nothing is likely, but for what a test says."""

    def __init__(self, tokens: int = 4) -> None:
        self.logits = [torch.full((1, h * w, tokens), NEVER, dtype=torch.float64) for h, w in SIZES]
        self.boxes = [torch.zeros(1, h * w, 4, dtype=torch.float64) for h, w in SIZES]
        self.centerness = [torch.full((1, h * w), 50.0, dtype=torch.float64) for h, w in SIZES]  # 1, to the last bit

    def say(self, level: int, cell: int, probabilities: list[float], centerness: float | None = None) -> None:
        for token, p in enumerate(probabilities):
            self.logits[level][0, cell, token] = logit(p) if p else NEVER
        if centerness is not None:
            self.centerness[level][0, cell] = logit(centerness)

    def boxes_of(self, phrases: list[list[int]], width: int = 64, height: int = 64) -> Boxes:
        levels = [Level(*values) for values in zip(self.logits, self.boxes, self.centerness, SIZES, strict=True)]
        return boxes_of(levels, 0, phrases, width, height)


def test_a_phrases_score_is_the_mean_of_its_tokens_probabilities_and_a_boxs_the_root_with_centerness() -> None:
    said = Said()
    said.say(0, 9, [0.9, 0.5, 0.1, 0.0], centerness=0.25)
    found = said.boxes_of([[0, 1], [2]])
    assert found.scores.tolist() == pytest.approx([math.sqrt(0.7 * 0.25), math.sqrt(0.1 * 0.25)])
    assert found.phrases.tolist() == [0, 1]
    # cell 9 of 8 x 8 is in row 1, column 1: its anchor is centred on 11.5, and clipped on the left and above
    assert found.boxes.tolist() == [[0, 0, 43, 43]] * 2


def test_a_cell_is_a_candidate_by_its_phrase_score_alone() -> None:
    said = Said(1)
    said.say(0, 0, [0.051], centerness=0.01)
    said.say(0, 7, [0.049])
    assert said.boxes_of([[0]]).scores.tolist() == pytest.approx([math.sqrt(0.051 * 0.01)])


def test_nothing_likely_gives_no_box() -> None:
    found = Said().boxes_of([[0], [1, 2]])
    assert (found.boxes.shape, found.scores.shape, found.phrases.shape) == ((0, 4), (0,), (0,))
    assert len(Said().boxes_of([]).boxes) == 0


def test_a_phrase_without_tokens_has_no_box_and_keeps_its_place() -> None:
    said = Said(1)
    said.say(0, 0, [0.9])
    assert said.boxes_of([[], [0], []]).phrases.tolist() == [1]


def test_boxes_are_clipped_to_the_photo_without_its_padding() -> None:
    said = Said(1)
    said.say(3, 0, [0.9])  # 512 pixels wide
    assert said.boxes_of([[0]], width=50, height=37).boxes.tolist() == [[0, 0, 49, 36]]


def test_the_same_place_is_suppressed_within_a_phrase_and_not_across() -> None:
    said = Said(2)
    said.say(0, 27, [0.9, 0.3])
    said.say(0, 28, [0.8, 0.7])  # 8 pixels further: overlaps by 56 / 72
    found = said.boxes_of([[0], [1]])
    assert found.phrases.tolist() == [0, 1]
    assert found.scores.tolist() == pytest.approx([math.sqrt(0.9), math.sqrt(0.7)])


def test_two_phrases_of_the_same_tokens_both_have_the_box() -> None:
    said = Said(1)
    said.say(0, 27, [0.9])
    found = said.boxes_of([[0], [0]])
    assert found.phrases.tolist() == [0, 1]
    assert found.boxes[0].tolist() == found.boxes[1].tolist()


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        ([4.0, 0.0, 19.0, 9.0], 2),  # 120 of 200 pixels: 0.6 itself, which is not over it
        ([3.0, 0.0, 18.0, 9.0], 1),  # 130 of 190
        ([0.0, 0.0, 9.0, 9.0], 1),  # 100 of 160 pixels: over it; without the +1, 81 of 135 is 0.6 itself
        ([15.0, 0.0, 30.0, 9.0], 2),  # one column in common
        ([16.0, 0.0, 31.0, 9.0], 2),
    ],
)
def test_overlap_counts_both_corners_and_must_be_over_the_threshold(other: list[float], kept: int) -> None:
    boxes = torch.tensor([[0.0, 0.0, 15.0, 9.0], other])
    assert len(nms(boxes)) == kept


def test_what_is_suppressed_suppresses_nothing() -> None:
    chain = torch.tensor([[0.0, 0.0, 9.0, 9.0], [2.0, 0.0, 11.0, 9.0], [4.0, 0.0, 13.0, 9.0]])
    assert nms(chain).tolist() == [0, 2]


def test_of_equal_scores_the_earlier_cell_wins() -> None:
    said = Said(1)
    for cell in (27, 28):
        said.say(0, cell, [0.5])
    (box,) = said.boxes_of([[0]]).boxes.tolist()
    assert box == [0.0, 0.0, 59.0, 59.0]  # of cell 27, in column 3


def scattered(said: Said, scores: list[float]) -> None:
    """A score a cell of the first level, and boxes of a few pixels that do not touch."""
    said.boxes[0][0, :, 2:] = 5 * math.log(4 / 64)
    for cell, score in enumerate(scores):
        said.say(0, cell, [score] * said.logits[0].shape[2])


def test_at_most_a_hundred_boxes_of_all_phrases_are_left() -> None:
    said = Said(2)
    scattered(said, [0.9 - 0.01 * cell for cell in range(64)])
    found = said.boxes_of([[0], [1]])
    assert len(found.scores) == MOST
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert found.scores[-1].item() == pytest.approx(math.sqrt(0.9 - 0.01 * 49))
    assert sorted(found.dropped.tolist()) == [0] * 14 + [1] * 14


def test_a_phrase_that_others_outscore_a_hundred_times_has_no_box_left_and_is_told_to_have_lost_it() -> None:
    said = Said(3)
    scattered(said, [0.9 - 0.01 * cell for cell in range(64)])
    said.logits[0][0, :, 2] = NEVER
    said.logits[0][0, 0, 2] = logit(0.06)
    found = said.boxes_of([[0], [1], [2]])
    assert 2 not in found.phrases.tolist() and found.dropped.tolist().count(2) == 1


def test_more_are_left_where_the_last_ones_tie() -> None:
    said = Said(2)
    scattered(said, [0.9] * 40 + [0.5] * 24)
    found = said.boxes_of([[0], [1]])
    assert (len(found.scores), len(found.dropped)) == (128, 0)


def test_at_most_a_thousand_cells_a_level_are_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builders.grounding.glip.postprocess.MOST_A_LEVEL", 3)
    said = Said(1)
    scattered(said, [0.3, 0.9, 0.5, 0.8, 0.4])
    said.say(1, 0, [0.2])
    expected = [math.sqrt(p) for p in (0.9, 0.8, 0.5, 0.2)]
    assert said.boxes_of([[0]]).scores.tolist() == pytest.approx(expected)


def test_more_than_eighty_phrases_are_told_apart() -> None:
    said = Said(90)
    said.boxes[0][0, :, 2:] = 5 * math.log(4 / 64)
    for token in range(90):
        said.logits[0][0, token % 64, token] = logit(0.5 + token / 1000)
    found = said.boxes_of([[token] for token in range(90)])
    assert sorted(found.phrases.tolist()) == list(range(90))
    assert found.phrases.tolist() == list(range(89, -1, -1))
