"""How the stages of a DAG share what a cluster has, so that the same recipe runs on one core and on a thousand.

CPU stages are plain tasks that fuse with the read and the write: nothing waits for them, so nothing starves. Only GPU
stages get a pool of workers, and those hold no CPU, so that the tasks that feed them always find one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.dag import Stage


@dataclass(frozen=True)
class Nodes:
    """Machines of one kind: so many at most, each with these logical CPUs and GPUs."""

    name: str
    cpus: float
    gpus: int
    count: int

    def __str__(self) -> str:
        return f"{self.count} x {self.name} ({_counted(self.cpus, 'CPU')}, {_counted(self.gpus, 'GPU')})"


@dataclass(frozen=True)
class Cluster:
    """What the stages may share: logical CPUs and GPUs in all, and how nodes divide them.

    Without `nodes`, it is one machine, to which a stage that wants more is fitted; on a cluster that one is refused.
    `most`: workers that there may be at once, where the kinds of nodes together would be more.
    """

    cpus: int
    gpus: int
    nodes: tuple[Nodes, ...] = ()
    most: int | None = None

    def __str__(self) -> str:
        most = f", {self.most} worker{'s' * (self.most != 1)} at most" if self.most is not None else ""
        return f"{_counted(self.cpus, 'CPU')}, {_counted(self.gpus, 'GPU')}{most}"


def cluster_of(there: Sequence[Nodes], types: Sequence[Nodes] = (), most: int | None = None) -> Cluster:
    """The cluster of nodes that are there and of types that an autoscaler may start, `most` of those at once.

    Where the types together are more, GPU nodes are counted first: CPU nodes go, of the commonest type first.
    """
    over = max(0, sum(kind.count for kind in types) - most) if most is not None else 0
    bound = most if over else None
    counted = list(there)
    for kind in sorted(types, key=lambda kind: (kind.gpus > 0, -kind.count)):
        left = max(0, kind.count - over)
        over -= kind.count - left
        counted.append(replace(kind, count=left))
    cpus, gpus = sum(kind.cpus * kind.count for kind in counted), sum(kind.gpus * kind.count for kind in counted)
    return Cluster(max(1, int(cpus)), gpus, (*there, *types), bound)


@dataclass(frozen=True)
class Placement:
    """Where one stage runs. `workers` is the size of its pool; None means tasks, as many as there are CPUs, or
    `at_once`."""

    cpus: float
    gpus: float
    workers: int | None
    note: str = ""
    at_once: int | None = None

    def __str__(self) -> str:
        if self.workers is None:
            most = f"{self.at_once} tasks at most, each" if self.at_once else "tasks"
            what = f"{most} of {_counted(self.cpus, 'CPU')}"
        else:
            what = f"{self.workers} worker{'s' * (self.workers != 1)} of {self.gpus:g} GPU"
        return f"{what}{self.note}"


def _counted(number: float, name: str) -> str:
    return f"{number:g} {name}{'s' * (number != 1)}"


def this_machine() -> Cluster:
    """What a local run would have: the CPUs that this process may use, and the GPUs that its driver shows."""
    devices = list(Path("/proc/driver/nvidia/gpus").glob("*"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = len(devices) if visible is None else min(len(devices), len([v for v in visible.split(",") if v.strip()]))
    return Cluster(len(os.sched_getaffinity(0)), gpus)


def lacking(stages: Sequence[Stage], cluster: Cluster) -> list[str]:
    """What of the recipe needs a GPU, where there is none: fields with their values, as "detector.precision: bf16"."""
    return [] if cluster.gpus else [stage.needs_gpu for stage in stages if stage.needs_gpu]


def place(stages: Sequence[Stage], cluster: Cluster) -> list[Placement]:
    """A placement for each stage. GPUs are split among the stages that want them, in whole ones if they suffice."""
    wanting = sum(1 for stage in stages if stage.gpus)
    whole, spare = divmod(cluster.gpus, wanting) if wanting else (0, 0)
    placements = []
    for stage in stages:
        cpus = min(stage.cpus, cluster.cpus)
        if not stage.gpus:
            placements.append(Placement(cpus, 0, None, at_once=stage.at_once))
        elif not cluster.gpus:
            placements.append(Placement(cpus, 0, None, " (a GPU stage: there is none)"))
        elif not whole:  # as many stages on each GPU as it takes; any order of starting finds room
            placements.append(Placement(0, min(stage.gpus, 1 / math.ceil(wanting / cluster.gpus)), 1))
        else:
            own, spare = whole + (spare > 0), max(0, spare - 1)
            if stage.gpus < 1:
                placements.append(Placement(0, stage.gpus, own * int(1 / stage.gpus)))
            else:
                gpus = min(int(stage.gpus), own)
                placements.append(Placement(0, gpus, own // gpus))
    return placements


def fitting(stage: Stage, cluster: Cluster) -> list[Nodes]:
    """The nodes of a cluster that a worker or task of the stage finds room on."""
    gpus = stage.gpus if cluster.gpus else 0
    cpus = 0 if gpus else stage.cpus
    return [kind for kind in cluster.nodes if kind.count and kind.gpus >= gpus and kind.cpus >= cpus]


def unplaceable(stages: Sequence[Stage], cluster: Cluster) -> str | None:
    """Why a stage would wait for ever, as no node that the cluster has or may get is large enough; None where none
    would."""
    for stage in stages:
        if cluster.nodes and not fitting(stage, cluster):
            gpus = bool(stage.gpus and cluster.gpus)
            wants = _counted(stage.gpus, "GPU") if gpus else _counted(stage.cpus, "CPU")
            largest = max(kind.gpus if gpus else kind.cpus for kind in cluster.nodes)
            return (
                f"stage {stage.name} wants {wants} on one node, but the largest has {largest:g} "
                f"({'; '.join(map(str, cluster.nodes))}); start nodes that are large enough"
            )
    return None
