"""What answers cost, what they can cost at most, and a budget that is never passed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.llm.money import (
    Budget,
    about_prompt,
    about_tokens,
    billed,
    bound,
    characters,
    cost,
    most_tokens_out,
    prompt_bytes,
)
from builders.llm.outcomes import Sent
from builders.llm.request import ANSWER, SPEECH, Request
from schemas.endpoint import Price, SpeechPrice

MINI = Price(input=0.40, output=1.60, cached_input=0.10)


def request(text: str = "A cat.", **parameters: Any) -> Request:
    messages = [{"role": "system", "content": "Be exact."}, {"role": "user", "content": text}]
    return Request("openai", "chat/completions", {"model": "mill-1", "messages": messages, **parameters})


# ---- the cost of an answer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens_in", "tokens_out", "cached", "batch", "usd"),
    [
        (1_000_000, 0, 0, False, 0.40),
        (0, 1_000_000, 0, False, 1.60),
        (1_000_000, 0, 1_000_000, False, 0.10),
        (1_000_000, 0, 500_000, False, 0.25),
        (1_000_000, 0, None, False, 0.40),
        (1_000_000, 1_000_000, 0, True, 1.00),
        (1_000, 500, 0, False, 0.0012),
        (0, 0, 0, False, 0.0),
    ],
)
def test_a_cost_is_tokens_by_price_in_millions(
    tokens_in: int, tokens_out: int, cached: int | None, batch: bool, usd: float
) -> None:
    assert cost(MINI, tokens_in, tokens_out, cached, batch) == pytest.approx(usd)


def test_without_a_price_of_their_own_cached_tokens_cost_what_others_do() -> None:
    assert cost(Price(input=2, output=0), 1_000_000, 0, 600_000) == pytest.approx(2)
    assert cost(Price(input=2, output=0, cached_input=0), 1_000_000, 0, 600_000) == pytest.approx(0.8)


def test_a_batch_costs_the_share_that_the_price_list_says() -> None:
    assert cost(Price(input=2, output=2, batch=0.25), 1_000_000, 0, 0, batch=True) == pytest.approx(0.5)
    assert cost(Price(input=2, output=2, batch=0.25), 1_000_000, 0, 0, batch=False) == pytest.approx(2)


@pytest.mark.parametrize(
    ("price", "tokens_in", "tokens_out"), [(None, 1, 1), (MINI, None, 1), (MINI, 1, None), (None, None, None)]
)
def test_a_cost_of_which_something_is_not_known_is_not_known(
    price: Price | None, tokens_in: int | None, tokens_out: int | None
) -> None:
    assert cost(price, tokens_in, tokens_out, 0) is None


def test_no_more_tokens_are_cached_than_there_are() -> None:
    assert cost(MINI, 1_000_000, 0, 9_000_000) == pytest.approx(0.10)


# ---- the most that a request can cost --------------------------------------------------------------------------------

PRICES = st.builds(
    Price,
    input=st.floats(0, 1000),
    output=st.floats(0, 1000),
    cached_input=st.none() | st.floats(0, 1000),
    batch=st.floats(0, 1),
)


@given(st.data(), PRICES, st.text(), st.integers(1, 100_000), st.booleans())
def test_whatever_the_usage_no_answer_costs_more_than_the_bound(
    data: st.DataObject, price: Price, text: str, max_tokens: int, batch: bool
) -> None:
    asked = request(text, max_tokens=max_tokens)
    tokens_in = data.draw(st.integers(0, prompt_bytes(asked)))
    tokens_out = data.draw(st.integers(0, max_tokens))
    cached = data.draw(st.none() | st.integers(0, tokens_in + 10))

    paid = cost(price, tokens_in, tokens_out, cached, batch)

    assert paid is not None
    assert paid <= bound(price, asked, batch) * (1 + 1e-12)


def test_a_bound_is_of_a_token_a_byte_in_and_the_longest_answer_out() -> None:
    asked = request(max_tokens=1000)

    assert bound(Price(input=1, output=0), asked) == pytest.approx(prompt_bytes(asked) / 1e6)
    assert bound(Price(input=0, output=1), asked) == pytest.approx(0.001)
    assert bound(Price(input=0, output=1, batch=0.5), asked, batch=True) == pytest.approx(0.0005)


def test_a_bound_holds_where_cached_tokens_cost_more_than_others() -> None:
    asked = request(max_tokens=1)
    dear = Price(input=1, output=0, cached_input=2)

    assert bound(dear, asked) == cost(dear, prompt_bytes(asked), 0, prompt_bytes(asked))


@given(st.text())
def test_a_prompt_is_no_shorter_than_its_text_in_bytes(text: str) -> None:
    assert prompt_bytes(request(text)) > len(text.encode()) + len("Be exact.")


def test_what_the_model_reads_beside_the_messages_counts_too() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x" * 1000}}

    assert prompt_bytes(request(response_format=schema)) > prompt_bytes(request()) + 1000


@pytest.mark.parametrize(
    ("parameters", "tokens"),
    [
        ({}, 0),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 9}, 9),
        ({"max_tokens": 7, "max_completion_tokens": 9}, 9),
        ({"max_tokens": 7, "max_completion_tokens": None}, 7),
    ],
)
def test_how_long_an_answer_may_be_is_the_larger_of_both_names(parameters: dict[str, Any], tokens: int) -> None:
    assert most_tokens_out(request(**parameters).body) == tokens


# ---- speech ----------------------------------------------------------------------------------------------------------


def speech(text: str) -> Request:
    return Request("openai", SPEECH, {"model": "tts-1", "input": text, "voice": "alloy", "instructions": "Whisper."})


@given(st.text(), st.floats(0, 1000))
def test_speech_costs_its_characters_which_are_known_before_it_is_sent(text: str, dollars: float) -> None:
    price, asked = SpeechPrice(characters=dollars), speech(text)

    assert characters(asked) == len(text)
    assert bound(price, asked, longest=10_000) == billed(price, asked, Sent(ANSWER)) == len(text) * dollars / 1e6


@pytest.mark.parametrize("outcome", ["server_error", "rate_limited", "bad_request", "timeout", "garbled"])
def test_speech_that_nobody_heard_has_no_cost_that_is_known(outcome: str) -> None:
    assert billed(SpeechPrice(characters=15), speech("Hello"), Sent(outcome)) is None


@pytest.mark.parametrize(
    "sent", [Sent(ANSWER, tokens_in=10, tokens_out=5), Sent("garbled", tokens_in=10, tokens_out=5)]
)
def test_words_cost_the_tokens_that_the_endpoint_tells_whatever_they_are_worth(sent: Sent) -> None:
    assert billed(MINI, request(), sent) == cost(MINI, 10, 5, None)
    assert billed(None, request(), sent) is billed(None, speech("Hello"), sent) is None


# ---- estimates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("A cat on a mat.", 6),
        ("conversation", 2),
        ("cat: [0.123, 0.5, 1.0, 1.0]", 19),
        ("1234567", 3),
        ("one\n\n===\ntwo", 7),
        ("snake_case", 3),
        ("Zürich", 1),
    ],
)
def test_a_text_has_about_as_many_tokens_as_words_figures_and_signs(text: str, tokens: int) -> None:
    assert about_tokens(text) == tokens


@given(st.text())
def test_a_text_has_about_no_more_tokens_than_characters(text: str) -> None:
    assert about_tokens(text) <= len(text)


def test_a_prompt_has_about_the_tokens_of_its_messages_and_four_around_each() -> None:
    assert about_prompt(request("A cat.")) == (4 + 3) + (4 + 3)
    assert about_prompt(Request("openai", "chat/completions", {"model": "mill-1"})) == 0


# ---- the budget ------------------------------------------------------------------------------------------------------

LITTLE = 1e-6
"""Of a dollar: what is lost to rounding stays far below."""


@given(
    st.floats(0.001, 1000),
    st.floats(0, 10),
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 1), st.integers(0, 5)), max_size=60),
)
def test_a_budget_is_never_passed_where_nothing_costs_more_than_was_reserved(
    limit: float, before: float, requests: list[tuple[float, float, int]]
) -> None:
    budget = Budget(limit, spent=min(before, limit))
    held: list[tuple[float, float]] = []
    for most, share, settled in requests:
        if budget.reserve(most):
            held.append((most, most * share))
        assert budget.spent + budget.held <= limit + LITTLE
        for _ in range(min(settled, len(held))):
            budget.settle(*held.pop(0))
            assert budget.spent + budget.held <= limit + LITTLE
    for one in held:
        budget.settle(*one)
    assert budget.spent <= limit + LITTLE
    assert budget.held == pytest.approx(0, abs=LITTLE)


def test_what_is_reserved_is_not_given_out_twice_and_comes_back_when_less_was_spent() -> None:
    budget = Budget(1.0)

    assert budget.reserve(0.75)
    assert not budget.reserve(0.5)
    budget.settle(0.75, 0.25)
    assert (budget.spent, budget.held) == (0.25, 0)
    assert budget.reserve(0.75)
    assert not budget.reserve(0.001)


def test_a_refused_reservation_holds_nothing() -> None:
    budget = Budget(1.0)

    assert not budget.reserve(2)
    assert (budget.spent, budget.held) == (0, 0)


def test_what_earlier_runs_spent_counts() -> None:
    assert not Budget(1.0, spent=1.0).reserve(0.01)
    assert Budget(1.0, spent=1.0).reserve(0)


def test_without_a_limit_everything_is_given_and_still_counted() -> None:
    budget = Budget(None)

    assert all(budget.reserve(1e9) for _ in range(3))
    budget.settle(1e9, 5)
    assert (budget.spent, budget.held) == (5, 2e9)
