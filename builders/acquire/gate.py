"""A worker's side of the limits at hosts: which request may start, and which waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from builders.acquire.hosts import Claim, Grant, Hosts

POLL = 0.1
"""Seconds after which a worker that waits for a share of a host asks again."""
PATIENCE = 3
"""Times in a row that a host may ask us to wait; then nobody waits for it any more."""
LONGEST_WAIT = 60.0
"""Seconds that a host may make us wait (Retry-After); one that asks for more is left for a later run."""
UNPROVEN = 2
"""Requests at once to a host that has not answered yet, or not the last time: many slow ones must not fill the room."""
HEARTBEAT = 5.0
"""Seconds after which one that waits for nothing tells that it is alive."""


class TurnedAway(Exception):
    """The host has asked to wait too often in a row, or for too long."""


@dataclass
class _Host:
    running: int = 0
    allowed: int = 0
    refusals: int = 0
    proven: bool = False
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    @property
    def idle(self) -> bool:
        return not self.running and not self.waiting

    def wake(self) -> None:
        """Let those in that may start now."""
        while self.waiting and self.running < (self.allowed if self.proven else min(self.allowed, UNPROVEN)):
            turn = self.waiting.popleft()
            if not turn.done():
                self.running += 1
                turn.set_result(None)


class HostGate:
    """Lets requests through, host by host. `worker` names this one; `per_host`: requests at once, of all workers.

    Belongs to one event loop, in which `keep` must run.
    """

    def __init__(self, hosts: Hosts, worker: str, per_host: int) -> None:
        self._hosts, self._worker, self._per_host = hosts, worker, per_host
        self._known: dict[str, _Host] = {}
        self._pauses: dict[str, float] = {}
        self._asked = asyncio.Event()
        self._line = ThreadPoolExecutor(1, "hosts")  # its own: name look-ups may fill the loop's for minutes

    @asynccontextmanager
    async def at(self, host: str) -> AsyncIterator[None]:
        """While one request runs at `host`; waits until it may start. Raises TurnedAway."""
        here = self._known.setdefault(host, _Host())
        if here.refusals >= PATIENCE:
            raise TurnedAway
        turn = asyncio.get_running_loop().create_future()
        here.waiting.append(turn)
        here.wake()
        if not turn.done():
            self._asked.set()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and not turn.exception():  # let in and cancelled at once
                self._leave(here)
            raise
        try:
            yield
            here.proven, here.refusals = True, here.refusals if here.refusals >= PATIENCE else 0
        finally:
            self._leave(here)

    def failed(self, host: str, answered: bool) -> None:
        """The request that runs at `host` has failed, with an answer that says so or without any."""
        self._known[host].proven = answered

    def pause(self, host: str, seconds: float) -> None:
        """Nobody shall ask `host` for so long; for a request that runs there."""
        here = self._known[host]
        here.refusals += here.allowed > 0  # those that ran beside the first one do not count again
        here.allowed = 0
        if here.refusals >= PATIENCE or seconds > LONGEST_WAIT:
            self._close(here)
        self._pauses[host] = max(seconds, self._pauses.get(host, 0.0))
        self._asked.set()

    def _close(self, here: _Host) -> None:
        """Nobody here asks the host any more, or waits for it."""
        here.refusals = PATIENCE
        for turn in here.waiting:
            if not turn.done():
                turn.set_exception(TurnedAway())
        here.waiting.clear()

    async def keep(self) -> None:
        """Renews the claims for as long as it runs."""
        loop = asyncio.get_running_loop()
        while True:
            self._asked.clear()
            claims = {host: Claim(here.running, here.running + len(here.waiting)) for host, here in self._busy()}
            for here in self._known.values():  # until the answer is there, no more may run than the account is told
                here.allowed = min(here.allowed, here.running)
            pauses, self._pauses = self._pauses, {}
            grants = await loop.run_in_executor(self._line, self._renew, claims, pauses)
            for host, grant in grants.items():
                here = self._known[host]
                if grant.pause > LONGEST_WAIT:
                    self._close(here)
                here.allowed = 0 if grant.pause or host in self._pauses else grant.allowed
                here.wake()
            hungry = any(here.waiting for here in self._known.values())
            with suppress(TimeoutError):  # not wait_for: before Python 3.12 it may swallow a cancellation
                async with asyncio.timeout(POLL if hungry else HEARTBEAT):
                    await self._asked.wait()

    def give_up(self) -> None:
        """Tell that nothing runs any more, after what is on its way; blocks for the answer."""
        try:
            self._line.submit(self._renew, {}, {}).result()
        finally:
            self._line.shutdown()

    def _renew(self, claims: Mapping[str, Claim], pauses: Mapping[str, float]) -> Mapping[str, Grant]:
        return self._hosts.renew(self._worker, self._per_host, claims, pauses)

    def _busy(self) -> list[tuple[str, _Host]]:
        return [(host, here) for host, here in self._known.items() if not here.idle]

    def _leave(self, here: _Host) -> None:
        here.running -= 1
        here.wake()
        if here.idle:
            self._asked.set()  # its share is another worker's from now on
