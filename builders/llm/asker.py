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
from typing import Any

from builders.llm.ledger import Ledger
from builders.llm.limits import Limits
from builders.llm.money import Budget, about_prompt, bound, cost, most_tokens_out
from builders.llm.outcomes import Sent
from builders.llm.request import Entry, Purpose, Request
from schemas.errors import BuildError
from schemas.llm import OpenAiLlm, Price

SEAL_EVERY = 0.1
"""Seconds from one sealed file to the next, at least: answers that come meanwhile wait for it."""
MERGE_AT = 64
"""Small files in the ledger after which they become one."""
BACKOFF = 1.0
"""Seconds before the second try; twice as many before each further one, more or less by half."""
LONGEST_BACKOFF = 60.0
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
        settings: OpenAiLlm,
        purpose: Purpose,
        tell: Tell,
        patience: float = PATIENCE,
        seal_every: float = SEAL_EVERY,
    ) -> None:
        self._send, self._ledger, self._settings, self._purpose, self._tell = send, ledger, settings, purpose, tell
        self._patience, self._seal_every = patience, seal_every
        self._places = asyncio.Semaphore(settings.concurrency)
        self._limits = Limits(settings.requests_per_minute, settings.tokens_per_minute, sleep=self._sleep)
        self._budget = Budget(settings.max_usd, ledger.totals(purpose.build).usd)
        self._pending: dict[str, asyncio.Future[Entry]] = {}
        self._unsealed: list[tuple[Entry, asyncio.Future[None] | None]] = []
        self._news, self._settled = asyncio.Event(), asyncio.Event()
        self._stopped: BuildError | None = None
        self._answered = self._reached = self._closing = False
        self._refused = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._merging: asyncio.Task[None] | None = None
        self._sealing = asyncio.create_task(self._keep_sealing())

    async def ask(self, requests: Sequence[Request]) -> list[Entry]:
        """The answer to each request, or the last attempt at it that failed; from the ledger where it is there.

        Raises BuildError where asking on is of no use: the key is refused, the money is spent. What was in flight by
        then has been waited for, and is in the ledger.
        """
        loop = asyncio.get_running_loop()
        mine = {r.hash: r for r in requests if r.hash not in self._pending}
        self._pending |= {key: loop.create_future() for key in mine}
        wanted = {r.hash: self._pending[r.hash] for r in requests}
        if mine:
            self._start(self._begin(mine))
        if wanted:  # not gather, which would cancel the futures with this call: others may wait for them
            await asyncio.wait(set(wanted.values()))
        self._go_on()
        return [wanted[request.hash].result() for request in requests]

    async def _begin(self, requests: Mapping[str, Request]) -> None:
        """Answer from the ledger what is in it, and start to ask the rest."""
        known: dict[str, Entry] = {}
        try:
            known = await asyncio.to_thread(self._ledger.find, list(requests))
        except BuildError as error:
            self._stop(error)
        for entry in known.values():
            self._pending.pop(entry.hash).set_result(entry)
            if entry.run != self._purpose.run:
                self._tell({"from_ledger": 1, "saved_usd": entry.usd or 0.0})
        for key, request in requests.items():
            if key not in known:
                self._start(self._answer(request))

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
        self._closing = True
        self._news.set()
        await self._sealing
        if self._merging:
            await asyncio.wait([self._merging])
        await asyncio.to_thread(self._ledger.merge)

    def _stop(self, error: BuildError) -> None:
        self._stopped = self._stopped or error
        self._settled.set()

    async def _answer(self, request: Request) -> None:
        future = self._pending[request.hash]
        try:
            entry = await self._tried(request)
        except Exception as error:
            future.set_exception(error)
            future.exception()  # whoever waits reads `_stopped`: it shall not be warned of as never retrieved
            if not isinstance(error, BuildError):
                self._stop(BuildError(f"llm: {type(error).__name__}: {error}"))
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
                self._stop(BuildError(f"llm: {sent.detail}"))
            if not sent.retry:
                return entry
            busy = sent.outcome == "rate_limited"
            failures += not busy
            busy_since = (busy_since or time.monotonic()) if busy else None
            if failures > self._settings.retries or (busy_since and time.monotonic() - busy_since > self._patience):
                if sent.outcome == "no_connection" and not self._reached:
                    self._stop(BuildError(f"llm.base_url: no server answers there: {sent.detail}; is it running?"))
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
        """A place among those in flight, when limits and budget allow; gives the dollars that are set aside."""
        price = self._settings.price
        most = bound(price, request) if price else 0.0
        about = about_prompt(request) + (most_tokens_out(request.body) or GUESSED_OUT)
        async with self._places:
            self._go_on()
            await self._limits.turn(about)
            await self._reserve(most)
            yield most

    async def _reserve(self, usd: float) -> None:
        while True:
            self._go_on()
            if self._budget.reserve(usd):
                return
            if not self._budget.flying:
                self._stop(BuildError(self._spent(usd)))
            else:
                self._settled.clear()
                await self._settled.wait()

    def _go_on(self) -> None:
        if self._stopped:
            raise self._stopped

    def _spent(self, usd: float) -> str:
        return (
            f"llm.max_usd: {self._budget.spent:.4f} of {self._settings.max_usd} US dollars are spent, and the next "
            f"request may cost up to {usd:.4f}. What was answered is in the ledger: raise llm.max_usd and run the same "
            "command again"
        )

    async def _attempt(self, request: Request, reserved: float) -> tuple[Entry, Sent]:
        at, began = datetime.datetime.now(datetime.UTC), time.monotonic()
        usd = reserved
        try:
            sent = await self._send(request)
            entry = entry_of(sent, request, self._purpose, self._settings.price, at, time.monotonic() - began)
            self._limits.observe(sent.headers)
            await self._note(entry)
            usd = self._counted(entry, sent, reserved)
        finally:
            self._budget.settle(reserved, usd)
            self._settled.set()
        unpriced = entry.answered and entry.usd is None
        self._tell({"asked": 1, "answers": int(entry.answered), "unpriced": int(unpriced), "usd": entry.usd or 0.0})
        self._answered |= entry.answered
        self._reached |= sent.status is not None
        return entry, sent

    def _counted(self, entry: Entry, sent: Sent, reserved: float) -> float:
        """What an attempt counts for in the budget: an answer that did not arrive may have been billed all the same."""
        if entry.usd is not None:
            return entry.usd
        if entry.answered and self._settings.max_usd is not None:
            self._stop(BuildError("llm.max_usd: the endpoint tells no usage, so what is spent is not known; unset it"))
        return reserved if entry.answered or sent.outcome in ("timeout", "garbled") else 0.0

    async def _note(self, entry: Entry) -> None:
        """Into the ledger; an answer is waited for until it is sealed."""
        sealed = asyncio.get_running_loop().create_future() if entry.answered else None
        self._unsealed.append((entry, sealed))
        self._news.set()
        if sealed:
            await sealed

    async def _keep_sealing(self) -> None:
        while self._unsealed or not self._closing:
            await self._news.wait()
            self._news.clear()
            batch, self._unsealed = self._unsealed, []
            try:
                await asyncio.to_thread(self._ledger.seal, [entry for entry, _ in batch])
            except BuildError as error:
                self._stop(error)
            for _, sealed in batch:
                if sealed and not sealed.done():
                    sealed.set_result(None)
            if self._ledger.small >= MERGE_AT and (self._merging is None or self._merging.done()):
                self._merging = asyncio.create_task(self._merge())
            if not self._closing:
                await asyncio.sleep(self._seal_every)

    async def _merge(self) -> None:
        try:
            await asyncio.to_thread(self._ledger.merge)
        except BuildError as error:
            self._stop(error)


def entry_of(
    sent: Sent, request: Request, purpose: Purpose, price: Price | None, at: datetime.datetime, seconds: float
) -> Entry:
    """An attempt as the ledger keeps it."""
    return Entry(
        id=uuid.uuid4().hex,
        hash=request.hash,
        asked_at=at,
        build=purpose.build,
        run=purpose.run,
        provider=request.provider,
        model=sent.model or request.model,
        outcome=sent.outcome,
        status=sent.status,
        text=sent.text,
        finish_reason=sent.finish_reason,
        tokens_in=sent.tokens_in,
        tokens_out=sent.tokens_out,
        tokens_cached=sent.tokens_cached,
        usd=cost(price, sent.tokens_in, sent.tokens_out, sent.tokens_cached),
        seconds=round(seconds, 3),
        request_id=sent.request_id,
        detail=sent.detail,
    )
