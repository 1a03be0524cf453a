"""(b) A whole GrIT build against bare loops over the same steps, with as many processes.

5,000 records: 1,000 photos of about 70 KB, each with five captions and some boxes, in units of 500. The bare loop
(benchmarks/bare.py) writes the same shards and nothing else; that they are the same bytes is checked. "Whole" is from
listing the inputs to the last file, with all that a worker or a script does to start (imports, the model), without
Ray's own start, which stands in a row of its own. "Steady" is from when each process has written about two shards to
the last: what a long build tends to. "Steps" is the time inside the steps alone, added up over the processes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ray

from benchmarks.inputs import coco_folder, photos, recipe_of
from benchmarks.measure import Row, compare, interleave
from builders.shards.store import Store
from pipelines.grit import grit
from pipelines.run import build

PHOTOS = 1_000
INPUTS = 5 * PHOTOS
UNIT = 500
ROUNDS = 3


class Contest:
    """One number of processes, both ways; keeps what the rounds told beside their seconds."""

    def __init__(self, folder: Path, processes: int) -> None:
        self.folder, self.processes = folder, processes
        self.starts: list[float] = []
        self.steady: dict[str, list[float]] = {"engine": [], "bare": []}
        self.steps: dict[str, list[float]] = {"engine": [], "bare": []}

    def engine(self, _: int) -> float:
        """A build on a Ray of its own; its seconds without Ray's start."""
        began = time.perf_counter()
        ray.init(
            address="local",
            num_cpus=self.processes,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
        self.starts.append(time.perf_counter() - began)
        began = time.perf_counter()
        recipe = recipe_of(self.folder / "coco", UNIT)
        manifest = build(recipe, grit(recipe), Store(self.folder / "engine"), overwrite=True)
        took = time.perf_counter() - began
        ray.shutdown()
        self._note("engine", sum(manifest["times"]["worker_seconds"].values()))
        return took

    def bare(self, _: int) -> float:
        """The bare loops as processes of their own, with what Ray gives its workers: one thread, and a session each.

        (On a busy Linux machine a session is what gets a fair share of the CPUs.)
        """
        shutil.rmtree(self.folder / "bare", ignore_errors=True)
        command = [sys.executable, "-m", "benchmarks.bare", str(self.folder / "coco"), str(self.folder / "bare")]
        began = time.perf_counter()
        running = [
            subprocess.Popen(
                [*command, str(UNIT), str(i), str(self.processes)],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            for i in range(self.processes)
        ]
        told = [process.communicate()[0] for process in running]
        took = time.perf_counter() - began
        self._note("bare", sum(sum(json.loads(text).values()) for text in told))
        return took

    def _note(self, name: str, step_seconds: float) -> None:
        shards = sorted(path.stat().st_mtime for path in (self.folder / name / "data").iterdir())
        shards = shards[2 * self.processes - 1 :]
        self.steady[name].append((shards[-1] - shards[0]) / (len(shards) - 1) / UNIT)
        self.steps[name].append(step_seconds)

    def rows(self) -> list[Row]:
        """Both ways, interleaved."""
        seconds = interleave({"engine": self.engine, "bare": self.bare}, ROUNDS)
        if digests(self.folder / "engine") != digests(self.folder / "bare"):
            raise AssertionError("the engine and the bare loop wrote different shards: the comparison is void")
        many = f"{self.processes} process{'es' * (self.processes > 1)}"
        steady, steps = ({name: told[1:] for name, told in kept.items()} for kept in (self.steady, self.steps))
        return [
            compare(f"{many}: whole", seconds["engine"], seconds["bare"], INPUTS, "records/s", 0.9),
            compare(f"{many}: steady", steady["engine"], steady["bare"], 1, "records/s"),
            compare(f"{many}: steps", steps["engine"], steps["bare"], INPUTS, "records/s a process"),
            Row(f"{many}: Ray's start, not counted", f"{statistics.median(self.starts):.1f} s", ""),
        ]


def digests(dataset: Path) -> list[str]:
    """SHA-256 of each shard."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((dataset / "data").iterdir())]


def main() -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        coco_folder(folder / "coco", photos(PHOTOS), INPUTS)
        return [row for processes in (1, 2) for row in Contest(folder, processes).rows()]
