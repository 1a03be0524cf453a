"""Answers on their way into the ledger: many in one sealed file, few files in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from builders.llm.ledger import Ledger
from builders.llm.request import Entry
from schemas.errors import BuildError

MERGE_AT = 64
"""Small files in the ledger after which they become one."""


class Sealer:
    """Belongs to one event loop. `every`: seconds from one file to the next, at least; entries that come meanwhile wait
    for it. `stop` is told why going on is of no use."""

    def __init__(self, ledger: Ledger, every: float, stop: Callable[[BuildError], None]) -> None:
        self._ledger, self._every, self._stop = ledger, every, stop
        self._waiting: list[tuple[Entry, bytes | None, asyncio.Future[None]]] = []
        self._news, self._closing = asyncio.Event(), False
        self._merging: asyncio.Task[None] | None = None
        self._sealing = asyncio.create_task(self._seal_all())

    def note(self, entry: Entry, media: bytes | None = None) -> asyncio.Future[None]:
        """Take an entry and the media that it refers to; done when both survive a kill, or when that has failed and
        `stop` has been told."""
        sealed = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, media, sealed))
        self._news.set()
        return sealed

    async def close(self) -> None:
        """Seal what waits, and leave few files behind."""
        self._closing = True
        self._news.set()
        await self._sealing
        if self._merging:
            await asyncio.wait([self._merging])
        with suppress(BuildError):  # more files than need be are no harm
            await asyncio.to_thread(self._ledger.merge)

    async def _seal_all(self) -> None:
        while self._waiting or not self._closing:
            await self._news.wait()
            self._news.clear()
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._seal, [entry for entry, *_ in batch], [media for _, media, _ in batch])
            except BuildError as error:
                self._stop(error)
            except Exception as error:  # whoever waits would wait for ever
                self._stop(BuildError(f"the ledger could not be written: {type(error).__name__}: {error}"))
            for *_, sealed in batch:
                if not sealed.done():
                    sealed.set_result(None)
            if self._ledger.small >= MERGE_AT and (self._merging is None or self._merging.done()):
                self._merging = asyncio.create_task(self._merge())
            if not self._closing:
                await asyncio.sleep(self._every)

    def _seal(self, entries: Sequence[Entry], media: Sequence[bytes | None]) -> None:
        """An entry names nothing that is not there."""
        for data in media:
            if data is not None:
                self._ledger.keep(data)
        self._ledger.seal(entries)

    async def _merge(self) -> None:
        try:
            await asyncio.to_thread(self._ledger.merge)
        except BuildError as error:
            self._stop(error)
