"""What a model is asked about an image, and what becomes of its answer."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.instruct.ask import AskModel
from builders.instruct.context import Box, boxes_of
from builders.instruct.parse import Kind
from builders.instruct.prompting import FOLDERS, Prompts, load_prompts
from builders.llm.money import about_tokens
from builders.llm.request import ANSWER, Entry, Request
from builders.step import Failed, Record, Services

LLAVA: dict[Kind, bool] = {"conversation": False, "detail": True, "complex": True}


@pytest.fixture
def prompts(tmp_path: Path) -> Prompts:
    """A system message and one example of each kind."""
    for kind, folder in FOLDERS.items():
        (tmp_path / folder).mkdir()
        for name, text in (("system_message", "be"), ("000_caps", "see"), ("000_conv", "answer")):
            (tmp_path / folder / f"{name}.txt").write_text(f"{text} {kind}")
    return load_prompts(tmp_path)


def step(prompts: Prompts, boxes: Mapping[Kind, bool] = LLAVA, **parameters: Any) -> AskModel:
    return AskModel(prompts, boxes, "openai", "mill-1", parameters)


def item(category: str, *corners: float, crowd: bool = False) -> dict[str, Any]:
    return {**dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True)), "category": category, "crowd": crowd}


def record(response: str = "detail", **fields: Any) -> Record:
    gold = [
        item("person", 0.1, 0.2, 0.3, 0.44444),
        item("person", 0.0, 0.0, 1.0, 1.0, crowd=True),
        item("dog", 0.5, 0.5, 0.75, 1.0),
    ]
    return {"response": response, "_told": ["A man.", "A dog."], "_gold": gold, **fields}


def body(ask: AskModel, one: Record) -> dict[str, Any]:
    (request,) = ask.requests([one])
    return dict(request.body)


CAPTIONS = "A man.\nA dog."
BOXES = "person: [0.1, 0.2, 0.3, 0.444]\ndog: [0.5, 0.5, 0.75, 1.0]"


# ---- what is asked ---------------------------------------------------------------------------------------------------


def test_a_request_is_the_prompts_the_image_and_the_parameters_as_they_stand(prompts: Prompts) -> None:
    (request,) = step(prompts, temperature=0.7, max_tokens=100).requests([record("detail")])

    assert (request.provider, request.path, request.model) == ("openai", "chat/completions", "mill-1")
    assert request.body == {
        "model": "mill-1",
        "messages": [
            {"role": "system", "content": "be detail"},
            {"role": "user", "content": "see detail"},
            {"role": "assistant", "content": "answer detail"},
            {"role": "user", "content": f"{CAPTIONS}\n\n{BOXES}"},
        ],
        "temperature": 0.7,
        "max_tokens": 100,
    }
    assert json.loads(json.dumps(request.body)) == request.body


@pytest.mark.parametrize("response", ["conversation", "detail", "complex"])
@pytest.mark.parametrize("shown", [True, False])
def test_boxes_are_shown_for_the_responses_that_the_recipe_names(prompts: Prompts, response: Kind, shown: bool) -> None:
    others: dict[Kind, bool] = dict.fromkeys(FOLDERS, not shown)

    messages = body(step(prompts, {**others, response: shown}), record(response))["messages"]

    assert messages[0]["content"] == f"be {response}"
    assert messages[-1]["content"] == (f"{CAPTIONS}\n\n{BOXES}" if shown else CAPTIONS)


def test_crowds_are_left_out_of_the_context_and_the_others_stay_in_their_order() -> None:
    assert boxes_of(record()) == (Box("person", (0.1, 0.2, 0.3, 0.44444)), Box("dog", (0.5, 0.5, 0.75, 1.0)))


@pytest.mark.parametrize("gold", [[], [item("person", 0.0, 0.0, 1.0, 1.0, crowd=True)]])
def test_an_image_without_boxes_but_of_crowds_is_asked_about_by_its_captions(
    prompts: Prompts, gold: list[dict[str, Any]]
) -> None:
    messages = body(step(prompts), record("detail", _gold=gold))["messages"]

    assert messages[-1]["content"] == CAPTIONS


def test_records_are_asked_about_one_by_one_in_their_order(prompts: Prompts) -> None:
    records = [record(response) for response in ("complex", "conversation", "detail")]
    ask = step(prompts)

    requests = ask.requests(records)

    assert [request.body["messages"][0]["content"] for request in requests] == [
        "be complex",
        "be conversation",
        "be detail",
    ]
    assert requests == [ask.requests([one])[0] for one in records]


def test_an_answer_may_be_expected_to_be_as_long_as_those_that_the_prompts_show(prompts: Prompts) -> None:
    told = step(prompts).expected_tokens([record("detail"), record("conversation")])

    assert told == [about_tokens("answer detail"), about_tokens("answer conversation")] == [2, 3]


# ---- what becomes of the answer --------------------------------------------------------------------------------------


class Model:
    """Answers whatever it is asked with these entries, and keeps what it was asked."""

    def __init__(self, *entries: Entry) -> None:
        self.entries, self.asked = entries, list[Request]()

    def ask(self, requests: Sequence[Request]) -> Sequence[Entry]:
        self.asked += requests
        return self.entries


def entry(**fields: Any) -> Entry:
    return replace(
        Entry(
            id="1",
            hash="abc",
            asked_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            build="b",
            run="r",
            provider="openai",
            model="mill-1",
            outcome=ANSWER,
            text="A dog sits.",
            finish_reason="stop",
            tokens_in=20,
            tokens_out=5,
        ),
        **fields,
    )


def test_an_answer_is_told_with_who_gave_it_to_which_request_and_its_usage(prompts: Prompts) -> None:
    model, ask = Model(entry(), entry(hash="def", text="", finish_reason="length")), step(prompts)
    ask.setup(Services(None, "cpu", llm=model))  # type: ignore[arg-type]
    records = [record("detail"), record("complex")]

    found = ask(records)

    assert model.asked == ask.requests(records)
    usage = {"model": "mill-1", "tokens_in": 20, "tokens_out": 5}
    assert found == [
        {"_text": "A dog sits.", "_finish_reason": "stop", "request": "abc", **usage},
        {"_text": "", "_finish_reason": "length", "request": "def", **usage},
    ]
    assert found[0].keys() == ask.adds.keys()  # type: ignore[union-attr]


def test_a_request_that_was_not_answered_is_a_failed_record_that_says_which(prompts: Prompts) -> None:
    busy = entry(outcome="rate_limited", detail="429, 6 times", text=None, tokens_in=None, tokens_out=None)
    ask = step(prompts)
    ask.setup(Services(None, "cpu", llm=Model(busy, replace(busy, detail=None))))  # type: ignore[arg-type]

    found = ask([record(), record()])

    known = {"model": "mill-1", "request": "abc", "tokens_in": None, "tokens_out": None}
    assert found == [Failed("rate_limited", "429, 6 times", known), Failed("rate_limited", "", known)]
