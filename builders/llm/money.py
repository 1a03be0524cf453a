"""What answers cost, and how much may still be spent. US dollars."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builders.llm.outcomes import Sent
from builders.llm.request import ANSWER, Request
from schemas.endpoint import Price, SpeechPrice
from schemas.llm import MOST_TOKENS

_PIECE = re.compile(r"[^\W\d_]{1,9}|\d{1,3}|[^\w\s]|_|\n+")
"""About what byte-pair tokenizers make one token of: up to nine letters, three digits, a sign, line breaks."""
_AROUND = 4
"""Tokens that a chat template puts around a message, about."""
_MILLION = 1e6


def cost(
    price: Price | None, tokens_in: int | None, tokens_out: int | None, tokens_cached: int | None, batch: bool = False
) -> float | None:
    """What an answer with this usage costs; None where price or usage are not known."""
    if price is None or tokens_in is None or tokens_out is None:
        return None
    cached = min(tokens_cached or 0, tokens_in)
    a_cached = price.input if price.cached_input is None else price.cached_input
    usd = (tokens_in - cached) * price.input + cached * a_cached + tokens_out * price.output
    return usd / _MILLION * (price.batch if batch else 1)


def billed(price: Price | SpeechPrice | None, request: Request, sent: Sent) -> float | None:
    """What an attempt costs that came to `sent`; None where that is not known, or where it was refused."""
    if isinstance(price, SpeechPrice):
        return spoken(price, request) if sent.outcome == ANSWER else None
    return cost(price, sent.tokens_in, sent.tokens_out, sent.tokens_cached)


def spoken(price: SpeechPrice, request: Request) -> float:
    """What speech of the request's text costs; the voice and how to speak are free."""
    return characters(request) * price.characters / _MILLION


def characters(request: Request) -> int:
    """Of the text that is to be spoken, as Unicode counts them."""
    return len(str(request.body["input"]))


def bound(price: Price | SpeechPrice, request: Request, batch: bool = False, longest: int = 0) -> float:
    """The most that a request can cost: no token is shorter than a byte, and no answer longer than was asked for, or
    than the `longest` that the endpoint has given (tokens). Of speech, just what it costs."""
    if isinstance(price, SpeechPrice):
        return spoken(price, request)
    tokens_in, tokens_out = prompt_bytes(request), max(most_tokens_out(request.body), longest)
    return max(cost(price, tokens_in, tokens_out, cached, batch) or 0.0 for cached in (0, tokens_in))


def prompt_bytes(request: Request) -> int:
    """Bytes of the body as JSON, whose punctuation is more than what a chat template adds to the messages.

    All of the body: tools and the schema of an answer are read by the model as well.
    """
    return len(json.dumps(request.body))


def about_tokens(text: str) -> int:
    """How many tokens a text has, for estimates: 2 to 10% more than CLIP's tokenizer makes of our prompts, where a
    number's digits are taken by threes."""
    return len(_PIECE.findall(text))


def about_prompt(request: Request) -> int:
    """How many tokens the messages have, about."""
    return sum(about_tokens(str(message["content"])) + _AROUND for message in request.body.get("messages", ()))


def most_tokens_out(body: Mapping[str, Any]) -> int:
    """How long an answer the body allows, in tokens; 0 where it does not say."""
    return max((int(body[name]) for name in MOST_TOKENS if body.get(name)), default=0)


@dataclass
class Budget:
    """`max_usd` for everything together; None: no limit. `held` is reserved for the `flying` that are on their way."""

    max_usd: float | None
    spent: float = 0.0
    held: float = 0.0
    flying: int = 0

    def reserve(self, usd: float) -> bool:
        """Set aside what the next request may cost; False where that might pass the limit."""
        if self.max_usd is not None and self.spent + self.held + usd > self.max_usd:
            return False
        self.held += usd
        self.flying += 1
        return True

    def settle(self, reserved: float, usd: float) -> None:
        """What was reserved has come to cost `usd`."""
        self.flying -= 1
        self.held = self.held - reserved if self.flying else 0.0
        self.spent += usd
