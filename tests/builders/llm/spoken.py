"""An endpoint that speaks, for tests: what it says, and the `Asks` service over it as a build has it."""

from __future__ import annotations

import asyncio
import io
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import soundfile

from builders.llm.asker import Asker
from builders.llm.client import Client
from builders.llm.ledger import Ledger
from builders.llm.request import SPEECH, Entry, Purpose, Request
from builders.shards.store import Store
from schemas.endpoint import SpeechPrice
from schemas.tts import OpenAiTts
from tests.builders.llm.replies import Reply
from tests.builders.llm.server import Seen

KEY = "sk-proj-Ab3dEf6hIj9kLm2nOp5q"
PRICE = {"tts-1": SpeechPrice(characters=1_000_000)}
"""A dollar a character."""


def speaking(text: str, voice: str = "alloy", **more: Any) -> Request:
    return Request(
        "openai", SPEECH, {"model": "tts-1", "input": text, "voice": voice, "response_format": "wav", **more}
    )


def tone(text: str, kind: str = "WAV", seconds: float = 0.3) -> bytes:
    """A hum whose pitch is the text's own."""
    at = np.arange(int(24_000 * seconds)) / 24_000
    samples = 0.1 * np.sin(2 * np.pi * (200 + sum(map(ord, text)) % 800) * at)
    out = io.BytesIO()
    soundfile.write(out, samples.astype(np.float32), 24_000, format=kind)
    return out.getvalue()


def streamed(wav: bytes) -> bytes:
    """As OpenAI sends it, before it knows how long it will be."""
    return wav[:4] + b"\xff" * 4 + wav[8:40] + b"\xff" * 4 + wav[44:]


def audio(data: bytes, kind: str | None = "audio/wav") -> Reply:
    return Reply(data, headers=(("Content-Type", kind),) if kind else ())


def said(seen: Seen) -> Reply:
    """A script: every text is spoken."""
    assert seen.path == f"/v1/{SPEECH}"
    return audio(tone(seen.body["input"]))


class LoopAsks:
    """The `Asks` service of one process: an asker in a loop of its own, as the actor of a build has it."""

    def __init__(self, base_url: str, folder: Path, key: str | None, fields: dict[str, Any], seal_every: float) -> None:
        self.settings = OpenAiTts(kind="openai", model="tts-1", voices=["alloy"], base_url=base_url, **fields)
        self.ledger = Ledger(Store(folder))
        self.told: Counter[str] = Counter()
        self._key, self._seal_every = key, seal_every

    async def open(self) -> None:
        settings = self.settings
        self.ledger.refresh()
        self.client = Client(settings.base_url, self._key, settings.timeout, settings.concurrency, settings.part)
        purpose = Purpose("build", uuid4().hex)
        send = self.client.send
        self.asker = Asker(send, self.ledger, settings, purpose, self.told.update, 0.05, self._seal_every)
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        await self.asker.close()
        await self.client.close()

    def ask(self, requests: Sequence[Request]) -> list[Entry]:
        return asyncio.run_coroutine_threadsafe(self.asker.ask(requests), self._loop).result()

    def media(self, entry: Entry) -> bytes:
        return self.ledger.media(entry)


@contextmanager
def asks(base_url: str, folder: Path, key: str | None = KEY, seal_every: float = 0.002, **fields: Any) -> Iterator[Any]:
    """A LoopAsks over the ledger in `folder`."""
    service = LoopAsks(base_url, folder, key, fields, seal_every)
    with asyncio.Runner() as runner:
        ready, done = threading.Event(), threading.Event()

        async def live() -> None:
            await service.open()
            ready.set()
            await asyncio.to_thread(done.wait)
            await service.close()

        thread = threading.Thread(target=lambda: runner.run(live()), daemon=True)
        thread.start()
        assert ready.wait(30)
        try:
            yield service
        finally:
            done.set()
            thread.join(30)
            assert not thread.is_alive()


def once(reply: Reply) -> Callable[[Seen], Reply]:
    """A script: each text meets `reply` first, and is spoken when it is asked for again."""
    return lambda seen: reply if seen.times == 1 else said(seen)
