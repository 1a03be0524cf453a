"""What answers mean, by status, code and sentence; and that no word of theirs shows a secret or stops a build."""

from __future__ import annotations

import datetime
import email.utils
import json
import string
from functools import partial
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from builders.llm.outcomes import DETAIL_MAX, HIDDEN, Sent, of_answer, told
from builders.llm.request import ANSWER
from tests.builders.llm import replies
from tests.builders.llm.replies import Reply, answer, completion, error

KEY = "sk-proj-Ab3dEf6hIj9kLm2nOp5q"
MODEL = "meta-llama/Meta-Llama-3-405B-Instruct-Turbo"
TELL = partial(told, key=KEY, model=MODEL)


def of(reply: Reply) -> Sent:
    return of_answer(reply.status, {name.lower(): value for name, value in reply.headers}, reply.body, TELL)


def detail(sent: Sent) -> str:
    assert sent.detail is not None
    return sent.detail


def kind(sent: Sent) -> str:
    """An outcome, and what is to be done about it."""
    assert not (sent.fatal and sent.retry)
    return sent.outcome + (", again" if sent.retry else ", all" if sent.fatal else "")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (answer("A dog."), "answer"),
        (answer("A dog", "length"), "answer"),
        (answer(None, "length"), "answer"),
        (answer(None, "content_filter"), "answer"),
        (answer(None, "stop"), "garbled, again"),
        (answer(None, None), "garbled, again"),
        (replies.refusal("I cannot look at this."), "answer"),
        (replies.as_json({"choices": []}), "garbled, again"),
        (replies.as_json({"choices": [{}]}), "garbled, again"),
        (replies.as_json({"choices": {"0": {}}}), "garbled, again"),
        (replies.as_json(["choices"]), "garbled, again"),
        (replies.as_json({"error": {"message": "busy upstream", "code": 502}}), "garbled, again"),
        (Reply(b"", 204), "garbled, again"),
        (Reply(b"{'choices': []}"), "garbled, again"),
        (Reply(b"[" * 100_000), "garbled, again"),
        (Reply(b'{"choices": ' + b"9" * 5_000 + b"}"), "garbled, again"),
        (replies.redirect("https://elsewhere.example/v1"), "refused_for_all, all"),
        (error(400, None, "We could not read your messages."), "bad_request"),
        (replies.prompt_too_long(), "prompt_too_long"),
        (error(400, "string_above_max_length", "A string has too many characters."), "prompt_too_long"),
        (error(400, None, "This model's maximum context length is 2048 tokens."), "prompt_too_long"),
        (error(413, None, "Too large."), "prompt_too_long"),
        (error(400, "content_filter", "The prompt was filtered."), "content_filter"),
        (error(403, "content_policy_violation", "The prompt was filtered."), "content_filter"),
        (error(400, "unsupported_parameter", "Not with this model: max_tokens."), "refused_for_all, all"),
        (error(400, "unsupported_value", "Only 1 is taken: temperature."), "refused_for_all, all"),
        (error(400, "unknown_parameter", "What is temprature?"), "refused_for_all, all"),
        (error(400, "invalid_model", "No such model."), "refused_for_all, all"),
        (error(400, None, "API key not valid. Please pass another."), "refused_for_all, all"),
        (replies.as_json([{"error": {"code": 400, "message": "API key not valid."}}], 400), "refused_for_all, all"),
        (replies.wrong_key("sk-none"), "refused_for_all, all"),
        (replies.broken(401), "refused_for_all, all"),
        (replies.broken(402), "refused_for_all, all"),
        (error(403, "unsupported_country_region_territory", "Not here."), "refused_for_all, all"),
        (replies.broken(403), "refused_for_all, all"),
        (replies.no_such_model("m"), "refused_for_all, all"),
        (replies.broken(404), "refused_for_all, all"),
        (error(405, None, "GET only."), "bad_request"),
        (error(408, None, "Too slow."), "server_error, again"),
        (error(409, None, "Try again."), "server_error, again"),
        (error(422, None, "temperature must be a number"), "bad_request"),
        (error(425, None, "Too early."), "server_error, again"),
        (replies.rate_limited(), "rate_limited, again"),
        (replies.broken(429), "rate_limited, again"),
        (replies.out_of_quota(), "refused_for_all, all"),
        (error(429, "billing_hard_limit_reached", "No more this month."), "refused_for_all, all"),
        (error(429, "billing_not_active", "Your account is not active."), "refused_for_all, all"),
        (replies.broken(500), "server_error, again"),
        (error(500, "insufficient_quota", "It says so, but it is broken."), "server_error, again"),
        (replies.broken(503), "server_error, again"),
        (replies.broken(529), "server_error, again"),
    ],
)
def test_an_answer_is_told_by_its_status_its_code_and_its_sentence(reply: Reply, expected: str) -> None:
    sent = of(reply)
    assert kind(sent) == expected
    assert sent.status == reply.status
    assert (sent.text is not None) == (sent.outcome == ANSWER)
    assert (sent.detail is None) == (sent.outcome == ANSWER)


def test_an_answer_holds_the_text_and_what_it_cost() -> None:
    sent = of(answer("A dog.", usage=replies.usage(120, 30, 64)).with_headers(x_ratelimit_remaining_requests="7"))
    assert (sent.text, sent.finish_reason, sent.model) == ("A dog.", "stop", replies.MODEL)
    assert (sent.tokens_in, sent.tokens_out, sent.tokens_cached) == (120, 30, 64)
    assert sent.request_id == "req_1"
    assert sent.headers["x-ratelimit-remaining-requests"] == "7"


def test_an_answer_in_parts_is_the_text_of_its_parts() -> None:
    parts = [{"type": "text", "text": "A "}, {"type": "thinking", "thinking": []}, {"type": "text", "text": "dog."}, 7]
    assert of(completion({"content": parts})).text == "A dog."
    assert of(completion({"content": [{"type": "thinking"}]})).outcome == "garbled"


def test_an_answer_that_was_cut_off_before_its_first_word_is_empty() -> None:
    sent = of(answer(None, "length"))
    assert (sent.text, sent.finish_reason) == ("", "length")


def test_a_refusal_is_an_answer_in_the_words_of_the_model() -> None:
    sent = of(replies.refusal("I cannot look at this."))
    assert (sent.text, sent.finish_reason) == ("I cannot look at this.", "refusal")


def test_what_an_answer_without_use_has_cost_is_told_all_the_same() -> None:
    sent = of(completion({"content": None}, usage=replies.usage(120, 30)))
    assert (sent.outcome, sent.tokens_in, sent.tokens_out) == ("garbled", 120, 30)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, (None, None, None)),
        (replies.usage(-1, 7, 0), (None, 7, None)),
        (replies.usage(11, 7.5, 0), (11, None, 0)),
        (replies.usage(11, "7", True), (11, None, None)),
        (replies.usage(11, 10**30, None), (11, None, None)),
        (replies.usage(11, 7, 12), (11, 7, None)),
        ({"prompt_tokens": 11}, (11, None, None)),
    ],
)
def test_tokens_that_cannot_be_are_not_known(usage: Any, expected: tuple[int | None, ...]) -> None:
    sent = of(answer("A dog.", usage=usage))
    assert sent.outcome == ANSWER
    assert (sent.tokens_in, sent.tokens_out, sent.tokens_cached) == expected


def test_text_that_no_file_can_hold_is_made_sound() -> None:
    body = (
        rb'{"model": "\udc00m", "choices": [{"finish_reason": "stop", "message": {"content": "\ud83d\ude00 \ud800!"}}]}'
    )
    sent = of(Reply(body))
    assert sent.text == "\N{GRINNING FACE} �!"
    assert sent.model == "�m"


def _in(seconds: float) -> str:
    return email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry_After": "2"}, 2, 2),
        ({"Retry_After": "0.5"}, 0.5, 0.5),
        ({"retry_after_ms": "250"}, 0.25, 0.25),
        ({"retry_after_ms": "250", "Retry_After": "1"}, 0.25, 0.25),
        ({"retry_after_ms": "soon", "Retry_After": "1"}, 1, 1),
        ({"Retry_After": _in(3000)}, 1, 3000),
        ({"Retry_After": _in(-100)}, 0, 0),
        ({"Retry_After": "86400"}, 3600, 3600),
        ({"Retry_After": _in(10**8)}, 3600, 3600),
    ],
)
@pytest.mark.parametrize("reply", [replies.rate_limited(), replies.broken(503)])
def test_the_server_is_waited_for_as_it_asks_but_not_for_ever(
    reply: Reply, headers: dict[str, str], least: float, most: float
) -> None:
    after = of(reply.with_headers(**headers)).after
    assert after is not None
    assert least <= after <= most


@pytest.mark.parametrize("text", ["", "soon", "-1", "inf", "nan", "1e9", "٣", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_wish_that_cannot_be_read_is_none(text: str) -> None:
    assert of(replies.rate_limited(Retry_After=text)).after is None


@pytest.mark.parametrize(
    ("reply", "begins", "ends"),
    [
        (replies.wrong_key("sk-pr***5q"), f"401: Incorrect API key provided: {HIDDEN}", "that llm.api_key_env names"),
        (replies.no_such_model(MODEL), f"404: The model `{MODEL}` does not exist", "check llm.model and llm.base_url"),
        (replies.out_of_quota(), "429: You have used up your quota", "run the same command again"),
        (error(400, "unknown_parameter", "What is x?"), "400: What is x?", "check llm.parameters"),
        (replies.redirect("https://a.example/v1"), "307: it redirects to https://a.example/v1", "check llm.base_url"),
        (replies.broken(404), "404: Sorry", "check llm.model and llm.base_url"),
    ],
)
def test_what_stops_a_build_says_what_mends_it(reply: Reply, begins: str, ends: str) -> None:
    assert detail(of(reply)).startswith(begins)
    assert ends in detail(of(reply)).rpartition(";")[2]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"message": "Not\\nnow,\\u001b[31m sorry."}}', "503: Not now, [31m sorry."),
        (b'{"error": "overloaded"}', "503: overloaded"),
        (b'{"message": "overloaded", "code": 50}', "503: overloaded"),
        (b'{"detail": "Not Found"}', "503: Not Found"),
        (b'{"error": {"code": "engine_overloaded"}}', "503: engine_overloaded"),
        (b"upstream connect error", "503: upstream connect error"),
        (b"<html><head><title>Bad</title></head> gateway", "503: Bad gateway"),
        (b"", "503: no reason given"),
        (b"null", "503: no reason given"),
    ],
)
def test_a_detail_is_the_servers_own_sentence_on_one_line(body: bytes, expected: str) -> None:
    assert of(Reply(body, 503)).detail == expected


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "sk-abcd",
        "sk-ant-api03-x_y-z",
        "hf_abcdefgh",
        "gsk_AbCdEfGh",
        "sk-pr******op5q",
        "Ab3d****5q",
        "Authorization: Bearer abc.def",
        "AIzaSyA-1234567890_abc",
        "eyJhbGciOi.eyJzdWIi.abc",
        "0123456789abcdef0123456789abcdef",
        "3f1c5a52-0c7e-4f0e-9d55-5a2f6f3e8f10",
        "org-AbCdEfGhIjKlMnOp1234",
        "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEf",
        "key=" + KEY[8:],
        f"https://a.example/?key={KEY}&x=1",
    ],
)
@pytest.mark.parametrize("frame", ["{}", "Wrong key: {}.", 'it said "{}", so no', "({})", "key {}\nof yours"])
def test_what_looks_like_a_secret_is_not_shown(frame: str, secret: str) -> None:
    shown = told(frame.format(secret), KEY, MODEL)
    assert HIDDEN in shown
    assert secret.rpartition(" ")[2] not in shown


@pytest.mark.parametrize(
    "text",
    [
        f"The model {MODEL} does not exist",
        "Rate limit reached for gpt-4o-mini-2024-07-18 on requests per min (RPM): Limit 3, Used 3, Requested 1.",
        "unsupported_country_region_territory",
        "context_length_exceeded: 131072 tokens at most",
        "see https://platform.openai.com/docs/guides/error-codes/api-errors for more",
    ],
)
def test_what_helps_is_shown(text: str) -> None:
    assert told(text, KEY, MODEL) == text


def test_without_a_key_nothing_of_the_sentence_is_taken_for_it() -> None:
    assert told("no key was sent", None, MODEL) == "no key was sent"


KEYS = st.text(string.ascii_letters + string.digits + string.punctuation, min_size=8, max_size=60)


@given(KEYS, st.text(max_size=80), st.text(max_size=80), st.data())
def test_no_piece_of_the_key_is_shown_wherever_it_stands(
    key: str, before: str, after: str, data: st.DataObject
) -> None:
    begin = data.draw(st.integers(0, len(key) - 6))
    piece = key[begin : data.draw(st.integers(begin + 6, len(key)))]
    assume(piece not in HIDDEN)
    for status in (200, 400, 401, 404, 429, 500):
        for body in (
            json.dumps({"error": {"message": before + piece + after, "code": piece, "type": before}}),
            json.dumps({"error": {"code": before + piece}}),
            json.dumps({"detail": before + piece}),
            json.dumps([{"error": piece + after}]),
            before + piece + after,
        ):
            sent = of_answer(
                status, {"location": piece}, body.encode("utf-8", "replace"), partial(told, key=key, model="m")
            )
            assert piece not in detail(sent)
    assert piece not in told(before + piece + after, key, "m")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
"""Of any shape."""
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "model": JSON,
        "usage": JSON | st.fixed_dictionaries({}, optional={"prompt_tokens": JSON, "prompt_tokens_details": JSON}),
        "error": JSON | st.fixed_dictionaries({}, optional={"message": JSON, "code": JSON, "type": JSON}),
        "choices": JSON
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "finish_reason": JSON,
                    "message": JSON | st.fixed_dictionaries({}, optional={"content": JSON, "refusal": JSON}),
                },
            )
        ),
    },
)


@given(
    st.integers(200, 599),
    st.binary() | (JSON | NEARLY).map(lambda content: json.dumps(content).encode()),
    st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "x-request-id", "location"]), st.text()),
)
def test_whatever_a_server_says_is_an_outcome(status: int, body: bytes, headers: dict[str, str]) -> None:
    sent = of_answer(status, headers, body, TELL)
    kind(sent)
    for text in (sent.text, sent.detail, sent.model, sent.finish_reason, sent.request_id):
        assert text is None or text.encode() is not None
    assert sent.detail is None or (len(sent.detail) <= DETAIL_MAX and sent.detail.isprintable())
    assert sent.after is None or 0 <= sent.after <= 3600
    assert sent.outcome == ANSWER or sent.text is None
