"""Requests that are the same are known by one hash, wherever and in whatever order they are asked."""

from __future__ import annotations

import copy
import datetime
import json
import string
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.llm.request import ANSWER, Entry, Request

BODY: dict[str, Any] = {
    "model": "mill-1",
    "messages": [{"role": "system", "content": "Be exact."}, {"role": "user", "content": "A cat: café 🐈\n"}],
    "temperature": 0.7,
    "max_tokens": 100,
    "response_format": {"type": "text", "strict": True},
}
ROOT = Path(__file__).resolve().parents[3]
ASKED = Request("openai", "chat/completions", BODY)


def turned(value: Any) -> Any:
    """The same value with the keys of all its objects in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


def test_the_hash_is_a_sha_256_that_no_version_may_change() -> None:
    small = Request("openai", "chat/completions", {"model": "m", "messages": []})

    assert len(ASKED.hash) == 64
    assert set(ASKED.hash) <= set(string.hexdigits.lower())
    assert small.hash == "08423c87135617eed768ab47b8982411c89fdda22b53f9d75b8f47bc9aef45a4"


def test_the_order_of_keys_is_nothing() -> None:
    assert list(turned(BODY)) != list(BODY)
    assert Request("openai", "chat/completions", turned(BODY)).hash == ASKED.hash


def test_another_process_finds_the_same_hash() -> None:
    code = "import json, sys; from builders.llm.request import Request; print(Request(*json.load(sys.stdin)).hash)"
    asked = json.dumps([ASKED.provider, ASKED.path, BODY])

    told = subprocess.run(
        [sys.executable, "-c", code], input=asked, capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert told.stdout.strip() == ASKED.hash


@pytest.mark.parametrize(
    "other",
    [
        Request("elsewhere", "chat/completions", BODY),
        Request("openai", "completions", BODY),
        Request("openai", "chat/completions", {**BODY, "model": "mill-2"}),
        Request("openai", "chat/completions", {**BODY, "temperature": 0.70001}),
        Request("openai", "chat/completions", {**BODY, "temperature": "0.7"}),
        Request("openai", "chat/completions", {**BODY, "max_tokens": 101}),
        Request("openai", "chat/completions", {**BODY, "top_p": 1}),
        Request("openai", "chat/completions", {key: BODY[key] for key in BODY if key != "max_tokens"}),
        Request("openai", "chat/completions", {**BODY, "messages": BODY["messages"][::-1]}),
        Request("openai", "chat/completions", {**BODY, "messages": BODY["messages"][:1]}),
        Request("openai", "chat/completions", {**BODY, "response_format": {"type": "text", "strict": False}}),
    ],
    ids=lambda other: None,
)
def test_whoever_is_asked_for_anything_else_is_asked_anew(other: Request) -> None:
    assert other.hash != ASKED.hash


@given(st.data())
def test_any_character_of_any_message_matters(data: st.DataObject) -> None:
    body = copy.deepcopy(BODY)
    message = data.draw(st.sampled_from(body["messages"]))
    part = data.draw(st.sampled_from(["role", "content"]))
    at = data.draw(st.integers(0, len(message[part])))
    cut = data.draw(st.integers(0, 1))
    before = message[part]
    message[part] = before[:at] + data.draw(st.text(max_size=1)) + before[at + cut :]

    same = message[part] == before

    assert (Request("openai", "chat/completions", body).hash == ASKED.hash) == same


@given(st.text(), st.text(), st.text())
def test_no_part_runs_over_into_the_next(provider: str, path: str, model: str) -> None:
    one = Request(provider, path, {"model": model})
    shifted = Request(provider + path[:1], path[1:], {"model": model})

    assert (one.hash == shifted.hash) == (path == "")


def test_a_request_tells_its_model() -> None:
    assert ASKED.model == "mill-1"


def test_nothing_of_the_endpoints_address_is_in_a_request() -> None:
    assert {field.name for field in fields(Request)} == {"provider", "path", "body"}


@pytest.mark.parametrize(("outcome", "answered"), [(ANSWER, True), ("rate_limited", False), ("", False)])
def test_an_attempt_was_answered_by_its_outcome_alone(outcome: str, answered: bool) -> None:
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

    assert Entry("1", "h", at, "b", "r", "openai", "mill-1", outcome, text=None).answered is answered
