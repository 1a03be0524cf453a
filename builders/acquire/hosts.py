"""How many requests run at once at each host, over all workers of a cluster.

`HostLimits` is the account, one for the whole cluster; a worker renews its claims there, many hosts in one call. Its
share of a host stays with a worker while it has URLs there, so that a busy host is not asked for anew for each one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

FORGET = 30.0
"""Seconds after which a worker that is not heard of counts as dead, and its claims as free."""
LONGEST_PAUSE = 300.0
"""Seconds that a host may ask everybody to stay away; a longer wish is cut."""


@dataclass(frozen=True)
class Claim:
    """What a worker has at one host: requests `running` now, and those together with the ones that wait."""

    running: int
    wanted: int


@dataclass(frozen=True)
class Grant:
    """What it may have: `allowed` requests running at once, none before `pause` seconds have passed."""

    allowed: int
    pause: float = 0.0


class Hosts(Protocol):
    """The account, wherever it lies."""

    def renew(
        self, worker: str, per_host: int, claims: Mapping[str, Claim], pauses: Mapping[str, float]
    ) -> Mapping[str, Grant]:
        """Replace a worker's claims; one for each host that it has to do with, none for the others.

        `pauses`: seconds for which hosts have asked to be left alone. Returns a grant for each claim. Until it is
        there, the worker runs no more requests at any host than it claimed.
        """


@dataclass
class _Share:
    claim: Claim
    allowed: int

    @property
    def taken(self) -> int:
        return max(self.claim.running, self.allowed)


@dataclass
class HostLimits:
    """The account itself. `clock`: seconds, never going back."""

    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, float] = field(default_factory=dict)
    _shares: dict[str, dict[str, _Share]] = field(default_factory=dict)
    _hosts_of: dict[str, set[str]] = field(default_factory=dict)
    _until: dict[str, float] = field(default_factory=dict)

    def renew(
        self, worker: str, per_host: int, claims: Mapping[str, Claim], pauses: Mapping[str, float]
    ) -> dict[str, Grant]:
        """See Hosts. At no moment do the workers that are heard of run more than `per_host` requests at a host."""
        now = self.clock()
        self._seen[worker] = now
        for dead in [name for name, seen in self._seen.items() if now - seen > FORGET]:
            self._release(dead, ())
            del self._seen[dead]
            self._hosts_of.pop(dead, None)
        self._release(worker, claims)
        for host, seconds in pauses.items():
            self._until[host] = max(self._until.get(host, 0.0), now + min(seconds, LONGEST_PAUSE))
        self._until = {host: until for host, until in self._until.items() if until > now}
        return {host: self._grant(worker, host, claim, per_host, now) for host, claim in claims.items()}

    def _release(self, worker: str, but: Mapping[str, Claim] | tuple[()]) -> None:
        for host in [host for host in self._hosts_of.get(worker, ()) if host not in but]:
            self._hosts_of[worker].discard(host)
            del self._shares[host][worker]
            if not self._shares[host]:
                del self._shares[host]

    def _grant(self, worker: str, host: str, claim: Claim, per_host: int, now: float) -> Grant:
        self._hosts_of.setdefault(worker, set()).add(host)
        shares = self._shares.setdefault(host, {})
        mine = shares.setdefault(worker, _Share(claim, 0))
        mine.claim = claim
        others = sum(share.taken for name, share in shares.items() if name != worker)
        fair = _fair({name: share.claim.wanted for name, share in shares.items()}, per_host)[worker]
        mine.allowed = max(0, min(fair, per_host - others))
        return Grant(mine.allowed, max(0.0, self._until.get(host, 0.0) - now))


def _fair(wanted: Mapping[str, int], total: int) -> dict[str, int]:
    """`total` shared out evenly, nobody getting more than wanted; what is left over goes to who came first."""
    given = dict.fromkeys(wanted, 0)
    open_ = [name for name, want in wanted.items() if want]
    while total and open_:
        each = max(1, total // len(open_))
        for name in open_:
            more = min(each, wanted[name] - given[name], total)
            given[name] += more
            total -= more
        open_ = [name for name in open_ if given[name] < wanted[name]]
    return given
