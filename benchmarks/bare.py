"""What the engine is compared with: a plain script over the same steps.

`python -m benchmarks.bare RECIPE OUT I N` builds every N-th unit, the I-th first: calls the steps of the recipe's DAG
on plain dicts in the same batches, drops what they reject, and writes the same shards, byte by byte, to disk with
SHA-256. It has no Ray, no Arrow between the steps, no outcomes, no index, no rejects and no markers, and it cannot
resume. Prints as JSON the seconds inside the steps, and those of all but the interpreter's start and the imports.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from itertools import accumulate

from builders.shards.store import Store
from builders.shards.tar import Sha256Writer, TarWriter
from builders.shards.unit import shard_path
from builders.step import Record, Rejected, Services
from pipelines.dag import Dag, Stage
from pipelines.kinds import make_dag
from schemas.load import load_recipe


class NoCounters:
    """The `Counters` of a script that nobody watches."""

    def add(self, amounts: Mapping[str, float]) -> None:
        """Counted nowhere."""


def main(recipe: str, out: str, first: str, every: str) -> None:
    """Build this process's units."""
    began = time.perf_counter()
    dag, store, seconds = make_dag(load_recipe(recipe)), Store(out), defaultdict[str, float](float)
    for step in dag.steps:
        step.setup(Services(NoCounters(), "cpu"))
    for number in range(int(first), len(dag.source.unit_sizes), int(every)):
        records = read(dag, number)
        for stage in dag.stages:
            records = run(stage, records, seconds)
        write(store, number, records)
    print(json.dumps({"steps": sum(seconds.values()), "whole": time.perf_counter() - began}))


def read(dag: Dag, unit: int) -> list[Record]:
    """The inputs of a unit as plain dicts."""
    starts = [0, *accumulate(dag.source.unit_sizes)]
    records: list[Record] = dag.source.read(starts[unit], dag.source.unit_sizes[unit]).to_pylist()
    return records


def run(stage: Stage, records: list[Record], seconds: dict[str, float]) -> list[Record]:
    """The records that the stage's steps keep, with what these add."""
    for step in stage.steps:
        began, kept = time.perf_counter(), []
        for start in range(0, len(records), stage.batch):
            part = records[start : start + stage.batch]
            handed = [{name: record[name] for name in step.reads} for record in part]
            for record, result in zip(part, step(handed), strict=True):
                if not isinstance(result, Rejected):
                    record.update(result)  # type: ignore[arg-type]  # no step here fans out
                    kept.append(record)
        records = kept
        seconds[step.name] += time.perf_counter() - began
    return records


def write(store: Store, unit: int, records: list[Record]) -> None:
    """The unit's shard."""
    with store.put(shard_path(unit)) as file:
        tar = TarWriter(Sha256Writer(file))
        for record in records:
            tar.add(f"{record['key']}.{record['format']}", record["image"])
            tar.add(f"{record['key']}.txt", record["caption"].encode())
            tar.add(f"{record['key']}.json", record["json"])
        tar.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
