"""Asks a model many things at once, within limits and budget, and pays for no answer twice.

An answered request keeps its place among the `concurrency` in flight until its answer is in a sealed file of the
ledger: what a kill can lose is never more than what may be in flight.
"""

from __future__ import annotations

import asyncio
import datetime
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from builders.llm.ledger import Ledger
from builders.llm.limits import Limits
from builders.llm.money import Budget, about_prompt, billed, bound, most_tokens_out
from builders.llm.outcomes import Sent
from builders.llm.request import Entry, Purpose, Request
from builders.llm.sealing import Sealer
from schemas.endpoint import Endpoint
from schemas.errors import BuildError

SEAL_EVERY = 0.1
"""Seconds from one sealed file to the next, at least: answers that come meanwhile wait for it."""
LOOK_EVERY = 2.0
"""Seconds after which the ledger is looked at again for what other builds have written into it."""
BACKOFF = 1.0
"""Seconds before the second try; twice as many before each further one, more or less by half."""
LONGEST_BACKOFF = 60.0
NOT_ANSWERED = "not_answered"
"""The outcome of a request that nobody was asked: the ledger, which batches have filled, has no answer to it."""
PATIENCE = 600.0
"""Seconds for which a request is asked again while the server says that it is asked too often (429)."""
REFUSED = 5
"""Requests that may be refused one by one (400, 422) before any is answered; more, and all would be."""
GUESSED_OUT = 500
"""Tokens of an answer whose length the recipe does not bound, for tokens_per_minute."""

Send = Callable[[Request], Awaitable[Sent]]
Tell = Callable[[Mapping[str, float]], None]


class Asker:
    """Belongs to one event loop. `tell` is given what happens, as amounts of named counters."""

    def __init__(
        self,
        send: Send,
        ledger: Ledger,
        settings: Endpoint,
        purpose: Purpose,
        tell: Tell,
        patience: float = PATIENCE,
        seal_every: float = SEAL_EVERY,
    ) -> None:
        self._send, self._ledger, self._settings, self._purpose, self._tell = send, ledger, settings, purpose, tell
        self._part, self._patience = settings.part, patience
        self._places = asyncio.Semaphore(settings.concurrency)
        self._limits = Limits(settings.requests_per_minute, settings.most_tokens_a_minute, sleep=self._sleep)
        before = ledger.totals(purpose.build)
        self._budget = Budget(settings.max_usd, before.usd)
        self._pending: dict[str, asyncio.Future[Entry]] = {}
        self._settled, self._ended = asyncio.Event(), asyncio.Event()
        self._stopped: BuildError | None = None
        self._answered, self._reached, self._measured, self._writable = before.answers > 0, False, False, False
        self._refused = self._longest = self._lost = 0
        self._looked = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sealer = Sealer(ledger, seal_every, self._stop)

    async def ask(self, requests: Sequence[Request]) -> list[Entry]:
        """The answer to each request, or the last attempt at it that failed; from the ledger where it is there.

        Raises BuildError where asking on is of no use: the key is refused, the money is spent. What is in flight by
        then `close` waits for.
        """
        loop = asyncio.get_running_loop()
        mine = {r.hash: r for r in requests if r.hash not in self._pending}
        self._pending |= {key: loop.create_future() for key in mine}
        wanted = {r.hash: self._pending[r.hash] for r in requests}
        if mine:
            self._start(self._begin(mine))
        await self._until_ended(set(wanted.values()))
        return [wanted[request.hash].result() for request in requests]

    async def _begin(self, requests: Mapping[str, Request]) -> None:
        """Answer from the ledger what is in it, and start to ask the rest."""
        known: dict[str, Entry] = {}
        try:
            known = await asyncio.to_thread(self._look_up, list(requests))
            if len(known) < len(requests) and not self._writable:
                await asyncio.to_thread(self._ledger.check_writable)
                self._writable = True
        except BuildError as error:
            self._stop(error)
        if lost := self._count_lost():
            self._tell({"lost_media": lost})
        for entry in known.values():
            self._pending.pop(entry.hash).set_result(entry)
            if entry.run != self._purpose.run:
                self._tell({"from_ledger": 1, "saved_usd": entry.usd or 0.0})
        for key, request in requests.items():
            if key not in known:
                self._start(self._answer(request))

    def _look_up(self, hashes: list[str]) -> dict[str, Entry]:
        if time.monotonic() - self._looked > LOOK_EVERY:
            self._ledger.refresh()
            self._looked = time.monotonic()
        return self._ledger.find(hashes)

    def _count_lost(self) -> int:
        """Media that have turned out to be lost since this was asked before."""
        before, self._lost = self._lost, len(self._ledger.lost)
        return self._lost - before

    async def _until_ended(self, futures: set[asyncio.Future[Entry]]) -> None:
        """Until all are done. Raises BuildError as soon as the build stops."""
        stop = asyncio.create_task(self._ended.wait())
        left: set[asyncio.Future[Any]] = set(futures)
        try:
            while left and not self._stopped:  # not gather: cancelled, it would cancel what others may wait for
                waits: set[asyncio.Future[Any]] = {*left, stop}
                done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                left -= done
        finally:
            stop.cancel()
        self._go_on()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """A task of its own, which goes on to its end whatever becomes of who asked."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Start nothing more, wait for what is in flight, seal it, and leave few files behind."""
        self._stop(BuildError("the build has ended"))
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._sealer.close()

    def _stop(self, error: BuildError) -> None:
        self._stopped = self._stopped or error
        self._settled.set()
        self._ended.set()

    async def _answer(self, request: Request) -> None:
        future = self._pending[request.hash]
        try:
            entry = await self._tried(request)
        except Exception as error:
            future.set_exception(error)
            future.exception()  # whoever waits reads `_stopped`: it shall not be warned of as never retrieved
            if not isinstance(error, BuildError):
                self._stop(BuildError(f"{self._part}: {type(error).__name__}: {error}"))
        else:
            future.set_result(entry)
        finally:
            self._pending.pop(request.hash, None)

    async def _tried(self, request: Request) -> Entry:
        failures, busy_since = 0, None
        while True:
            async with self._place(request) as reserved:
                entry, sent = await self._attempt(request, reserved)
            if self._is_hopeless(sent):
                self._stop(BuildError(f"{self._part}: {sent.detail}"))
            if not sent.retry:
                return entry
            busy = sent.outcome == "rate_limited"
            failures += not busy
            busy_since = (busy_since or time.monotonic()) if busy else None
            if failures > self._settings.retries or (busy_since and time.monotonic() - busy_since > self._patience):
                if sent.outcome == "no_connection" and not self._reached:
                    why = f"no server answers there: {sent.detail}; is it running?"
                    self._stop(BuildError(f"{self._part}.base_url: {why}"))
                return entry
            wait = min(BACKOFF * 2 ** min(failures, 10), LONGEST_BACKOFF) * random.uniform(0.5, 1.5)
            if sent.after is not None:
                wait = sent.after + random.uniform(0, 1)
            if busy:
                self._limits.pause(wait)
            await self._sleep(wait)

    def _is_hopeless(self, sent: Sent) -> bool:
        """Whether all requests would fare alike; so they would where the first ones are refused, whatever the words."""
        if sent.fatal:
            return sent.status != 403 or not self._answered  # one prompt may be forbidden (moderation)
        self._refused += sent.outcome == "bad_request"
        return self._refused >= REFUSED and not self._answered

    async def _sleep(self, seconds: float) -> None:
        """Raises BuildError as soon as the build stops."""
        end = time.monotonic() + seconds
        self._go_on()
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.5))
            self._go_on()

    @asynccontextmanager
    async def _place(self, request: Request) -> AsyncIterator[float]:
        """A place among those in flight, when budget and limits allow; gives the dollars that are set aside."""
        about = about_prompt(request) + (most_tokens_out(request.body) or GUESSED_OUT)
        async with self._places:
            reserved = await self._reserve(request)
            try:
                await self._limits.turn(about)
                self._go_on()
            except BaseException:
                self._settle(reserved, 0.0)
                raise
            yield reserved

    async def _reserve(self, request: Request) -> float:
        """Set aside the most that the request may cost. With a budget, the first one goes alone: it shows how long the
        endpoint's answers are."""
        price = self._settings.price
        while True:
            self._go_on()
            usd = bound(price, request, longest=self._longest) if price else 0.0
            alone = self._settings.max_usd is not None and not self._measured
            if not (alone and self._budget.flying) and self._budget.reserve(usd):
                return usd
            if not self._budget.flying:
                self._stop(BuildError(self._spent(usd)))
            else:
                self._settled.clear()
                await self._settled.wait()

    def _settle(self, reserved: float, usd: float) -> None:
        self._budget.settle(reserved, usd)
        self._settled.set()

    def _go_on(self) -> None:
        if self._stopped:
            raise self._stopped

    def _spent(self, usd: float) -> str:
        return (
            f"{self._part}.max_usd: {self._budget.spent:.4f} of {self._settings.max_usd} US dollars are spent, and the "
            f"next request may cost up to {usd:.4f}. What was answered is in the ledger: raise {self._part}.max_usd "
            "and run the same command again"
        )

    async def _attempt(self, request: Request, reserved: float) -> tuple[Entry, Sent]:
        at, began = datetime.datetime.now(datetime.UTC), time.monotonic()
        usd = reserved
        try:
            sent = await self._send(request)
            paid = billed(self._settings.price, request, sent)
            who = request.provider, request.model
            entry = sent.entry(uuid.uuid4().hex, request.hash, at, self._purpose, *who, paid)
            entry = replace(entry, seconds=round(time.monotonic() - began, 3))
            if entry.usd is None and sent.outcome in ("timeout", "garbled") and self._settings.price:
                entry = replace(entry, usd=reserved)  # it may have been billed all the same
            self._limits.observe(sent.headers)
            if entry.outcome != NOT_ANSWERED:
                sealed = self._sealer.note(entry, sent.media)
            if entry.answered:
                await sealed
                self._measure(entry)
            usd = entry.usd or 0.0
        finally:
            self._settle(reserved, usd)
        unpriced = entry.answered and entry.usd is None
        tokens = {"tokens_in": entry.tokens_in or 0, "tokens_out": entry.tokens_out or 0}
        self._tell({"asked": 1, "answers": int(entry.answered), "unpriced": int(unpriced), "usd": usd, **tokens})
        self._answered |= entry.answered
        self._reached |= sent.status is not None
        return entry, sent

    def _measure(self, entry: Entry) -> None:
        """Learn how long answers are: some endpoints do not keep to the length that they are asked for."""
        if entry.usd is None and self._settings.max_usd is not None:
            why = "the endpoint tells no usage, so what is spent is not known; unset it"
            self._stop(BuildError(f"{self._part}.max_usd: {why}"))
        self._measured = True
        self._longest = max(self._longest, entry.tokens_out or 0)
