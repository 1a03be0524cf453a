"""(b) A whole GrIT build against bare loops over the same steps, with as many processes.

10,000 records: 1,000 photos of about 70 KB, each with ten captions and some boxes, in units of 1,000. The bare loop
(benchmarks/bare.py) writes the same shards and nothing else; that they are the same bytes is checked. "Whole" is from
listing the inputs to the last file, the model's loading in each process included. Not counted, on both sides, is what
starts processes: the interpreters and their imports, and Ray's start, which is a build of few records in the same Ray
session before the one that is measured; it stands in a row of its own. "Steps" is the time inside the steps alone,
added up over the processes, Arrow's conversions included on our side. The target is asked where a core is left for
Ray itself (its driver takes a tenth of one); with a worker on every core of a small machine the row tells what that
costs.
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
from typing import Any

import ray

from benchmarks.inputs import coco_folder, photos, recipe_of
from benchmarks.measure import Row, compare, interleave
from builders.shards.store import Store
from pipelines.kinds import make_dag
from pipelines.run import build
from schemas.load import load_recipe

PHOTOS = 1_000
INPUTS = 10 * PHOTOS
UNIT = 1_000


class Contest:
    """One recipe and one number of processes, both ways; keeps what the rounds told beside their seconds.

    In `folder` lie the recipe, `recipe.yaml`, and one of few inputs that starts Ray, `first.yaml`.
    """

    def __init__(self, folder: Path, processes: int, inputs: int) -> None:
        self.folder, self.processes, self.inputs = folder, processes, inputs
        self.starts: list[float] = []
        self.steps: dict[str, list[float]] = {"engine": [], "bare": []}

    def engine(self, _: int) -> float:
        """A build on a Ray of its own, which a small build has started; its seconds."""
        began = time.perf_counter()
        ray.init(
            address="local",
            num_cpus=self.processes,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
        self._build("first", "started")
        self.starts.append(time.perf_counter() - began)
        began = time.perf_counter()
        manifest = self._build("recipe", "engine")
        took = time.perf_counter() - began
        ray.shutdown()
        self.steps["engine"].append(sum(manifest["times"]["worker_seconds"].values()))
        return took

    def _build(self, recipe: str, out: str) -> dict[str, Any]:
        checked = load_recipe(self.folder / f"{recipe}.yaml")
        return build(checked, make_dag(checked), Store(self.folder / out), overwrite=True)

    def bare(self, _: int) -> float:
        """The bare loops as processes of their own; the seconds of the slowest, started when all are.

        They get what Ray gives its workers: one thread, and a session each.

        On a busy Linux machine a session is what gets a fair share of the CPUs.
        """
        shutil.rmtree(self.folder / "bare", ignore_errors=True)
        recipe, out = self.folder / "recipe.yaml", self.folder / "bare"
        command = [sys.executable, "-m", "benchmarks.bare", str(recipe), str(out)]
        running = [
            subprocess.Popen(
                [*command, str(i), str(self.processes)],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            for i in range(self.processes)
        ]
        told = [json.loads(process.communicate()[0]) for process in running]
        self.steps["bare"].append(sum(one["steps"] for one in told))
        return max(float(one["whole"]) for one in told)

    def rows(self, rounds: int = 3) -> list[Row]:
        """Both ways, interleaved."""
        seconds = interleave({"engine": self.engine, "bare": self.bare}, rounds)
        if digests(self.folder / "engine") != digests(self.folder / "bare"):
            raise AssertionError("the engine and the bare loop wrote different shards: the comparison is void")
        target = 0.9 if self.processes < len(os.sched_getaffinity(0)) else None
        many = f"{self.processes} process{'es' * (self.processes > 1)}"
        steps = {name: told[1:] for name, told in self.steps.items()}
        return [
            compare(f"{many}: whole", seconds["engine"], seconds["bare"], self.inputs, "records/s", target),
            compare(f"{many}: steps", steps["engine"], steps["bare"], self.inputs, "records/s a process"),
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
        coco_folder(folder / "first", photos(10), 50)
        for recipe, inputs, unit in (("recipe", "coco", UNIT), ("first", "first", 5)):
            made = recipe_of(folder / inputs, unit).model_dump(mode="json")
            (folder / f"{recipe}.yaml").write_text(json.dumps(made))  # JSON is YAML
        return [row for processes in (1, 2) for row in Contest(folder, processes, INPUTS).rows()]
