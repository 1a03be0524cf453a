"""The sample of a conversation about an image."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from builders.filters.sample import strict
from builders.instruct.turns import Turn, conversations, messages
from builders.step import Record, Result, Services


@dataclass
class ConversationSample:
    """Adds `json`, the sample's `key.json`: `id`, `image` (the file beside it), `conversations` (LLaVA's), `messages`
    (chat), and `columns`; and what of it the index tells."""

    columns: tuple[str, ...]
    seed: int
    name: ClassVar = "conversation_sample"
    adds: ClassVar = {"json": pa.large_binary(), "n_turns": pa.int32(), "answer_chars": pa.int32()}

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("key", "format", "_turns", *self.columns)))

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._made(record) for record in records]

    def _made(self, record: Record) -> Result:
        key, turns = record["key"], [Turn(**turn) for turn in record["_turns"]]
        told: dict[str, Any] = {
            "id": key,
            "image": f"{key}.{record['format']}",
            "conversations": conversations(turns, self.seed, key),
            "messages": messages(turns),
            **strict({name: record[name] for name in self.columns}),
        }
        return {
            "json": json.dumps(told, ensure_ascii=False).encode(),
            "n_turns": len(turns),
            "answer_chars": sum(len(turn.answer) for turn in turns),
        }
