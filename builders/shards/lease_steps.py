"""How builders agree on who builds: the steps by which a lease is taken and kept, one operation of the store each.

A lease is a file of one builder alone. Nothing is asked of the store but that a file is there whole once it is put, and
that a listing shows it from then on (S3, GCS, Azure and disks all do).

To take the lease: put one's own file, then list. Where nobody else's is alive, it is held. Where another's is, and is
refreshed while one looks, one's own is withdrawn: the other holds it, or withdraws likewise and both try again, each
after a random while. Alive is what was put within LASTS seconds before one's own file, by the times that the store
gives both; no machine is asked for the time of day.

Why two never trust it at once. Of two who put and then list, one put second, so its listing shows the first, which it
takes for dead only if LASTS seconds lie between the two puts. But whoever holds a lease trusts it for LASTS - SPARE
seconds from the moment before its last put, by a clock that only counts; SPARE covers that stores give whole seconds,
and what their own clocks differ by. After a longer sleep it puts its file again and lists: if anybody else is alive
there, it has lost. Either it put before the other listed, who then saw it alive, or its own listing shows the other.
Where nobody is, somebody may have come and gone. Whoever takes the lease leaves a trace before it does anything else
(it writes the dataset's claim anew); who finds another's trace after a sleep has lost, too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

LASTS, SPARE, LOOK = 60.0, 15.0, 3.0
"""Seconds: of a lease that is not refreshed; kept back of them; between two looks at another's."""
TRIES = 4
"""Of builders that began at once, until one has it."""
SILENT = 4
"""Looks at another's lease after which it is told that it is not refreshed: a holder does so every three or four."""


@dataclass(frozen=True)
class Put:
    """Write one's own file. `held` tells others whether it is a try. Answered by nothing."""

    name: str
    held: bool


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


@dataclass(frozen=True)
class Trace:
    """Answered by whether the last trace is still one's own."""


Op = Put | List | Ask | Delete | Wait | Trace
Ended = Callable[[Mapping[str, Any]], bool]
"""Whether the process that a lease is of is known to be no more."""


class Taken(Exception):
    """Somebody else holds the lease; `args[0]` tells who."""


def take(name: str, clock: Callable[[], float], ended: Ended, dice: random.Random) -> Generator[Op, Any, float]:
    """The steps by which a builder whose file is `name` takes the lease. Returns since when, by `clock`, it is trusted.

    `clock` counts seconds. Raises Taken, with its own file withdrawn.
    """
    who: Mapping[str, Any] = {}
    for _ in range(TRIES):
        first: dict[str, float] = {}
        looks = 0
        while True:
            began = clock()
            yield Put(name, held=False)
            times = yield List()
            others = yield from _alive(name, times, ended)
            if name in times and not others and clock() - began < LASTS - SPARE:
                return began
            refreshed = [other for other in others if first.setdefault(other, times[other]) != times[other]]
            if refreshed:
                break
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


def refresh(name: str, since: float, clock: Callable[[], float], ended: Ended) -> Generator[Op, Any, float]:
    """The steps by which a holder that trusted its lease since `since` goes on. Returns since when it does now.

    Raises Taken where it slept too long, and somebody else is alive, or has left a trace.
    """
    began = clock()
    yield Put(name, held=True)
    if clock() - since < LASTS - SPARE:  # of the last put: nobody can have taken it for dead before this one
        return began
    times = yield List()
    for other in (yield from _alive(name, times, ended)):
        who = yield Ask(other)
        yield Delete(name)
        raise Taken(who)
    if not (yield Trace()):
        yield Delete(name)
        raise Taken({})
    if clock() - began < LASTS - SPARE:
        return began
    return (yield from refresh(name, since, clock, ended))


def expired(name: str, times: Mapping[str, float]) -> list[str]:
    """The files of those who must look again before they trust theirs: the one whose file is `name` may delete them."""
    return [other for other, at in times.items() if name in times and times[name] - at >= LASTS]


def _alive(name: str, times: Mapping[str, float], ended: Ended) -> Generator[Op, Any, list[str]]:
    """The others that may hold the lease; all of them where one's own file is gone, by which the time is told."""
    now = times.get(name)
    found = []
    for other, at in times.items():
        if other != name and (now is None or now - at < LASTS) and not ended((yield Ask(other))):
            found.append(other)
    return found
