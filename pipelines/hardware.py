"""How the stages of a DAG share what a cluster has, so that the same recipe runs on one core and on a thousand.

CPU stages are plain tasks that fuse with the read and the write: nothing waits for them, so nothing starves. Only GPU
stages get a pool of workers, and those hold no CPU, so that the tasks that feed them always find one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.dag import Stage


@dataclass(frozen=True)
class Cluster:
    """What the stages may share: logical CPUs and GPUs in all."""

    cpus: int
    gpus: int

    def __str__(self) -> str:
        return f"{self.cpus} CPU{'s' * (self.cpus != 1)}, {self.gpus} GPU{'s' * (self.gpus != 1)}"


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
            what = f"{most} of {self.cpus:g} CPU{'s' * (self.cpus != 1)}"
        else:
            what = f"{self.workers} worker{'s' * (self.workers != 1)} of {self.gpus:g} GPU"
        return f"{what}{self.note}"


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
