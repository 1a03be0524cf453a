"""Unit ids as merged units, their text, and the distance of two utterances."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builders.speech.units import Units, distance, merge, parse_units

FRAMES = st.lists(st.integers(0, 4) | st.integers(0, 999), max_size=60)


def test_the_lectures_case() -> None:
    units = merge([5, 5, 5, 7, 7, 5])
    assert str(units) == "<sosp><5><7><5><eosp>"
    assert units.durations == (3, 2, 1)
    assert merge(np.array([5, 5, 5, 7, 7, 5], np.int32)) == units


def test_an_utterance_of_no_frame_is_empty_text() -> None:
    assert merge([]) == Units((), ())
    assert str(merge([])) == "<sosp><eosp>"
    assert parse_units("<sosp><eosp>") == ()


@given(FRAMES)
def test_text_holds_three_digits_at_most_and_no_neighbours_are_equal(frames: list[int]) -> None:
    text = str(merge(frames))
    assert re.fullmatch(r"^<sosp>(<\d{1,3}>)*<eosp>$", text)
    ids = re.findall(r"\d+", text)
    assert all(first != second for first, second in pairwise(ids))


@pytest.mark.slow
@given(FRAMES | st.lists(st.integers(0, 99_999), max_size=20))
def test_frames_come_back_from_units_and_ids_from_text(frames: list[int]) -> None:
    units = merge(frames)
    assert [unit for unit, held in zip(units.ids, units.durations, strict=True) for _ in range(held)] == frames
    assert parse_units(str(units)) == units.ids


@pytest.mark.parametrize(
    "text",
    ["", "<5>", "<sosp><5>", "<sosp><05><eosp>", "<sosp><-5><eosp>", "<sosp><5> <7><eosp>", "<sosp><٥><eosp>"]
    + ["<sosp><5><eosp>\n", "<sosp><><eosp>", "<sosp><1234567890><eosp>", "<sosp><5><eosp><sosp><7><eosp>"],
)
def test_what_is_no_text_of_units_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no units; they are written <sosp><5><7><eosp>"):
        parse_units(text)


def test_a_long_text_is_told_short() -> None:
    with pytest.raises(ValueError) as told:
        parse_units("<sosp>" + "<x>" * 1000)
    assert len(str(told.value)) < 120


def test_a_unit_that_follows_itself_was_not_merged() -> None:
    with pytest.raises(ValueError, match="the unit 7 follows itself at 2; merge repeats first"):
        parse_units("<sosp><5><7><7><eosp>")
    with pytest.raises(ValueError, match="the unit 3 follows itself at 1"):
        Units((3, 3), (1, 1))


@pytest.mark.parametrize(
    ("ids", "durations", "told"),
    [((5, 7), (1,), "2 units with 1 durations"), ((5,), (0,), "lasts no frame"), ((-1,), (1,), "the unit -1; the")],
)
def test_units_that_cannot_be_are_refused(ids: tuple[int, ...], durations: tuple[int, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Units(ids, durations)


def by_table(a: Sequence[int], b: Sequence[int]) -> int:
    """Levenshtein's distance from its definition, cell by cell."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        above, row = row, [i]
        for j, right in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (left != right)))
    return row[-1]


FEW = st.lists(st.integers(0, 3), max_size=80)


@given(FEW, FEW)
@example([], [1, 2])
@example([1], [])
def test_distance_is_the_edits_over_the_longer_length(a: list[int], b: list[int]) -> None:
    assert distance(a, b) == by_table(a, b) / max(len(a), len(b), 1)


@given(FEW, FEW)
def test_distance_is_the_same_both_ways_and_none_to_itself(a: list[int], b: list[int]) -> None:
    assert distance(a, b) == distance(b, a)
    assert distance(a, a) == 0.0


def test_what_shares_no_unit_is_as_far_as_can_be() -> None:
    assert distance([1, 2, 3], [4, 5]) == 1.0
    assert distance([1, 2, 3], []) == 1.0
    assert distance([], []) == 0.0
