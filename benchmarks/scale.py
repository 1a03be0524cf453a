"""What a unit costs the driver, and how builds grow with CPUs: `python -m benchmarks.scale [resume|dispatch|cpus] N …`.

`resume`: N units of 1,000 records each, of which all but the last are committed: their markers (a real one's text under
each number) and empty files beside them lie in the output. Measured in a process of its own: to list and cut the
source, to plan or resume (list the output, read every marker), and to close the dataset (read all again, add them up).

`dispatch`: N units of one record each through `build` itself, in waves as they come, with a step that does nothing; the
driver's CPU and memory at the end of each wave. What workers take per unit (four files, flushed) is their business.

`cpus`: 12,000 drawn scenes, grounded (parser, boxes, shards) in units of 50, on a Ray of N CPUs that has built a few
units before. Efficiency is the speed of N over N times the first one's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from benchmarks.measure import machine
from builders import rows
from builders.shards.dataset import Claim, read_marker, read_markers, write_claim
from builders.shards.finish import finish
from builders.shards.store import Store
from builders.shards.unit import Layout, Member, commit_unit
from builders.step import Record, Result, Services
from pipelines import wave
from pipelines.dag import Dag, Stage
from pipelines.kinds import make_dag
from pipelines.run import build
from pipelines.state import look, make_claim
from schemas.recipe import GritRecipe
from schemas.sources import CocoSource, ScenesSource

SCENES = 12_000
RECIPE = GritRecipe(kind="grit", name="scale", source=CocoSource(images="/", captions="/", instances="/"))


@dataclass(frozen=True)
class Counted:
    """`units` units of `size` inputs that hold a key and a text."""

    units: int
    size: int

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        return {"key": pa.string(), "text": pa.string()}

    @property
    def unit_sizes(self) -> Sequence[int]:
        return [self.size] * self.units

    @property
    def digests(self) -> Mapping[str, str]:
        return {"counted": f"{self.units} {self.size}"}

    def payloads(self, sizes: Sequence[int]) -> Sequence[str]:
        return [""] * len(sizes)

    def facts(self) -> Mapping[str, int | str]:
        return {"inputs": self.units * self.size}

    def read(self, start: int, count: int) -> pa.Table:
        numbers = range(start, start + count)
        return pa.table({"key": [f"{n:012d}" for n in numbers], "text": ["a text"] * count})


class Nothing:
    """A step that does nothing."""

    name = "nothing"
    reads: Sequence[str] = ()
    adds: Mapping[str, pa.DataType] = {}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [{} for _ in records]


def dag_of(units: int, size: int) -> Dag:
    """The DAG of both measurements."""
    return Dag("scale", Counted(units, size), (Stage("nothing", (Nothing(),)),), Layout((Member("text", "txt"),)))


# ---- resume


def generate(store: Store, dag: Dag) -> None:
    """An output in which all units but the last are committed."""
    claim = make_claim(RECIPE, dag)
    write_claim(store, claim)
    table = rows.begin(dag.source.read(0, dag.source.unit_sizes[0]), 0)
    commit_unit(store, 0, table.num_rows, table, dag.layout, {"nothing": 0.001}, content_hash=claim.hash)
    text = json.dumps(read_marker(store, 0).as_json(), indent=1)
    for unit in range(1, len(claim.unit_sizes) - 1):
        own = text.replace("000000.", f"{unit:06d}.").replace('"unit": 0', f'"unit": {unit}')
        (store.root / f"units/{unit:06d}.json").write_text(own)
        for empty in (f"data/{unit:06d}.tar", f"index/{unit:06d}.parquet", f"rejects/{unit:06d}.parquet"):
            (store.root / empty).touch()


def resume(out: str, units: int) -> dict[str, float]:
    """Seconds of each part of a resume, and the MiB of this process at their end."""
    told: dict[str, float] = {"start MiB": _peak()}
    store, dag = Store(out), dag_of(units, 1000)
    began = time.perf_counter()
    claim = make_claim(RECIPE, dag)
    told["list and cut, s"] = time.perf_counter() - began
    began = time.perf_counter()
    state = look(store, claim, dag.source)
    told["plan or resume, s"] = time.perf_counter() - began
    told["resume MiB"] = _peak()
    if state.left != [units - 1]:
        raise AssertionError(f"{len(state.left)} units are left, not the last alone")
    started = time.perf_counter()
    there = Claim(claim.content, claim.unit_sizes[:-1])
    finish(store, there, read_markers(store), RECIPE.model_dump(mode="json"), {}, dag.source.facts())
    told["close, s"] = time.perf_counter() - started
    told["close MiB"] = _peak()
    return told


# ---- dispatch


def dispatch(out: str, units: int) -> list[dict[str, Any]]:
    """A row at the end of each wave: units so far, seconds, the driver's CPU seconds and peak MiB."""
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ends: list[dict[str, Any]] = []
    began, whole = time.perf_counter(), wave.run_wave

    def timed(handle: Any, stages: Any, slices: Sequence[Any], *rest: Any) -> None:
        first: list[float] = []
        started = time.perf_counter()
        watching = threading.Thread(target=_first_commit, args=(Path(out), slices[0].unit, started, first), daemon=True)
        watching.start()
        whole(handle, stages, slices, *rest)
        watching.join(timeout=1)
        ends.append(
            {
                "units": slices[-1].unit + 1,
                "seconds": time.perf_counter() - began,
                "to the first commit": first[0] if first else float("nan"),
                "driver CPU": time.process_time(),
                "driver MiB": _peak(),
            }
        )

    import pipelines.run

    pipelines.run.run_wave = timed
    build(RECIPE, dag_of(units, 1), Store(out))
    ray.shutdown()
    return ends


def _first_commit(out: Path, unit: int, started: float, told: list[float]) -> None:
    """When any of the wave's first units was committed, to 20 ms."""
    while not told:
        if any((out / f"units/{unit + n:06d}.json").exists() for n in range(32)):
            told.append(time.perf_counter() - started)
        time.sleep(0.02)


# ---- cpus


def cpus(out: str, count: int) -> dict[str, float]:
    """Records a second of a build on `count` CPUs."""
    ray.init(address="local", num_cpus=count, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    seconds = 0.0
    for name, inputs in (("first", 50 * count), ("whole", SCENES)):
        source = ScenesSource(kind="scenes", count=inputs, size=128)
        recipe = GritRecipe(kind="grit", name="scale", source=source, output={"unit": 50})
        began = time.perf_counter()
        build(recipe, make_dag(recipe), Store(f"{out}/{name}"))
        seconds = time.perf_counter() - began
    ray.shutdown()
    return {"records/s": SCENES / seconds}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(what: str, sizes: Sequence[int]) -> None:
    """Measure each size in a process of its own, and print a line or more."""
    print(machine(), flush=True)
    first = 0.0
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "out")
            if what == "resume":
                generate(Store(out), dag_of(size, 1000))
            call = f"import json; from benchmarks.scale import {what}; print(json.dumps({what}({out!r}, {size})))"
            said = subprocess.run([sys.executable, "-c", call], stdout=subprocess.PIPE, check=True).stdout
            told = json.loads(said)
            for row in told if what == "dispatch" else [told]:
                if what == "cpus":
                    first = first or row["records/s"] / size
                    row["efficiency"] = row["records/s"] / size / first
                shown = {"CPUs" if what == "cpus" else "of units": size, **row}.items()
                print(", ".join(f"{name} {n:,.2f}" if isinstance(n, float) else f"{name} {n:,}" for name, n in shown))


if __name__ == "__main__":
    main(sys.argv[1], [int(size) for size in sys.argv[2:]])
