"""The captions of an image as a prompt may hold them: each whole, on one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.instruct.captions import GatherCaptions
from builders.step import Rejected, Services


def gathered(captions: Sequence[str], max_chars: int = 100) -> dict[str, Any]:
    record = {"_captions": list(captions), "_captions_broken": 0, "_problem": None}
    (found,) = GatherCaptions("_captions", max_chars)([record])
    assert isinstance(found, dict)
    return found


def told(captions: Sequence[str], max_chars: int = 100) -> list[str]:
    lines: list[str] = gathered(captions, max_chars)["_told"]
    return lines


def test_captions_are_told_in_their_order_and_counted(services: Services) -> None:
    step = GatherCaptions("_captions", 100)
    step.setup(services)

    found = step([{"_captions": ["B.", "A.", "B."], "_problem": None}, {"_captions": ["C."], "_problem": None}])

    assert found == [
        {"_told": ["B.", "A.", "B."], "n_captions": 3, "captions_dropped": 0},
        {"_told": ["C."], "n_captions": 1, "captions_dropped": 0},
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_caption_with_line_breaks_of_any_kind_stays_one_line(end: str) -> None:
    assert told([f"{end}A cat{end}on a mat.{end}"]) == ["A cat on a mat."]


def test_a_caption_that_holds_nothing_is_left_out_and_counted() -> None:
    assert gathered(["", " \n\t ", "A cat.", "\u3000"]) == {
        "_told": ["A cat."],
        "n_captions": 1,
        "captions_dropped": 3,
    }


@pytest.mark.parametrize("control", ["\x00", "\x07", "\x1b", "\x7f", "\x9b"])
def test_a_caption_with_a_control_character_is_left_out_and_counted(control: str) -> None:
    assert gathered([f"A {control}cat.", "A dog."])["_told"] == ["A dog."]
    assert gathered([f"A {control}cat.", "A dog."])["captions_dropped"] == 1


def test_a_caption_may_be_as_long_as_the_recipe_says_and_no_longer() -> None:
    assert told(["x" * 10, "x" * 11, " x" + "x" * 9 + " "], max_chars=10) == ["x" * 10, "x" * 10]
    assert told(["é" * 10, "é" * 11], max_chars=10) == ["é" * 10]


@pytest.mark.parametrize("captions", [[], [""], ["\x00", "x" * 101]])
def test_an_image_of_which_nothing_is_told_is_rejected(captions: list[str]) -> None:
    (found,) = GatherCaptions("_captions", 100)([{"_captions": captions, "_problem": None}])

    assert found == Rejected("no_caption", f"none of {len(captions)} can be used")


@pytest.mark.parametrize("caption", ["A cat.", "A\ncat."])
def test_a_source_of_one_caption_an_image_is_gathered_from_too(caption: str) -> None:
    step = GatherCaptions("_caption", 100)

    assert step.reads == ("_caption", "_problem")
    assert step([{"_caption": caption, "_problem": None}]) == [
        {"_told": [caption.replace("\n", " ")], "n_captions": 1, "captions_dropped": 0}
    ]


@pytest.mark.parametrize("caption", [None, ""])
def test_a_source_of_one_caption_that_is_missing_is_rejected(caption: str | None) -> None:
    (found,) = GatherCaptions("_caption", 100)([{"_caption": caption, "_problem": None}])

    assert isinstance(found, Rejected)
    assert found.reason == "no_caption"


def test_what_the_source_found_wrong_is_the_reason_whatever_the_captions() -> None:
    step = GatherCaptions("_captions", 100)

    assert step([{"_captions": ["A cat."], "_problem": "bad_key: 'a: b' has a colon"}]) == [
        Rejected("bad_key", "'a: b' has a colon")
    ]


@given(st.lists(st.text() | st.text("ab \n\r\t\x85\u2028"), max_size=5), st.integers(1, 6))
def test_whatever_the_captions_what_is_told_is_one_line_each_and_all_are_counted(
    captions: list[str], max_chars: int
) -> None:
    step = GatherCaptions("_captions", max_chars)
    (found,) = step([{"_captions": captions, "_problem": None}])
    if isinstance(found, Rejected):
        return
    assert isinstance(found, dict)
    lines = found["_told"]
    assert all(line.strip() == line and len(line.splitlines()) == 1 and len(line) <= max_chars for line in lines)
    assert len(lines) == found["n_captions"] >= 1
    assert found["n_captions"] + found["captions_dropped"] == len(captions)
    assert pa.types.is_integer(step.adds["n_captions"])
