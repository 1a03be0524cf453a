"""Kosmos-2's and Qwen-VL's lines, with transformers' code and our parsers as judges."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.dice import Dice
from builders.grounding import qwen_tags
from builders.grounding.parse_tokens import parse
from builders.grounding.tasks import kosmos2 as kosmos
from builders.grounding.tasks import qwen_vl
from builders.grounding.tasks.task import Task, inner, unique
from builders.grounding.tasks.wording import KOSMOS2_CAPTION, QWEN_CAPTION
from builders.grounding.tokens import LowerRight, Phrase, dequantise, quantise
from tests.builders.grounding.captions import grounded

DOG = Phrase(0, 5, ((0.1, 0.2, 0.3, 0.4),))
CATS = Phrase(10, 18, ((0.1, 0.2, 0.3, 0.4), (0.0, 0.0, 1.0, 1.0)))
CAPTION = "A dog and two cats"
CELLS = "<object><patch_index_0195><patch_index_0393></object>"
CONVENTIONS = st.sampled_from(["transformers", "unilm"])


def said(task: Task | None) -> tuple[str, str]:
    assert task is not None
    return task.prompt, task.target


def test_kosmos2_completes_an_opening_with_a_grounded_caption() -> None:
    prompt, target = said(kosmos.caption_task(CAPTION, [DOG], "transformers", Dice(0)))
    assert prompt.removeprefix("<grounding> ") in KOSMOS2_CAPTION
    assert target == f"<phrase> A dog</phrase>{CELLS} and two cats"


def test_kosmos2_tells_where_the_last_phrase_of_a_text_is() -> None:
    found = {said(kosmos.grounding_task(CAPTION, [DOG, CATS], "transformers", Dice(i))) for i in range(20)}
    assert found == {
        ("<grounding><phrase>A dog</phrase>", CELLS),
        (
            "<grounding> A dog and<phrase> two cats</phrase>",
            CELLS.replace("</object>", "</delimiter_of_multi_objects/><patch_index_0000><patch_index_1023></object>"),
        ),
    }


def test_kosmos2_comprehends_and_generates_an_expression() -> None:
    assert said(kosmos.comprehension_task(CAPTION, [DOG], "transformers", Dice(0))) == (
        "<grounding><phrase> a dog</phrase>",
        CELLS,
    )
    assert said(kosmos.generation_task(CAPTION, [DOG, CATS], "transformers", Dice(0))) == (
        f"<grounding><phrase> It</phrase>{CELLS} is",
        " a dog",
    )


def test_the_convention_for_corners_on_edges_reaches_every_line_of_kosmos2() -> None:
    edge = [Phrase(0, 5, ((0.25, 0.25, 0.5, 0.5),))]
    for make in (kosmos.caption_task, kosmos.grounding_task, kosmos.comprehension_task, kosmos.generation_task):
        for convention, cell in (("transformers", "0495"), ("unilm", "0528")):
            assert cell in "".join(said(make(CAPTION, edge, convention, Dice(0))))  # type: ignore[arg-type]


def test_qwen_vl_asks_for_captions_boxes_and_phrases() -> None:
    prompt, target = said(qwen_vl.caption_task(CAPTION, [DOG, CATS], Dice(0)))
    assert prompt in QWEN_CAPTION
    box = "<box>(100,200),(300,400)</box>"
    assert target == f" <ref>A dog</ref>{box} and <ref>two cats</ref>{box}<box>(0,0),(999,999)</box>"
    assert said(qwen_vl.comprehension_task(CAPTION, [DOG], Dice(0))) == ("<ref>a dog</ref>", box)
    assert said(qwen_vl.generation_task(CAPTION, [DOG, CATS], Dice(0))) == (f"<ref>This</ref>{box} is", " a dog")


@pytest.mark.parametrize("phrases", [[], [CATS]])
def test_what_has_nothing_to_ask_about_makes_no_task(phrases: list[Phrase]) -> None:
    assert kosmos.generation_task(CAPTION, phrases, "transformers", Dice(0)) is None
    assert qwen_vl.generation_task(CAPTION, phrases, Dice(0)) is None
    assert kosmos.grounding_task(CAPTION, [], "transformers", Dice(0)) is None
    assert kosmos.comprehension_task(CAPTION, [], "transformers", Dice(0)) is None
    assert qwen_vl.comprehension_task(CAPTION, [], Dice(0)) is None


def test_a_phrase_that_stands_twice_refers_to_nothing() -> None:
    twice = [Phrase(0, 5, DOG.boxes), Phrase(10, 15, DOG.boxes), Phrase(20, 25, DOG.boxes)]
    assert [one.words for one in unique("A dog and a dog and 1 cat", twice)] == ["1 cat"]


def test_a_phrase_that_is_said_again_without_a_box_is_not_asked_about() -> None:
    assert not unique("A dog sits by a dog", [DOG])
    assert [one.words for one in unique("A dog sits by a doghouse", [DOG])] == ["a dog"]


@pytest.mark.parametrize(
    ("words", "said_inside"),
    [
        ("A dog", "a dog"),
        ("The Eiffel Tower", "the Eiffel Tower"),
        ("Paris", "Paris"),
        ("TWO dogs", "TWO dogs"),
        ("a", "a"),
    ],
)
def test_the_capital_of_a_determiner_goes_and_that_of_a_name_stays(words: str, said_inside: str) -> None:
    assert inner(words) == said_inside


@pytest.mark.slow
@given(grounded(spaced=True), CONVENTIONS, st.integers())
def test_transformers_reads_every_line_of_kosmos2(
    kosmos2: ModuleType, sample: tuple[str, list[Phrase]], lower_right: LowerRight, seed: int
) -> None:
    caption, phrases = sample
    known = {_cells(phrase, lower_right) for phrase in phrases}
    for make in (kosmos.caption_task, kosmos.grounding_task, kosmos.comprehension_task, kosmos.generation_task):
        if (task := make(caption, phrases, lower_right, Dice(seed))) is None:
            continue
        text, entities = kosmos2.clean_text_and_extract_entities_with_bboxes(task.prompt + task.target)
        ours, found = parse(task.prompt + task.target)
        assert text == ours
        assert [(span, tuple(boxes)) for _, span, boxes in entities] == [((p.start, p.end), p.boxes) for p in found]
        assert {phrase.boxes for phrase in found} <= known
        assert all(text[slice(*span)] == words for words, span, _ in entities)
        if task.name == "kosmos2_caption":
            assert text.endswith(caption) and len(found) == len(phrases)


@given(grounded(), st.integers())
def test_every_line_of_qwen_vl_is_read_back(sample: tuple[str, list[Phrase]], seed: int) -> None:
    caption, phrases = sample
    for make in (qwen_vl.caption_task, qwen_vl.comprehension_task, qwen_vl.generation_task):
        if (task := make(caption, phrases, Dice(seed))) is None:
            continue
        text, found = qwen_tags.parse(task.prompt + task.target)
        if task.name == "qwen_caption":
            assert text == f"{task.prompt} {caption}"
            assert len(found) == len(phrases)
        else:
            assert len(found) == 1
        for number in (value for phrase in found for box in phrase.boxes for value in box):
            assert 0 <= number < 1


def _cells(phrase: Phrase, lower_right: LowerRight) -> tuple[tuple[float, ...], ...]:
    return tuple(dequantise(quantise(box, lower_right)) for box in phrase.boxes)
