"""Many URLs at once: fetched in a thread of its own, handed over one by one as they come.

Whoever takes them may be slower: at most `connections` bodies wait in memory.
"""

from __future__ import annotations

import asyncio
import queue
import random
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp

from builders.acquire.answers import Again, Refused
from builders.acquire.client import Manners, fetch, open_session
from builders.acquire.gate import LONGEST_WAIT, HostGate, TurnedAway
from builders.acquire.hosts import Hosts
from builders.acquire.outage import UNANSWERED
from builders.step import Failed, Rejected

BACKOFF = 1.0
"""Seconds before the second try; twice as many before each further one, more or less by half."""
LOOKUPS = 64
"""Names looked up at once; the system's resolver holds a thread for each."""


@dataclass(frozen=True)
class Pace:
    """How often, and how many at once: see schemas.fetch.Fetch."""

    retries: int
    connections: int
    per_host: int


Outcome = bytes | Rejected | Failed


def download(urls: Sequence[str], manners: Manners, pace: Pace, hosts: Hosts) -> Iterator[tuple[str, Outcome]]:
    """Each of `urls`, which differ from each other, with what became of it, in the order in which they end.

    Every URL ends: after `retries` tries of `manners.max_seconds`, the waits between them, and the wait for its host.
    """
    work = _Work(urls, manners, pace, hosts)
    thread = threading.Thread(target=work.run, name="download", daemon=True)
    thread.start()
    try:
        for _ in urls:
            found = work.found.get()
            if isinstance(found, BaseException):
                raise found
            yield found
            if isinstance(found[1], bytes):
                work.taken()
    finally:
        work.stop()
        thread.join()


class _Work:
    """The thread's side: an event loop that ends when every URL has."""

    def __init__(self, urls: Sequence[str], manners: Manners, pace: Pace, hosts: Hosts) -> None:
        self._urls, self._manners, self._pace = urls, manners, pace
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(LOOKUPS, "lookup"))
        self._gate = HostGate(hosts, uuid.uuid4().hex, pace.per_host)
        self._room = asyncio.Semaphore(pace.connections)
        self._main = self._loop.create_task(self._fetch_all())
        self.found: queue.SimpleQueue[tuple[str, Outcome] | BaseException] = queue.SimpleQueue()

    def run(self) -> None:
        """Until all is fetched, or `stop`. What goes wrong here is raised by whoever takes the outcomes."""
        try:
            self._loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self.found.put(error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error)
        finally:
            self._loop.close()

    def taken(self) -> None:
        """A body has been dealt with: there is room for another."""
        self._call(self._room.release)

    def stop(self) -> None:
        """End at once."""
        self._call(self._main.cancel)

    def _call(self, what: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what)

    async def _fetch_all(self) -> None:
        try:
            async with (
                open_session(self._manners) as first,
                open_session(self._manners, reuse=False) as further,
                asyncio.TaskGroup() as group,
            ):
                keep = group.create_task(self._gate.keep())
                await asyncio.gather(*(group.create_task(self._fetch(url, first, further)) for url in self._urls))
                keep.cancel()
        finally:
            self._gate.give_up()

    async def _fetch(self, url: str, first: aiohttp.ClientSession, further: aiohttp.ClientSession) -> None:
        for number in range(self._pace.retries + 1):
            session = further if number else first
            try:
                self.found.put((url, await fetch(session, url, self._manners, self._turn)))
                return
            except Refused as refused:
                self.found.put((url, Rejected(refused.reason, refused.detail)))
                return
            except TurnedAway:
                self.found.put((url, Failed("host_busy", "its host asks to wait, again and again or for long")))
                return
            except Again as again:
                own = min(BACKOFF * 2**number * random.uniform(0.5, 1.5), LONGEST_WAIT)
                wait = own if again.after is None else again.after
                if number == self._pace.retries or wait > LONGEST_WAIT:
                    self.found.put((url, (Failed if again.failed else Rejected)(again.reason, again.detail)))
                    return
            await asyncio.sleep(wait)

    @asynccontextmanager
    async def _turn(self, host: str) -> AsyncIterator[None]:
        """Around one request. The room of one that brings a body stays taken until the body has been dealt with."""
        async with self._gate.at(host):
            await self._room.acquire()
            try:
                yield
            except BaseException as error:
                self._room.release()
                self._gate.failed(host, not (isinstance(error, Again) and error.reason in UNANSWERED))
                if isinstance(error, Again) and error.after:
                    self._gate.pause(host, error.after)
                raise
