"""Instructions that a model writes: few requests for many records, and what becomes of answers that are none."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.llm.asker import NOT_ANSWERED
from builders.llm.request import ANSWER, Entry, Request
from builders.speech.ask_instruction import EXAMPLES, TRIES, AskInstruction
from builders.speech.instructions import Task, our_instructions
from builders.step import Failed, Record, Rejected, Services

GOOD = "Please type what you hear."
Says = Callable[[Request, int], str | Entry]
"""What a model makes of a request that is its nth."""


def entry(request: Request, **changes: Any) -> Entry:
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    known: dict[str, Any] = {"outcome": ANSWER, "text": GOOD, "finish_reason": "stop"}
    return Entry("1", request.hash, at, "b", "r", "openai", "m", **(known | changes))


@dataclass
class Model:
    """Answers each distinct request once, as a ledger does."""

    says: Says
    asked: dict[str, Entry] = field(default_factory=dict)
    calls: list[int] = field(default_factory=list)

    def ask(self, requests: Sequence[Request]) -> list[Entry]:
        self.calls.append(len(requests))
        for request in requests:
            if request.hash not in self.asked:
                said = self.says(request, len(self.asked) + 1)
                self.asked[request.hash] = entry(request, text=said) if isinstance(said, str) else said
        return [self.asked[request.hash] for request in requests]


def step(says: Says = lambda *_: GOOD, count: int = 20, seed: int = 0) -> tuple[AskInstruction, Model]:
    made, model = AskInstruction(count, seed, "openai", "m", {"temperature": 1.0}), Model(says)
    made.setup(Services(Unwatched(), "cpu", llm=model))
    return made, model


class Unwatched:
    def add(self, amounts: object) -> None:
        """Nobody watches."""


def records(count: int, task: Task = "asr") -> list[Record]:
    return [{"key": f"k{i:04d}", "task": task} for i in range(count)]


def one(says: Says, count: int = 20) -> tuple[Any, Model]:
    made, model = step(says, count)
    (result,) = made(records(1))
    return result, model


# ---- requests --------------------------------------------------------------------------------------------------------


def test_records_that_draw_the_same_number_make_equal_requests() -> None:
    made, model = step()
    results = made(records(300))
    assert len(model.asked) == 20
    assert model.calls == [300], "all of a unit are asked at once"
    assert all(result == {"instruction": GOOD, "model": "m", "request": result["request"]} for result in results)  # type: ignore[call-overload,index]
    assert {result["request"] for result in results} == model.asked.keys()  # type: ignore[call-overload,index]


def test_each_task_has_requests_of_its_own() -> None:
    made, _ = step()
    asked = {task: {request.hash for request in made.requests(records(500, task))} for task in ("asr", "tts")}
    assert {task: len(hashes) for task, hashes in asked.items()} == {"asr": 20, "tts": 20}
    assert not asked["asr"] & asked["tts"]


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(0, 5), st.integers(1, 60))
def test_never_more_are_made_than_are_wanted(count: int, seed: int, inputs: int) -> None:
    made, model = step(lambda *_: "two\nlines", count, seed)
    made(records(inputs))
    assert len(model.asked) <= count


def test_a_request_depends_on_seed_task_and_number_alone() -> None:
    some = records(50)
    made, _ = step()
    alone = {record["key"]: made.requests([record])[0].hash for record in reversed(some)}
    assert [request.hash for request in made.requests(some)] == [alone[record["key"]] for record in some]
    other, _ = step(seed=1)
    assert {r.hash for r in other.requests(some)}.isdisjoint(r.hash for r in made.requests(some))


def test_a_request_shows_examples_of_ours_and_carries_the_recipes_parameters() -> None:
    made, _ = step()
    for task in ("asr", "tts"):
        for request in made.requests(records(40, task)):
            assert (request.path, request.body["temperature"], request.model) == ("chat/completions", 1.0, "m")
            system, user = request.body["messages"]
            assert (system["role"], user["role"]) == ("system", "user")
            shown = [line for line in user["content"].splitlines() if line in our_instructions()[task]]
            assert len(set(shown)) == EXAMPLES
    assert made.expected_tokens(records(3)) == [20.0] * 3


def test_numbered_requests_are_all_different() -> None:
    made, _ = step(count=500)
    asked = Counter(str(made.messages(task, number)) for task in ("asr", "tts") for number in range(500))
    assert set(asked.values()) == {1}


# ---- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        GOOD,
        f"  {GOOD}\n",
        f'"{GOOD}"',
        f"“{GOOD}”",
        f"«{GOOD}»",
        f"1. {GOOD}",
        f"12) {GOOD}",
        f"- {GOOD}",
        f'3. "{GOOD}"',
        f"<think>\nA sentence is\nwanted.\n</think>\n\n{GOOD}",
    ],
)
def test_what_models_put_around_a_sentence_is_taken_off(said: str) -> None:
    result, model = one(lambda *_: said)
    assert result["instruction"] == GOOD
    assert len(model.asked) == 1


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "empty": ({"text": ""}, "empty: there is no text"),
    "nothing but quotes": ({"text": '""'}, "empty: there is no text"),
    "no text at all": ({"text": None}, "empty: there is no text"),
    "two lines": ({"text": "Sure!\nType it."}, "several_lines: 2 lines"),
    "marker": ({"text": "Put <eoh> at the end."}, "template_marker: the text holds <eoh>"),
    "units": ({"text": "Say <5>."}, "template_marker: the text holds <5>"),
    "speaker": ({"text": "[Human]: type it."}, "template_marker: the text holds [Human]:"),
    "input": ({"text": "This is input: a song."}, "template_marker: it holds 'This is input:'"),
    "refusal": ({"text": "I'm sorry, but I can't help with that."}, "refusal: I'm sorry"),
    "refused by the API": ({"finish_reason": "refusal"}, "the model ended with 'refusal'"),
    "filtered": ({"finish_reason": "content_filter"}, "the model ended with 'content_filter'"),
    "cut off": ({"text": "Please type what", "finish_reason": "length"}, "the model ended with 'length'"),
    "too long": ({"text": "Please, " * 40}, "319 characters are over 300"),
}


@pytest.mark.parametrize(("changes", "why"), BAD.values(), ids=BAD)
def test_an_answer_that_is_no_instruction_is_rejected_after_ten_tries(changes: dict[str, Any], why: str) -> None:
    result, model = one(lambda request, _: entry(request, **changes), count=10_000)
    assert isinstance(result, Rejected) and not isinstance(result, Failed)
    assert result.reason == "bad_instruction" and result.detail.startswith(why)
    assert len(model.asked) == TRIES == 10
    assert result.known == {"model": "m", "request": list(model.asked)[-1]}


def test_a_bad_answer_makes_a_record_draw_another_request_and_the_others_none() -> None:
    made, model = step(lambda _, number: "two\nlines" if number <= 5 else GOOD, count=200)
    results = made(records(100))
    assert all(isinstance(result, dict) for result in results)
    assert model.calls[0] == 100 and 5 <= model.calls[1] < 30


def test_what_was_drawn_again_does_not_depend_on_the_batch() -> None:
    def says(request: Request, _: int) -> str:
        return "two\nlines" if int(request.hash, 16) % 3 else GOOD

    made, _ = step(says)
    together = made(records(60))
    assert [step(says)[0]([record])[0] for record in records(60)] == together
    assert {type(result) for result in together} == {dict, Rejected}


def test_an_answer_that_could_not_be_had_fails_its_record_and_draws_no_other() -> None:
    """Else the record would come to other bytes once it can be had."""
    result, model = one(lambda request, _: entry(request, outcome="timeout", text=None, detail="120 s"))
    assert type(result) is Failed
    assert (result.reason, result.detail) == ("timeout", "120 s")
    assert result.known == {"model": "m", "request": next(iter(model.asked))}
    assert len(model.asked) == 1


def test_a_second_answer_that_could_not_be_had_fails_the_record_too() -> None:
    def says(request: Request, number: int) -> str | Entry:
        return "" if number == 1 else entry(request, outcome="server_error", text=None)

    result, model = one(says, count=10_000)
    assert type(result) is Failed and result.reason == "server_error"
    assert len(model.asked) == 2


def test_where_the_batch_api_was_asked_a_further_draw_that_it_was_not_asked_for_leaves_a_record_rejected() -> None:
    def says(request: Request, number: int) -> str | Entry:
        return "" if number == 1 else entry(request, outcome=NOT_ANSWERED, text=None)

    result, _ = one(says, count=10_000)
    assert type(result) is Rejected and result.reason == "bad_instruction"
