"""The prompts that gristmill brings: examples on the demo's photos, each as good as what it asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builders.instruct.context import Box, Context, corners_of
from builders.instruct.parse import Kind, parse_turns
from builders.instruct.prompting import FOLDERS, OURS, load_prompts
from builders.instruct.quality import broken
from builders.sources.coco_images import open_coco_images
from schemas.sources import CocoSource
from tests.conftest import ROOT

CORPUS = ROOT / "recipes/demo/corpus"
PHOTOS: dict[Kind, tuple[str, ...]] = {
    "conversation": ("astronaut.png", "motorcycle_left.png"),
    "detail": ("coffee.png", "camera.png", "coins.png"),
    "complex": ("rocket.jpg", "clock_motion.png", "chelsea.png"),
}
"""What each example is about."""
EXAMPLES: list[tuple[Kind, int]] = [(kind, number) for kind, photos in PHOTOS.items() for number in range(len(photos))]


def answer(kind: Kind, number: int) -> str:
    return load_prompts(OURS).prompts[kind].examples[number].answer


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_a_chat_has_as_many_examples_as_the_authors_took() -> None:
    prompts = load_prompts(OURS)
    assert {kind: len(prompts.messages(kind, "A cat.")) for kind in FOLDERS} == {
        "conversation": 6,
        "detail": 8,
        "complex": 8,
    }


@pytest.mark.parametrize(("kind", "number"), EXAMPLES)
def test_a_context_is_what_the_demo_tells_of_its_photo_today(kind: Kind, number: int, tmp_path: Path) -> None:
    source = CocoSource(
        images=str(tmp_path), captions=str(CORPUS / "captions.json"), instances=str(CORPUS / "instances.json")
    )
    table = open_coco_images(source, 1000).read(0, 1000)
    (row,) = [row for row in table.to_pylist() if row["image_file"] == PHOTOS[kind][number]]
    side = row["_annotated_width"], row["_annotated_height"]
    boxes = [Box(box["category"], corners_of([box[name] for name in "xywh"], *side)) for box in row["_boxes"]]

    shown = tuple(boxes) if kind != "conversation" else ()
    assert load_prompts(OURS).prompts[kind].examples[number].context == str(Context(tuple(row["_captions"]), shown))


@pytest.mark.parametrize(("kind", "number"), EXAMPLES)
def test_an_answer_keeps_the_rules_that_answers_are_held_to(kind: Kind, number: int) -> None:
    turns = parse_turns(answer(kind, number), kind)
    assert broken(turns) is None
    assert not re.search(r"\d\.\d", answer(kind, number)), "a number out of the context"


@pytest.mark.parametrize(("kind", "number"), [(kind, number) for kind, number in EXAMPLES if kind != "detail"])
def test_an_answer_is_written_in_the_very_form_that_is_asked_for(kind: Kind, number: int) -> None:
    turns = parse_turns(answer(kind, number), kind)
    pieces = [piece for turn in turns for piece in (f"Question:\n{turn.question}", f"Answer:\n{turn.answer}")]
    assert answer(kind, number) == "\n===\n".join(pieces)


@pytest.mark.parametrize("number", range(2))
def test_a_conversation_has_four_to_six_questions_and_closes_with_the_longest_answer(number: int) -> None:
    turns = parse_turns(answer("conversation", number), "conversation")
    assert 4 <= len(turns) <= 6
    assert any(turn.question.startswith("How many") for turn in turns)
    assert max(turns, key=lambda turn: len(turn.answer)) == turns[-1]


@pytest.mark.parametrize("number", range(3))
def test_a_description_is_running_text(number: int) -> None:
    text = answer("detail", number)
    assert not re.search(r"^\s*([-*#\d]|question|answer)|===|:$", text, re.IGNORECASE | re.MULTILINE)


@pytest.mark.parametrize(("kind", "count"), [("conversation", 2), ("complex", 1)])
def test_the_form_that_the_instructions_show_is_read(kind: Kind, count: int) -> None:
    system = load_prompts(OURS).prompts[kind].system
    assert len(parse_turns(system[system.index("Question:\n") :], kind)) == count


@pytest.mark.parametrize("kind", FOLDERS)
def test_the_instructions_explain_boxes_and_forbid_to_name_them(kind: Kind) -> None:
    system = load_prompts(OURS).prompts[kind].system
    assert "left, upper, right and lower side, each a number from 0 to 1" in system
    assert "not a word about sentences, captions, lists, boxes or coordinates" in system


def test_no_sentence_is_the_authors(shared: Path) -> None:
    run = 6  # words; shorter runs, such as "the right side of the", belong to nobody

    def runs(folder: Path) -> set[tuple[str, ...]]:
        texts = [words(file.read_text()) for file in folder.rglob("*.txt")]
        return {tuple(text[i : i + run]) for text in texts for i in range(len(text) - run + 1)}

    theirs = runs(shared / "data/formats/llava_prompts")
    assert len(theirs) > 500
    assert not runs(OURS) & theirs
