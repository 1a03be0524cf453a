"""How fast requests start, and how long nobody does: in a loop whose clock only moves when everybody waits."""

from __future__ import annotations

import asyncio
import itertools
import math
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.llm.limits import LONGEST_PAUSE, WINDOW, Limits

MINUTE = 60.0
T = TypeVar("T")
Arrivals = list[tuple[float, int]]
"""Seconds after the one before, and tokens."""


class _Ahead(selectors.SelectSelector):
    """Nothing is waited for: the clock is put forward."""

    now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for ever"
        self.now += timeout
        return super().select(0)


def run(main: Callable[[Callable[[], float]], Coroutine[Any, Any, T]]) -> T:
    """`main` is given the clock."""
    ahead = _Ahead()

    def new_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(ahead)
        loop.time = lambda: ahead.now  # type: ignore[method-assign]
        return loop

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main(lambda: ahead.now))


def starts(arrivals: Arrivals, requests: int | None, tokens: int | None) -> list[tuple[int, float, int]]:
    """Which request started, when after the first arrival, with how many tokens; in the order of their starts."""

    async def main(clock: Callable[[], float]) -> list[tuple[int, float, int]]:
        limits, began, found = Limits(requests, tokens, clock), clock(), list[tuple[int, float, int]]()

        async def one(number: int, size: int) -> None:
            await limits.turn(size)
            found.append((number, clock() - began, size))

        async with asyncio.TaskGroup() as group:
            for number, (gap, size) in enumerate(arrivals):
                await asyncio.sleep(gap)
                group.create_task(one(number, size))
        return found

    return run(main)


def in_a_minute(found: list[tuple[int, float, int]]) -> list[list[int]]:
    """The tokens of the requests of each minute that begins with one, its last moment included."""
    return [[size for _, at, size in found if begin <= at <= begin + MINUTE] for _, begin, _ in found]


ARRIVALS = st.lists(
    st.tuples(st.one_of(st.just(0.0), st.floats(0, 3), st.floats(0, 150)), st.integers(0, 1500)),
    min_size=1,
    max_size=60,
)


@given(ARRIVALS, st.none() | st.integers(1, 20), st.none() | st.integers(1, 3000))
def test_no_minute_has_more_requests_or_tokens_than_the_limits_whatever_comes_when(
    arrivals: Arrivals, requests: int | None, tokens: int | None
) -> None:
    found = starts(arrivals, requests, tokens)
    for sizes in in_a_minute(found):
        assert requests is None or len(sizes) <= requests
        assert tokens is None or sum(sizes) <= tokens or len([size for size in sizes if size]) == 1


@given(ARRIVALS, st.none() | st.integers(1, 20), st.none() | st.integers(1, 3000))
def test_first_come_is_first_served_and_everybody_is(
    arrivals: Arrivals, requests: int | None, tokens: int | None
) -> None:
    assert [number for number, _, _ in starts(arrivals, requests, tokens)] == list(range(len(arrivals)))


@given(st.integers(1, 600), st.integers(1, 100))
def test_a_crowd_gets_what_the_limit_allows(requests: int, crowd: int) -> None:
    found = starts([(0.0, 10)] * crowd, requests, None)
    assert found[-1][1] <= (crowd - 1) * WINDOW / requests + 1e-6


@given(st.integers(1000, 3000), st.lists(st.integers(1, 1000), min_size=1, max_size=60))
def test_a_crowd_gets_at_least_half_of_the_tokens_that_the_limit_allows(tokens: int, sizes: list[int]) -> None:
    # Half: of sizes just over half the limit, only one fits into a minute.
    found = starts([(0.0, size) for size in sizes], None, tokens)
    assert found[-1][1] <= WINDOW * math.ceil(2 * sum(sizes) / tokens) + 1e-6


def test_requests_are_spread_over_the_minute() -> None:
    found = [at for _, at, _ in starts([(0.0, 10)] * 60, 60, None)]
    assert max(later - sooner for sooner, later in itertools.pairwise(found)) < 1.1


def test_without_limits_nobody_waits() -> None:
    assert {at for _, at, _ in starts([(0.0, 10_000)] * 50, None, None)} == {0.0}


def test_a_request_above_the_limit_waits_for_an_empty_minute_and_goes() -> None:
    found = starts([(0.0, 10), (0.0, 5_000), (0.0, 10)], None, 100)
    assert [number for number, _, _ in found] == [0, 1, 2]
    assert found[1][1] >= MINUTE
    assert found[2][1] - found[1][1] >= MINUTE


def test_one_that_gives_up_holds_up_nobody() -> None:
    async def main(clock: Callable[[], float]) -> float:
        limits, began = Limits(1, None, clock), clock()
        await limits.turn(1)
        impatient = asyncio.create_task(limits.turn(1))
        patient = asyncio.create_task(limits.turn(1))
        await asyncio.sleep(1)
        impatient.cancel()
        await patient
        return clock() - began

    assert run(main) == pytest.approx(WINDOW)


def waited(tell: Callable[[Limits], None]) -> float:
    """Seconds until the next request starts."""

    async def main(clock: Callable[[], float]) -> float:
        limits, began = Limits(None, None, clock), clock()
        tell(limits)
        await limits.turn(1)
        return clock() - began

    return run(main)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(5, 5), (0.25, 0.25), (0, 0), (-3, 0), (3601, LONGEST_PAUSE), (math.inf, LONGEST_PAUSE), (math.nan, 0)],
)
def test_nobody_starts_before_a_pause_ends(seconds: float, expected: float) -> None:
    assert waited(lambda limits: limits.pause(seconds)) == pytest.approx(expected)


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    def tell(limits: Limits) -> None:
        limits.pause(20)
        limits.pause(2)

    assert waited(tell) == pytest.approx(20)


def test_a_pause_holds_for_those_who_wait_already() -> None:
    async def main(clock: Callable[[], float]) -> float:
        limits, began = Limits(60, None, clock), clock()
        await limits.turn(1)
        await limits.turn(1)
        waiting = asyncio.create_task(limits.turn(1))
        await asyncio.sleep(0.5)
        limits.pause(30)
        await waiting
        return clock() - began

    assert run(main) >= 30


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 1),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2m0s"}, 120),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-requests": "0.4", "x-ratelimit-reset-requests": "7.66s"}, 7.66),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h2m"}, LONGEST_PAUSE),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m3s5ms"}, 63.005),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "1s"}, 0),
        ({"x-ratelimit-remaining-tokens": "149984", "x-ratelimit-reset-tokens": "6ms"}, 0),
        ({"x-ratelimit-remaining-requests": "0"}, 0),
        ({"x-ratelimit-reset-requests": "1s"}, 0),
        ({"x-ratelimit-remaining-requests": "none", "x-ratelimit-reset-requests": "1s"}, 0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1767225600"}, 0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, 0),
        ({"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "-1s"}, 0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "٣s"}, 0),
        ({}, 0),
    ],
)
def test_when_nothing_is_left_the_reset_is_waited_for(headers: dict[str, str], expected: float) -> None:
    assert waited(lambda limits: limits.observe(headers)) == pytest.approx(expected)


@given(st.text(), st.text())
def test_whatever_the_headers_say_the_wait_is_bounded(remaining: str, reset: str) -> None:
    headers = {"x-ratelimit-remaining-requests": remaining, "x-ratelimit-reset-requests": reset}
    assert 0 <= waited(lambda limits: limits.observe(headers)) <= LONGEST_PAUSE + 1e-6
