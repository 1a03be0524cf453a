"""Where units end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from builders.sources.cut import UNIT_BYTES, cut, cut_runs

SIZES = st.lists(st.integers(0, UNIT_BYTES * 2), max_size=60)


def test_units_hold_the_given_number_and_the_last_what_is_left() -> None:
    assert cut([1] * 7, 3) == [3, 3, 1]
    assert cut([1] * 6, 3) == [3, 3]
    assert cut([], 3) == []


def test_a_unit_ends_early_where_media_are_large() -> None:
    third = UNIT_BYTES // 3
    assert cut([third] * 7, 1000) == [3, 3, 1]
    assert cut([1, UNIT_BYTES, 1], 1000) == [1, 1, 1]


def test_one_input_larger_than_a_unit_may_be_is_a_unit_of_its_own() -> None:
    assert cut([UNIT_BYTES * 5, UNIT_BYTES * 5], 10) == [1, 1]


@given(SIZES, st.integers(1, 20))
def test_every_input_is_in_one_unit_and_no_unit_is_empty_or_too_large(sizes: list[int], most: int) -> None:
    units = cut(sizes, most)
    assert sum(units) == len(sizes)
    start = 0
    for count in units:
        assert 1 <= count <= most
        assert count == 1 or sum(sizes[start : start + count]) <= UNIT_BYTES
        start += count


@given(SIZES, st.integers(1, 20), SIZES)
def test_what_comes_later_never_moves_an_earlier_cut(sizes: list[int], most: int, later: list[int]) -> None:
    assert cut(sizes + later, most)[: max(0, len(cut(sizes, most)) - 1)] == cut(sizes, most)[:-1]


RUNS = st.lists(
    st.tuples(st.integers(0, 60), st.one_of(st.integers(0, 9), st.integers(UNIT_BYTES // 40, UNIT_BYTES * 2))),
    max_size=8,
)


@given(RUNS, st.integers(1, 20))
def test_runs_of_equal_inputs_are_cut_alike_whether_they_are_looked_at_or_not(
    runs: list[tuple[int, int]], most: int
) -> None:
    assert cut_runs(runs, most) == cut([size for count, size in runs for _ in range(count)], most)


def test_a_unit_that_its_run_left_open_takes_smaller_inputs_of_the_next() -> None:
    assert cut_runs([(4, UNIT_BYTES // 2 - 5), (3, 10), (2, 1)], 1000) == [2, 3, 4]
    assert cut_runs([(4, UNIT_BYTES // 2), (3, 0)], 1000) == [2, 5]
    assert cut_runs([(1, UNIT_BYTES + 1), (3, 0)], 1000) == [1, 3]
    assert cut_runs([(2, 1), (0, 5), (4, 1)], 3) == [3, 3]


def test_a_billion_inputs_in_runs_are_cut_at_once() -> None:
    assert cut_runs([(10**9, 10_000)], 1000) == [1000] * 10**6
    assert cut_runs([(10**6, 10_000)] * 1000, 1000) == [1000] * 10**6
