"""Contexts: what a model is told of an image, as LLaVA's authors wrote it."""

from __future__ import annotations

import json
import re
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


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0, "0.0"),
        (1, "1.0"),
        (-0.0, "0.0"),
        (-0.0001, "0.0"),
        (1e-05, "0.0"),
        (5e-324, "0.0"),
        (0.001, "0.001"),
        (0.63, "0.63"),
        (0.9994, "0.999"),
        (0.9996, "1.0"),
        (0.0625, "0.062"),
        (0.1875, "0.188"),
        (0.0635, "0.064"),
        (0.7675, "0.767"),
    ],
)
def test_numbers_are_those_of_pythons_round_and_repr(number: float, told: str) -> None:
    """A tie goes to the even digit; what looks like one is above it (0.0635) or below it (0.7675) in binary."""
    assert str(Context(("A cat.",), (Box("cat", (number, 0, 0, 0)),))).endswith(f"\ncat: [{told}, 0.0, 0.0, 0.0]")


@given(st.floats(0, 1))
def test_no_number_is_told_with_more_than_three_decimals_or_an_exponent(number: float) -> None:
    line = str(Context((), (Box("cat", (number, number, number, number)),))).splitlines()[-1]
    told = r"(0\.\d{1,3}|1\.0)"
    assert re.fullmatch(rf"cat: \[{told}, {told}, {told}, {told}\]", line)


def test_the_name_of_a_category_forges_no_line() -> None:
    box = Box("cat: [0.0, 0.0, 1.0, 1.0]\ndog", (0.1, 0.2, 0.3, 0.4))
    assert str(Context(("A cat.",), (box,))).count("\n") == 2


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
        context = parse_context(file.read_text())
        assert len(context.captions) == 5
        assert len(context.boxes) == (12 if "detail" in file.parent.name else 0)
        assert str(context) == file.read_text()


def test_the_authors_own_records_render_and_parse_back(shared: Path) -> None:
    lines = (shared / "data/formats/llava_context_coco2014_val_40.jsonl").read_text().splitlines()
    assert len(lines) == 40
    for line in lines:
        told = json.loads(line)
        boxes = tuple(Box(one["category"], tuple(one["bbox"])) for one in told["instances"])
        context = Context(tuple(told["captions"]), boxes)
        lines_of_boxes = [f"{one['category']}: {one['bbox']}" for one in told["instances"]]
        assert str(context) == "\n".join([*told["captions"], *([""] if boxes else []), *lines_of_boxes])
        assert parse_context(str(context)) == context


def test_cocos_own_boxes_in_pixels_become_numbers_of_zero_to_one(shared: Path) -> None:
    instances = json.loads((shared / "data/coco_mini/instances_train2017.json").read_text())
    sides = {photo["id"]: (photo["width"], photo["height"]) for photo in instances["images"]}
    told = [corners_of(item["bbox"], *sides[item["image_id"]]) for item in instances["annotations"]]
    context = parse_context(str(Context(("A photo.",), tuple(Box("thing", corners) for corners in told))))
    assert len(context.boxes) == 739
    for box, corners in zip(context.boxes, told, strict=True):
        assert box.corners == pytest.approx(corners, abs=0.0005001)
        assert min(box.corners) >= 0.0 and max(box.corners) <= 1.0
