"""The table of how true grounded expressions are: its truth, its judge, and what each noise does to it."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.grounded_truth import CAUSES, Parsed, Score, lost_to, main, measure, named_by, parse
from benchmarks.noisy_truth import Mention, Noise, mentions
from builders.grounding.boxes import Box
from builders.sources.scenes import lexicon
from builders.sources.scenes.noise import World
from builders.step import Record

BALL, CAT, FAR = (0.1, 0.1, 0.3, 0.3), (0.6, 0.6, 0.9, 0.9), (0.4, 0.1, 0.5, 0.2)
CAPTION = "just a ball left of a cat and a cup"


def mention(words: str, *boxes: Box, number: int = 0, by: tuple[int, ...] = ()) -> Mention:
    start = CAPTION.index(words)
    return Mention(number, start, start + len(words), boxes, by)


SAID = (mention("a ball", BALL, by=(1, -1)), mention("a cat", CAT, number=1), mention("a cup", FAR, number=2))


def chunk(words: str, expression: str) -> dict[str, int]:
    start, first = CAPTION.index(words), CAPTION.index(expression)
    ends = {"end": start + len(words), "expression_end": first + len(expression)}
    return {"start": start, "expression_start": first, **ends}


def record(*chunks: dict[str, int], detections: Any = ()) -> Record:
    return {"caption": CAPTION, "_chunks": list(chunks), "_detections": [_detection(*each) for each in detections]}


def _detection(span: int, box: tuple[float, ...], score: float) -> dict[str, Any]:
    return {"span": span, "score": score, **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))}


# -- the truth


def test_the_mentions_of_a_scene_are_words_of_its_caption_with_as_many_boxes_as_they_say() -> None:
    world = World(3)
    nouns = {form for forms in lexicon.NOUNS.values() for both in forms for form in both}
    counted = 0
    for i in range(100):
        pair = world.pair(i)
        for said in mentions(world, f"scene-{i:09d}"):
            first, *_, last = pair.caption[said.start : said.end].lower().split()
            assert lexicon.COUNTS[len(said.boxes)] == first.replace("an", "a")
            assert last in nouns
            assert all(0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1 for x1, y1, x2, y2 in said.boxes)
            counted += 1
    assert counted > 100


# -- the judge


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        ("a ball", "a ball"),
        ("a ball", "a ball left of a cat"),  # which tells where the ball is
        ("just a ball", "just a ball left of a cat"),
    ],
)
def test_an_expression_names_what_its_chunk_says(words: str, expression: str) -> None:
    assert named_by(SAID[0], SAID, record(chunk(words, expression))) is not None


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        ("ball", "ball"),  # half of the words
        ("a ball left of a cat", "a ball left of a cat"),
        ("a ball", "a ball left of a cat and a cup"),  # the cup stands beside it
        ("a ball", "just a ball"),  # begins elsewhere
        ("a cat", "a cat"),  # something else
    ],
)
def test_an_expression_of_other_words_does_not(words: str, expression: str) -> None:
    made = record(chunk(words, expression))
    assert named_by(SAID[0], SAID, made) is None
    assert lost_to(SAID[0], None, made, {}, 0.65) == "parser"


@pytest.mark.parametrize(
    ("answers", "kept", "cause"),
    [
        ([(0, BALL, 0.9)], [BALL], None),
        ([(0, BALL, 0.9)], [(0.1, 0.1, 0.3, 0.25)], None),
        ([(0, CAT, 0.9)], [CAT], "detector"),
        ([(1, BALL, 0.9)], [], "detector"),
        ([(0, BALL, 0.6)], [], "threshold"),
        ([(0, BALL, 0.65)], [], "threshold"),
        ([(0, BALL, 0.9)], [], "NMS"),
        ([(0, BALL, 0.9), (0, CAT, 0.9)], [BALL, CAT], "a box too many"),
    ],
)
def test_a_lost_mention_is_put_down_to_the_first_that_lost_it(answers: Any, kept: Any, cause: str | None) -> None:
    made = record(chunk("a ball", "a ball"), chunk("a cat", "a cat"), detections=answers)
    spans = named_by(SAID[0], SAID, made)
    assert spans is not None
    assert lost_to(SAID[0], spans, made, {spans: kept} if kept else {}, 0.65) == cause


# -- the table

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def parsed() -> Parsed:
    return parse(150, seed=1)


@pytest.fixture(scope="module")
def perfect(parsed: Parsed) -> Score:
    return measure(parsed, Noise())


@slow
def test_with_a_perfect_detector_only_the_parser_loses_mentions(perfect: Score) -> None:
    assert perfect.precision > 0.95 and perfect.box_precision > 0.95
    assert perfect.recall > 0.9 and perfect.box_recall > 0.9
    assert perfect.lost["parser"] == pytest.approx(1 - perfect.recall)


@slow
def test_where_a_share_of_boxes_is_missed_recall_falls_by_it(parsed: Parsed, perfect: Score) -> None:
    missed = measure(parsed, Noise(missed=0.3))
    assert missed.box_recall == pytest.approx(0.7 * perfect.box_recall, abs=0.06)
    assert 0.55 * perfect.recall < missed.recall < 0.75 * perfect.recall, "two of three balls are no right expression"
    assert missed.box_precision == pytest.approx(perfect.box_precision, abs=0.03)
    assert missed.lost["detector"] == pytest.approx(perfect.recall - missed.recall)


@slow
def test_spurious_boxes_cost_precision_over_the_threshold_and_nothing_under_it(parsed: Parsed, perfect: Score) -> None:
    over = measure(parsed, Noise(spurious=0.3, false_scores=(0.66, 0.95)))
    assert over.box_precision < perfect.box_precision - 0.15
    assert over.precision < perfect.precision - 0.2
    assert over.lost["a box too many"] > 0.15
    assert measure(parsed, Noise(spurious=0.3, false_scores=(0.3, 0.65))) == perfect


@slow
def test_another_things_box_is_dropped_by_nms_unless_it_is_the_surer_one(parsed: Parsed, perfect: Score) -> None:
    less = measure(parsed, Noise(confused=0.3, false_scores=(0.66, 0.7)))
    sure = measure(parsed, Noise(confused=0.3, false_scores=(0.7, 1.0)))
    assert perfect.recall - less.recall < 0.03
    assert sure.lost["NMS"] > 0.05 and less.lost["NMS"] == perfect.lost["NMS"] == 0


@slow
def test_true_boxes_that_score_too_little_are_lost_to_the_threshold(parsed: Parsed, perfect: Score) -> None:
    unsure = measure(parsed, Noise(scores=(0.55, 1.0)))
    assert unsure.lost["threshold"] == pytest.approx(perfect.recall - unsure.recall)
    assert 0.15 < unsure.lost["threshold"] < 0.35


@slow
def test_edges_that_are_a_little_off_cost_nothing_and_more_cost_more(parsed: Parsed, perfect: Score) -> None:
    little, much, most = (measure(parsed, Noise(jitter=jitter)).recall for jitter in (0.1, 0.3, 0.5))
    assert little == perfect.recall > much > most


@slow
def test_annotated_boxes_take_the_place_of_the_noise_where_there_is_none(parsed: Parsed, perfect: Score) -> None:
    annotated = measure(parsed, None)
    assert annotated.lost["detector"] > 0, "they cannot tell a red ball from a blue one"
    assert perfect.recall > annotated.recall > perfect.recall - 0.15


@slow
def test_the_same_scenes_make_the_same_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(25)
    first = capsys.readouterr().out
    main(25)
    assert capsys.readouterr().out == first
    head, _, *rows = first.splitlines()
    assert head.endswith(" | ".join(CAUSES) + " |")
    assert len({row.count("|") for row in (head, *rows)}) == 1 and len(rows) > 10
