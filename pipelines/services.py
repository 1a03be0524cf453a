"""Services that hold for a whole cluster, as small Ray actors."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from builders.acquire.hosts import Claim, Grant, HostLimits
from pipelines.metrics import Meters, UnitMeters
from schemas.errors import BuildError
from schemas.manifest import OUTCOMES, UnitMarker

NEWS = 20
"""Units whose lines are kept until the driver takes them."""
_COMMONEST = 3
"""Reasons of losses that a unit's line names."""


def beside_driver() -> dict[str, NodeAffinitySchedulingStrategy]:
    """Options of an actor that put it on the driver's node, the head: a worker's node may be taken away at any time,
    and what the actor counted or limited would be gone, and its callers with it."""
    node = ray.get_runtime_context().get_node_id()
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


class TooManyFailed(BuildError):
    """A broken stage: more failed records than the recipe allows."""


def failure_limit_passed(failed: int, seen: int, total: int, share: float) -> bool:
    """Whether `failed` of `seen` records is more than the recipe allows.

    Judged once 1,000 records (or all, where there are fewer) were seen, so that the first bad record stops nothing.
    """
    return seen >= min(total, 1000) and failed > share * seen


@dataclass(frozen=True)
class Watched:
    """A build, as far as it is watched. `stages` tells the stage of each step; `units` and `inputs` there are in all;
    `start` holds what earlier runs counted."""

    dataset: str
    stages: Mapping[str, str]
    units: int
    inputs: int
    max_failed: float
    start: Mapping[str, float]


class Watch:
    """Counts for the whole build: what the display, the logs and Prometheus show, and what stops a broken stage."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._counts = dict(watched.start)
        self._meters = UnitMeters(Meters(watched.dataset), watched.stages)
        self._committed = bytearray(watched.units)
        self._news: deque[dict[str, Any]] = deque(maxlen=NEWS)
        self._told = 0
        self._tell_left()

    def add(self, amounts: Mapping[str, float]) -> None:
        """Add to the named counters."""
        for name, amount in amounts.items():
            self._counts[name] = self._counts.get(name, 0) + amount

    def commit(self, marker: UnitMarker) -> bool:
        """Count a committed unit, once however often it is told; False where no other shall follow: too many records
        have failed by now."""
        if not self._committed[marker.unit]:
            self._committed[marker.unit] = 1
            inputs = marker.inputs
            amounts = {"units": 1, "inputs": inputs.total, "samples": marker.samples}
            self.add({**amounts, **{name: getattr(inputs, name) for name in OUTCOMES}})
            self._meters.count(marker)
            self._tell_left()
            done = {"units_done": int(self._counts["units"]), "units": self._watched.units}
            self._news.append({**news_of(marker), **done})
            self._told += 1
        failed, seen = self._counts["failed"], self._counts["inputs"]
        return not failure_limit_passed(int(failed), int(seen), self._watched.inputs, self._watched.max_failed)

    def _tell_left(self) -> None:
        watched, counts = self._watched, self._counts
        self._meters.left(watched.units - counts["units"], watched.inputs - counts["inputs"])

    def read(self) -> dict[str, float]:
        return dict(self._counts)

    def news(self, seen: int) -> tuple[int, list[dict[str, Any]]]:
        """How many units were committed, and what is told of those after the first `seen`: of the last ones, where
        there are more than NEWS."""
        fresh = self._told - seen
        return self._told, list(self._news)[-fresh:] if fresh > 0 else []


def news_of(marker: UnitMarker) -> dict[str, Any]:
    """What one line tells of a committed unit. `bytes` are those of its shard."""
    reasons = marker.records.as_json()["reasons"]
    return {
        "unit": marker.unit,
        "inputs": marker.inputs.total,
        **{name: getattr(marker.inputs, name) for name in OUTCOMES},
        "samples": marker.samples,
        "bytes": marker.shard.size if marker.shard else 0,
        "seconds": round(sum(marker.seconds.values()), 3),
        "reasons": dict(list(reasons.items())[:_COMMONEST]),
    }


WatchActor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Watch)


class ClusterCounters:
    """The `Counters` service in a worker: passes on to the actor without waiting."""

    def __init__(self, actor: ray.actor.ActorHandle) -> None:
        self._actor = actor

    def add(self, amounts: Mapping[str, float]) -> None:
        self._actor.add.remote(dict(amounts))


HostsActor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(HostLimits)


class ClusterHosts:
    """The `Hosts` service in a worker: asks the actor, and waits for its answer."""

    def __init__(self, actor: ray.actor.ActorHandle) -> None:
        self._actor = actor

    def renew(
        self, worker: str, per_host: int, claims: Mapping[str, Claim], pauses: Mapping[str, float]
    ) -> Mapping[str, Grant]:
        grants: Mapping[str, Grant] = ray.get(self._actor.renew.remote(worker, per_host, claims, pauses))
        return grants
