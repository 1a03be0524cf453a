"""How fast requests may start: the recipe's limits a minute, and what the server asks for."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

WINDOW = 61.0
"""Seconds that count as a minute. One more than it has: requests that start a minute apart may arrive sooner."""
SLACK = 1.0
"""Seconds by which requests may start before the even pace is due, so that late wake-ups cost nothing. Some providers
count by the second, too."""
LONGEST_PAUSE = 3600.0
"""Seconds that a server may ask everybody to stay away; a longer wish is cut."""
_SPAN = re.compile(
    r"(?:([0-9]{1,9}(?:\.[0-9]+)?)h)?(?:([0-9]{1,9}(?:\.[0-9]+)?)m)?"
    r"(?:([0-9]{1,9}(?:\.[0-9]+)?)s)?(?:([0-9]{1,9}(?:\.[0-9]+)?)ms)?"
)
_SECONDS = (3600.0, 60.0, 1.0, 0.001)
_COUNT = re.compile(r"[0-9]{1,15}(?:\.[0-9]+)?")


class Limits:
    """Requests and tokens a minute for the whole build, and the server's own wish to be left alone.

    Requests start at an even pace, and in no minute are there more of them, or of their tokens, than the limits say.
    Belongs to one event loop. `clock`: seconds, never going back.
    """

    def __init__(
        self,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._most_requests, self._most_tokens = requests_per_minute, tokens_per_minute
        self._clock, self._sleep = clock, sleep
        self._line = asyncio.Lock()
        self._started: deque[tuple[float, int]] = deque()
        self._tokens = 0
        self._due = self._until = clock()

    async def turn(self, tokens: int) -> None:
        """Wait until one more request of about so many tokens, in and out, may start: first come, first served.

        One that is larger than the limit has a minute to itself.
        """
        async with self._line:
            while (left := self._may_start(tokens) - self._clock()) > 0:
                await self._sleep(left)
            self._note(tokens)

    def pause(self, seconds: float) -> None:
        """Nobody starts for so long, an hour at most."""
        if seconds > 0:
            self._until = max(self._until, self._clock() + min(seconds, LONGEST_PAUSE))

    def observe(self, headers: Mapping[str, str]) -> None:
        """Pause until the reset, where the headers of an answer (names in lower case) say that nothing is left."""
        for kind in ("requests", "tokens"):
            remaining = headers.get(f"x-ratelimit-remaining-{kind}", "").strip()
            if _COUNT.fullmatch(remaining) and float(remaining) < 1:
                self.pause(_span(headers.get(f"x-ratelimit-reset-{kind}", "")))

    def _may_start(self, tokens: int) -> float:
        """When, as far as is known now: never too late, but it may turn out too early."""
        now = self._clock()
        while self._started and self._started[0][0] + WINDOW <= now:
            self._tokens -= self._started.popleft()[1]
        full = self._most_requests is not None and len(self._started) >= self._most_requests
        dear = self._most_tokens is not None and self._tokens + tokens > self._most_tokens
        room = self._started[0][0] + WINDOW if self._started and (full or dear) else now
        return max(self._until, self._due - SLACK, room)

    def _note(self, tokens: int) -> None:
        if self._most_requests is None and self._most_tokens is None:
            return
        now = self._clock()
        self._started.append((now, tokens))
        self._tokens += tokens
        share = max(1 / self._most_requests if self._most_requests else 0, tokens / (self._most_tokens or float("inf")))
        self._due = max(self._due, now) + share * WINDOW


def _span(text: str) -> float:
    """Seconds of "1s", "6m0s", "120ms", "1h2m"; 0 of anything else."""
    found = _SPAN.fullmatch(text.strip())
    return sum(float(n) * unit for n, unit in zip(found.groups(), _SECONDS, strict=True) if n) if found else 0.0
