"""An asker over a scripted model, for tests: what is asked, what is answered, and what the ledger holds then."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from builders.llm.asker import Asker
from builders.llm.ledger import Ledger
from builders.llm.outcomes import Sent
from builders.llm.request import ANSWER, Entry, Purpose, Request
from builders.shards.store import Store
from schemas.endpoint import Price
from schemas.llm import OpenAiLlm

PRICE = {"m": Price(input=1_000_000, output=1_000_000)}  # a dollar a token


def asking(name: str) -> Request:
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": name}]}
    return Request("openai", "chat/completions", body)


def named(request: Request) -> str:
    return str(request.body["messages"][0]["content"])


def good(text: str = "yes", tokens: int | None = 2) -> Sent:
    return Sent(ANSWER, 200, text, "stop", tokens_in=tokens, tokens_out=tokens)


class Scripted:
    """Answers by a script: name and number of the attempt to what is sent back."""

    def __init__(self, script: Callable[[str, int], Sent], seconds: float = 0.0) -> None:
        self.script, self.seconds = script, seconds
        self.asked: Counter[str] = Counter()
        self.running = self.most = 0

    async def __call__(self, request: Request) -> Sent:
        self.asked[named(request)] += 1
        number = self.asked[named(request)]
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self.seconds)
        self.running -= 1
        return self.script(named(request), number)


class Counted:
    def __init__(self) -> None:
        self.amounts: Counter[str] = Counter()

    def __call__(self, amounts: Mapping[str, float]) -> None:
        self.amounts.update(amounts)


def run(
    folder: Path, send: Scripted, use: Callable[[Asker], Awaitable[Any]], told: Counted | None = None, **fields: Any
) -> Any:
    """What `use` makes of an asker over the ledger in `folder`, which is closed afterwards."""

    async def main() -> Any:
        ledger = Ledger(Store(folder))
        ledger.refresh()
        chosen = OpenAiLlm(model="m", parameters={"max_tokens": 5}, **fields)
        asker = Asker(
            send, ledger, chosen, Purpose("build", uuid4().hex), told or Counted(), patience=0.05, seal_every=0.002
        )
        try:
            return await use(asker)
        finally:
            await asker.close()

    return asyncio.run(main())


def in_ledger(folder: Path, *names: str) -> dict[str, Entry]:
    ledger = Ledger(Store(folder))
    ledger.refresh()
    found = ledger.find([asking(name).hash for name in names])
    return {name: found[asking(name).hash] for name in names if asking(name).hash in found}
