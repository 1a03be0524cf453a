"""Contexts: what a model is told of an image, as LLaVA's authors wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.instruct.context import Box, Context, corners_of, parse_context

NUMBERS = st.floats(0, 1).map(lambda number: round(number, 3))
WORDS = st.text("abc XYZ,.'", min_size=1).filter(str.strip)
BOXES = st.builds(Box, st.sampled_from(["cat", "dining table", "tv"]), st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS))


def test_captions_come_first_then_an_empty_line_then_boxes_of_three_decimals() -> None:
    boxes = (Box("cat", (0.1234, 0.63, 1.0, 0.9996)), Box("dining table", (0, 0, 0.5, 1)))

    assert str(Context(("A cat.", "A cat on a table."), boxes)) == (
        "A cat.\nA cat on a table.\n\ncat: [0.123, 0.63, 1.0, 1.0]\ndining table: [0.0, 0.0, 0.5, 1.0]"
    )
    assert str(Context(("A cat.",))) == "A cat."


def test_coco_pixels_become_corners() -> None:
    assert corners_of([10, 20, 30, 40], 100, 200) == (0.1, 0.1, 0.4, 0.3)


@given(st.lists(WORDS, min_size=1, max_size=5), st.lists(BOXES, max_size=5))
def test_what_is_told_is_read_back(captions: list[str], boxes: list[Box]) -> None:
    context = Context(tuple(captions), tuple(boxes))
    assert parse_context(str(context)) == context


@pytest.mark.parametrize("line", ["cat [0.1, 0.2, 0.3, 0.4]", "cat: [0.1, 0.2, 0.3]", "cat: [a, b, c, d]"])
def test_what_is_no_box_is_told(line: str) -> None:
    with pytest.raises(ValueError):
        parse_context(f"A cat.\n\n{line}")


def test_the_authors_own_contexts_are_reproduced_byte_for_byte(shared: Path) -> None:
    files = sorted((shared / "data/formats/llava_prompts").glob("*/*_caps.txt"))
    assert len(files) == 3
    for file in files:
        assert str(parse_context(file.read_text())) == file.read_text()


def test_the_authors_own_records_render_and_parse_back(shared: Path) -> None:
    lines = (shared / "data/formats/llava_context_coco2014_val_40.jsonl").read_text().splitlines()
    assert len(lines) == 40
    for line in lines:
        told = json.loads(line)
        boxes = tuple(Box(one["category"], tuple(one["bbox"])) for one in told["instances"])
        context = Context(tuple(told["captions"]), boxes)
        assert parse_context(str(context)) == context
