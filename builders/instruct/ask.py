"""The step that asks a language model for a response about an image that it never sees: LLaVA's method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from builders.instruct.context import context_of
from builders.instruct.parse import Kind
from builders.instruct.prompting import Prompts
from builders.llm.request import Entry, Request
from builders.step import Asks, Failed, Record, Result, Services


@dataclass
class AskModel:
    """Adds the answer (`_text`, `_finish_reason`), its `model`, the hash of the `request`, its usage in tokens.

    `boxes` tells for which responses the context shows them.
    """

    prompts: Prompts
    boxes: Mapping[Kind, bool]
    provider: str
    model: str
    parameters: Mapping[str, Any]
    name: ClassVar = "ask"
    reads: ClassVar = ("response", "_told", "_gold")
    adds: ClassVar = {
        "_text": pa.string(),
        "_finish_reason": pa.string(),
        "model": pa.string(),
        "request": pa.string(),
        "tokens_in": pa.int64(),
        "tokens_out": pa.int64(),
    }
    _llm: Asks | None = None

    def setup(self, services: Services) -> None:
        self._llm = services.llm

    def __call__(self, records: list[Record]) -> Sequence[Result]:
        assert self._llm is not None, "nobody to ask"
        return [_result(entry) for entry in self._llm.ask(self.requests(records))]

    def requests(self, records: list[Record]) -> list[Request]:
        """What is asked about each record."""
        return [Request(self.provider, "chat/completions", self._body(record)) for record in records]

    def expected_tokens(self, records: list[Record]) -> list[float]:
        """How long each answer may be expected to be: as long as those that the prompts show."""
        return [self.prompts.answer_tokens(record["response"]) for record in records]

    def _body(self, record: Record) -> Mapping[str, Any]:
        context = str(context_of(record, self.boxes[record["response"]]))
        messages = self.prompts.messages(record["response"], context)
        return {"model": self.model, "messages": messages, **self.parameters}


def _result(entry: Entry) -> Result:
    known = {
        "model": entry.model,
        "request": entry.hash,
        "tokens_in": entry.tokens_in,
        "tokens_out": entry.tokens_out,
    }
    if not entry.answered:
        return Failed(entry.outcome, entry.detail or "", known)
    return {"_text": entry.text, "_finish_reason": entry.finish_reason, **known}
