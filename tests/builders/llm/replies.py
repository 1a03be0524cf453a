"""What the test API can answer: every kind that a provider gives, and what broken ones give instead.

Errors have the shape and the codes of OpenAI's; the sentences are ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

MODEL = "mill-1-2026-01-01"
"""Who answers, where nothing else is said."""
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Reply:
    """An answer as it goes over the wire. Whatever is odd about it is said here, so that a script is plain data.

    `delay`: seconds before its first byte. `announced`: a Content-Length that is not the body's; the connection closes
    after the body. `pause`: seconds after each byte of the body. `silent`: no byte at all: the connection stays open
    until the client leaves, or, with `closes`, ends at once; `closes` alone ends it after the body. `raw`: these bytes,
    head and all, in the place of an answer, and the end of the connection.
    """

    body: bytes = b""
    status: int = 200
    headers: Headers = ()
    delay: float = 0.0
    announced: int | None = None
    pause: float = 0.0
    silent: bool = False
    closes: bool = False
    raw: bytes | None = None

    def after(self, seconds: float) -> Reply:
        """The same, that much later."""
        return replace(self, delay=seconds)

    def with_headers(self, **headers: str) -> Reply:
        """The same with further headers; `_` in a name stands for `-`."""
        return replace(self, headers=self.headers + tuple((name.replace("_", "-"), v) for name, v in headers.items()))


def as_json(content: Any, status: int = 200, headers: Headers = ()) -> Reply:
    return Reply(json.dumps(content).encode(), status, (("Content-Type", "application/json"), *headers))


def usage(tokens_in: Any = 11, tokens_out: Any = 7, cached: Any = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def completion(
    message: Mapping[str, Any],
    finish_reason: str | None = "stop",
    usage: Mapping[str, Any] | None = usage(),
    model: str = MODEL,
) -> Reply:
    """A chat completion with one choice. Without `usage`, the answer does not say what it cost."""
    content: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}],
    }
    if usage is not None:
        content["usage"] = usage
    return as_json(content, headers=(("x-request-id", "req_1"),))


def answer(
    text: str | None,
    finish_reason: str | None = "stop",
    usage: Mapping[str, Any] | None = usage(),
    model: str = MODEL,
) -> Reply:
    return completion({"content": text, "refusal": None}, finish_reason, usage, model)


def refusal(text: str) -> Reply:
    """The model declines in so many words."""
    return completion({"content": None, "refusal": text})


def error(status: int, code: str | None, message: str, kind: str = "invalid_request_error", **headers: str) -> Reply:
    content = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return as_json(content, status, (("x-request-id", "req_2"),)).with_headers(**headers)


def rate_limited(**headers: str) -> Reply:
    """`rate_limited(Retry_After="1")`."""
    return error(429, "rate_limit_exceeded", "Too many requests for mill-1: limit 3 a minute.", "requests", **headers)


def out_of_quota() -> Reply:
    return error(429, "insufficient_quota", "You have used up your quota.", "insufficient_quota")


def wrong_key(shown: str) -> Reply:
    """`shown`: what the server repeats of the key."""
    return error(401, "invalid_api_key", f"Incorrect API key provided: {shown}. Find yours in your account.")


def no_such_model(model: str) -> Reply:
    return error(404, "model_not_found", f"The model `{model}` does not exist or you may not use it.")


def prompt_too_long() -> Reply:
    return error(400, "context_length_exceeded", "This model takes 8192 tokens, your messages came to 9000.")


def broken(status: int = 500) -> Reply:
    """What a server or a proxy before it says when it cannot: a page, no JSON."""
    return Reply(b"<html><h1>Sorry</h1></html>", status, (("Content-Type", "text/html"),))


def hang() -> Reply:
    return Reply(silent=True)


def hang_up() -> Reply:
    return Reply(silent=True, closes=True)


def cut(reply: Reply) -> Reply:
    """Half of a body whose whole was announced, and the end of the connection."""
    return replace(reply, body=reply.body[: len(reply.body) // 2], announced=len(reply.body))


def dripping(reply: Reply, pause: float) -> Reply:
    """A byte, `pause` seconds, the next byte."""
    return replace(reply, pause=pause)


def oversized(size: int) -> Reply:
    """Right in every way, but of at least `size` bytes."""
    return answer("x" * size)


def redirect(url: str, status: int = 307) -> Reply:
    return Reply(b"", status, (("Location", url),))
