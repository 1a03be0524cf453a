"""Services that hold for a whole cluster, as small Ray actors."""

from __future__ import annotations

from collections.abc import Mapping

import ray

from builders.acquire.hosts import Claim, Grant, HostLimits
from schemas.errors import BuildError


class TooManyFailed(BuildError):
    """A broken stage: more failed records than the recipe allows."""


def failure_limit_passed(failed: int, seen: int, total: int, share: float) -> bool:
    """Whether `failed` of `seen` records is more than the recipe allows.

    Judged once 1,000 records (or all, where there are fewer) were seen, so that the first bad record stops nothing.
    """
    return seen >= min(total, 1000) and failed > share * seen


class Watch:
    """Counts for the whole build: what the display shows, and what stops a broken stage.

    `total` inputs in all; `start` holds what earlier runs counted.
    """

    def __init__(self, total: int, max_failed: float, start: Mapping[str, float]) -> None:
        self._total, self._share = total, max_failed
        self._counts = dict(start)

    def add(self, amounts: Mapping[str, float]) -> None:
        """Add to the named counters."""
        for name, amount in amounts.items():
            self._counts[name] = self._counts.get(name, 0) + amount

    def commit(self, amounts: Mapping[str, float]) -> bool:
        """Add a committed unit's counts; False where too many records have failed by now."""
        self.add(amounts)
        failed, seen = self._counts["failed"], self._counts["inputs"]
        return not failure_limit_passed(int(failed), int(seen), self._total, self._share)

    def read(self) -> dict[str, float]:
        return dict(self._counts)


WatchActor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=3)(Watch)


class ClusterCounters:
    """The `Counters` service in a worker: passes on to the actor without waiting."""

    def __init__(self, actor: ray.actor.ActorHandle) -> None:
        self._actor = actor

    def add(self, amounts: Mapping[str, float]) -> None:
        self._actor.add.remote(dict(amounts))


HostsActor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=3)(HostLimits)


class ClusterHosts:
    """The `Hosts` service in a worker: asks the actor, and waits for its answer."""

    def __init__(self, actor: ray.actor.ActorHandle) -> None:
        self._actor = actor

    def renew(
        self, worker: str, per_host: int, claims: Mapping[str, Claim], pauses: Mapping[str, float]
    ) -> Mapping[str, Grant]:
        grants: Mapping[str, Grant] = ray.get(self._actor.renew.remote(worker, per_host, claims, pauses))
        return grants
