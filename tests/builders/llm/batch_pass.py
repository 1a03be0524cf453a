"""A pass over a Batch API as tests run it: in this process, or in one of its own that may be killed."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from builders.llm import batch
from builders.llm.batch import Batches
from builders.llm.ledger import Ledger
from builders.llm.request import Entry, Request
from builders.shards.store import Store
from schemas.llm import OpenAiLlm
from tests.builders.llm.batch_server import KEY

BUILD = "b" * 64
PRICE = {"input": 10.0, "output": 30.0}
USD = (100 * 10 + 10 * 30) / 1e6 / 2
"""What an answer of 100 and 10 tokens costs, at half the price."""


def request_of(number: int, words: str = "") -> Request:
    messages = [{"role": "user", "content": words or f"What is {number}? 🐕"}]
    return Request("openai", "chat/completions", {"model": "mill-1", "messages": messages, "max_tokens": 50})


@dataclass
class Pass:
    """`said`: the lines for the user. `slept`: the seconds that it waited for, none of which went by."""

    folder: Path
    base_url: str
    requests: list[Request] = field(default_factory=lambda: [request_of(number) for number in range(7)])
    key: str | None = KEY
    said: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    sleep: Callable[[float], None] = lambda seconds: None

    def run(self, build: str = BUILD) -> Pass:
        settings = OpenAiLlm(
            **{
                "kind": "openai_batch",
                "model": "mill-1",
                "base_url": self.base_url,
                "parameters": {"max_tokens": 50},
                "prices": {"mill-1": PRICE},
                "retries": 2,
                "timeout": 20,
                **self.settings,
            }
        )
        folder, told = Store(self.folder / "batches"), self.said.append
        Batches(self.key, Ledger(Store(self.folder)), folder, settings, build, "run", told, self._wait).run(self._all)
        return self

    def entries(self) -> list[Entry]:
        """All that stand in the ledger, each id once."""
        tables = [pq.read_table(path) for path in self.folder.glob("*.parquet")]
        rows = pa.concat_tables(tables).to_pylist() if tables else []
        return list({row["id"]: Entry(**row) for row in rows}.values())

    def answers(self) -> dict[str, str | None]:
        """Of each request that is answered: the text."""
        ledger = Ledger(Store(self.folder))
        ledger.refresh()
        return {key: entry.text for key, entry in ledger.find([one.hash for one in self.requests]).items()}

    def usd(self, build: str = BUILD) -> float:
        return Ledger(Store(self.folder)).totals(build).usd

    def notes(self) -> list[str]:
        """The kinds of notes on request files."""
        return sorted(path.rpartition(".")[2] for path in Store(self.folder / "batches").list(BUILD[:16]))

    def _all(self) -> Iterator[Request]:
        return iter(self.requests)

    def _wait(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.sleep(seconds)


def killed_at(event: int, folder: Path, base_url: str, requests: list[Request]) -> None:
    """A pass in files of 3 requests that ends itself with SIGKILL at the `event`-th moment (from 0): when a file of its
    own is written but not in its place, when it is there, when one is removed. Below 0: never."""
    batch.MOST_REQUESTS = 3
    moments = itertools.count()

    def moment() -> None:
        if next(moments) == event:
            os.kill(os.getpid(), signal.SIGKILL)

    put, delete = Store.put, Store.delete

    @contextmanager
    def put_or_die(self: Store, path: str) -> Iterator[Any]:
        with put(self, path) as file:
            yield file
            moment()
        moment()

    def delete_or_die(self: Store, path: str) -> None:
        delete(self, path)
        moment()

    Store.put, Store.delete = put_or_die, delete_or_die  # type: ignore[method-assign]
    Pass(folder, base_url, requests).run()
