"""Which captions can be grounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.grounding.caption import CheckCaption
from builders.step import Rejected, Result

STEP = CheckCaption(max_chars=1000, grounded=True)


def check(caption: str | None, problem: str | None = None) -> Result:
    (result,) = STEP([{"_caption": caption, "_problem": problem}])
    return result


def reason(caption: str) -> str:
    result = check(caption)
    assert isinstance(result, Rejected), result
    return result.reason


def test_a_caption_is_taken_without_the_white_space_around_it() -> None:
    assert check(" \n A dog.\t") == {"caption": "A dog."}


@pytest.mark.parametrize("caption", ["a 🐕 dog", "כלב על הדשא", "eine Straße", "a dog\non grass", "2 > 1", "x" * 1000])
def test_emoji_right_to_left_text_and_line_breaks_are_captions(caption: str) -> None:
    assert check(caption) == {"caption": caption}


@pytest.mark.parametrize("caption", ["", " ", "\n\t ", "\u00a0", "\u3000"])
def test_nothing_but_white_space_is_empty(caption: str) -> None:
    assert reason(caption) == "empty_caption"


@pytest.mark.parametrize("length", [1001, 20_000])
def test_a_caption_over_the_limit_is_rejected_with_its_length(length: int) -> None:
    assert check("x" * length) == Rejected("caption_too_long", f"{length} characters are over 1000")


@pytest.mark.parametrize(("caption", "detail"), [("a\0dog", "U+0000 at character 1"), ("dog\x1b[0m", "U+001B at")])
def test_control_characters_are_rejected_with_their_place(caption: str, detail: str) -> None:
    result = check(caption)
    assert isinstance(result, Rejected)
    assert result.reason == "control_character"
    assert detail in result.detail


@pytest.mark.parametrize("caption", ["a <b>dog</b>", "<patch_index_0001>", "1 < 2"])
def test_what_a_reader_would_take_for_a_token_is_rejected(caption: str) -> None:
    assert reason(caption) == "markup"


def test_a_problem_of_the_source_is_the_reason() -> None:
    assert check(None, "no_caption: caption is None") == Rejected("no_caption", "caption is None")


@given(st.text())
def test_every_text_is_a_caption_or_has_a_reason(caption: str) -> None:
    result = check(caption)
    if isinstance(result, Rejected):
        assert result.reason
    else:
        assert isinstance(result, dict)
        assert result["caption"] == caption.strip()
        assert "<" not in result["caption"] and "\0" not in result["caption"]


def test_a_caption_that_carries_no_tokens_may_hold_markup() -> None:
    (result,) = CheckCaption(max_chars=1000)([{"_caption": "a <b>dog</b>", "_problem": None}])
    assert result == {"caption": "a <b>dog</b>"}
