"""How builders agree on who builds: the steps by which a lease is taken, one operation of the store each.

A lease is a file of one builder alone, which it refreshes while it lives. Nothing is asked of the store but that a file
is there whole once it is put, and that a listing shows it from then on (S3, GCS, Azure and disks all do).

To take the lease: put one's own file, then list. Where nobody else's is alive, it is taken. Where another's is, and is
refreshed while one looks, one's own is withdrawn: the other holds it, or withdraws likewise and both try again, each
after a random while. Dead is what was put LASTS seconds before one's own file, by the times that the store gives both,
and what did not change in LASTS seconds of looking, whatever its time says: a clock may have been set back. No machine
is asked for the time of day. Of two who put and then list, one put second, so its listing shows the first.

For LASTS seconds others take one's own file for alive, so whoever signs SPARE seconds before that displaces nobody.

So whoever refreshes in time is let alone. A machine that sleeps, a store that is silent and a clock that jumps can make
a holder look dead that is not: the lease alone protects no file. That does the signature (builders.shards.lease): who
has taken the lease signs, and every file appears or goes only where the last signature is still one's own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

LASTS, SPARE, LOOK = 60.0, 15.0, 3.0
"""Seconds: of a lease that is not refreshed; kept back of them by who takes it; between two looks at another's."""
TRIES = 4
"""Of builders that began at once, until one has it."""
SILENT = 4
"""Looks at another's lease after which it is told that it is not refreshed: a holder does so every three or four."""


@dataclass(frozen=True)
class Put:
    """Write one's own file, as that of a try. Answered by nothing."""

    name: str


@dataclass(frozen=True)
class List:
    """Answered by when each file was put, by the store's clock: name -> seconds."""


@dataclass(frozen=True)
class Ask:
    """Who a file is of. Answered by a mapping of plain values, empty where it is gone or no lease."""

    name: str


@dataclass(frozen=True)
class Delete:
    """Answered by nothing."""

    name: str


@dataclass(frozen=True)
class Wait:
    """Answered by nothing, after about so many seconds. `on`: whose lease may expire meanwhile."""

    seconds: float
    on: Mapping[str, Any] | None = None


Op = Put | List | Ask | Delete | Wait
Ended = Callable[[Mapping[str, Any]], bool]
"""Whether the process that a lease is of is known to be no more."""


class Taken(Exception):
    """Somebody else holds the lease; `args[0]` tells who."""


@dataclass(frozen=True)
class Free:
    """The lease may be taken, by who signs before `until`, a time of its clock. `dead`: the files of those who held or
    tried it."""

    until: float
    dead: tuple[str, ...]


def take(name: str, clock: Callable[[], float], ended: Ended, dice: random.Random) -> Generator[Op, Any, Free]:
    """The steps by which a builder whose file is `name` takes the lease.

    `clock` counts seconds. Raises Taken, with its own file withdrawn.
    """
    who: Mapping[str, Any] = {}
    for _ in range(TRIES):
        first: dict[str, tuple[float, float]] = {}  # of another's file: its time at the first look, and when that was
        looks = 0
        while True:
            began = clock()
            yield Put(name)
            times = yield List()
            others = yield from _alive(name, times, ended)
            now = clock()
            refreshed = [other for other in others if first.setdefault(other, (times[other], now))[0] != times[other]]
            if refreshed:
                break
            until = began + LASTS - SPARE
            if name in times and now < until and all(now - first[one][1] >= LASTS for one in others):
                return Free(until, tuple(other for other in times if other != name))
            if others:
                looks += 1
                who = yield Ask(min(others))
                yield Wait(LOOK, who if looks > SILENT else None)
        for other in refreshed:
            who = yield Ask(other)
            if who.get("held"):
                yield Delete(name)
                raise Taken(who)
        yield Delete(name)
        yield Wait(LOOK * (1 + 4 * dice.random()))
    raise Taken(who)


def _alive(name: str, times: Mapping[str, float], ended: Ended) -> Generator[Op, Any, list[str]]:
    """The others that may hold the lease; all of them where one's own file is gone, by which the time is told."""
    now = times.get(name)
    found = []
    for other, at in times.items():
        if other != name and (now is None or now - at < LASTS) and not ended((yield Ask(other))):
            found.append(other)
    return found
