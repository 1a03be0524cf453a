"""What is asked of a model, and one attempt at it as it stands in the ledger."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

SPEECH = "audio/speech"
"""The path whose answers are audio."""
ANSWER = "answer"
"""The outcome of an attempt that was answered, whatever the answer is worth."""


@dataclass(frozen=True)
class Request:
    """One call of an API: `path` below the endpoint's address, and the JSON that is sent, `model` in it.

    `provider` names who answers; where the endpoint lies does not matter to what it is worth to ask again.
    """

    provider: str
    path: str
    body: Mapping[str, Any]

    @cached_property
    def hash(self) -> str:
        """SHA-256 in hex of provider, path and the whole body: equal requests are asked once."""
        return hashlib.sha256(json.dumps([self.provider, self.path, self.body], sort_keys=True).encode()).hexdigest()

    @property
    def model(self) -> str:
        return str(self.body["model"])


@dataclass(frozen=True)
class Purpose:
    """What entries are made for: the content hash of a dataset, and the run of its build."""

    build: str
    run: str


@dataclass(frozen=True)
class Entry:
    """One attempt at a request, the unit of the ledger.

    `outcome` is ANSWER, or what went wrong instead; then `text` is None and `detail` tells more. Where the answer is
    audio, `text` refers to it (see builders/llm/media.py). `finish_reason` is the API's own word ("stop", "length",
    "content_filter"), or "refusal" where the model declined in so many words. `tokens_cached` are those of `tokens_in`
    that the provider had in its cache. `usd` is None where the price is not known; an attempt that broke off after it
    was sent may have been billed, and counts with the most that it can cost. `seconds` is how long the attempt took.
    `build` is the content hash of the dataset that it was made for, `run` the run of that build. `id` is unique.
    """

    id: str
    hash: str
    asked_at: datetime.datetime
    build: str
    run: str
    provider: str
    model: str
    outcome: str
    status: int | None = None
    text: str | None = None
    finish_reason: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    usd: float | None = None
    seconds: float | None = None
    request_id: str | None = None
    detail: str | None = None

    @property
    def answered(self) -> bool:
        return self.outcome == ANSWER
