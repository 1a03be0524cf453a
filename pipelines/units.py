"""Units in and out of Ray Data: our own Datasource and Datasink, and what a worker does in between.

One unit is one read task, one block and one commit. The sink verifies that; it does not trust it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import ray
from ray.data import Datasource
from ray.data.block import Block, BlockMetadata
from ray.data.datasource import Datasink, ReadTask

from builders import rows
from builders.shards.carry import Past, find, is_marked, mark, merge
from builders.shards.lease import Signature
from builders.shards.store import Store
from builders.shards.unit import commit_unit
from builders.step import Services, Step
from pipelines import logs
from pipelines.asking import ClusterAsks
from pipelines.dag import Dag, check_columns
from pipelines.services import ClusterCounters, ClusterHosts, TooManyFailed
from pipelines.work import run_pack, run_steps, seconds_of
from schemas.errors import BuildError, UserError
from schemas.manifest import UnitMarker


@dataclass(frozen=True)
class Job:
    """What every worker of a build needs; put once into the object store, where its tables are shared.

    `retired` are the markers of units that were taken back, where only inputs that failed shall run again. A pack knows
    no old records, only samples: where there is one, units are built whole. Who builds there later signs anew, and
    nothing that is left of this job writes from then on.
    """

    id: str
    dataset: str
    dag: Dag
    sizes: tuple[int, ...]
    payloads: pa.StringArray
    content_hash: str
    store: Store
    signature: Signature
    retired: Mapping[int, Sequence[UnitMarker]] = field(default_factory=dict)

    def past(self, unit: int) -> Past | None:
        """What the unit came to before, where that may be carried over."""
        markers = self.retired.get(unit)
        return find(self.store, markers, self.dag.layout, check_columns(self.dag)) if markers else None


@dataclass(frozen=True)
class Handle:
    """What travels with each task: where the job lies, who watches it, who limits what is asked of hosts, and who asks
    the language model."""

    job: ray.ObjectRef
    id: str
    watch: ray.actor.ActorHandle
    hosts: ray.actor.ActorHandle | None = None
    llm: ray.actor.ActorHandle | None = None


_jobs: dict[str, Job] = {}
_ready: set[int] = set()


def job_of(handle: Handle) -> Job:
    """The job, fetched once by each worker process, which forgets the one before."""
    if handle.id not in _jobs:
        _jobs.clear()
        _ready.clear()
        _jobs[handle.id] = ray.get(handle.job)
    return _jobs[handle.id]


def run_stage(table: pa.Table, handle: Handle, index: int) -> pa.Table:
    """One stage over one unit; its steps are set up once in each worker process."""
    job = job_of(handle)
    stage = job.dag.stages[index]
    if index not in _ready:
        services = Services(
            ClusterCounters(handle.watch),
            "cuda" if ray.get_gpu_ids() else "cpu",
            ClusterHosts(handle.hosts) if handle.hosts else None,
            ClusterAsks(handle.llm) if handle.llm else None,
        )
        for step in stage.steps:
            _set_up(step, services)
        _ready.add(index)
    with logs.about(dataset=job.dataset, unit=unit_of(table), stage=stage.name):
        table = run_steps(table, stage.steps, stage.batch)
        _tell_failures(table, stage.steps)
    done = set(job.dag.done_with(index))
    return table.drop_columns([name for name in table.column_names if name in done])


def _tell_failures(table: pa.Table, steps: Sequence[Step]) -> None:
    """A line for each record that failed in these steps."""
    failed = table.select([rows.KEY, rows.STEP, rows.REASON]).filter(pc.equal(table[rows.OUTCOME], "failed"))
    here = {step.name for step in steps}
    for key, step, reason in zip(*(column.to_pylist() for column in failed.columns), strict=True):
        if step in here:
            logs.tell("record_failed", "warning", step=step, key=key, reason=reason)


def _set_up(step: Any, services: Services) -> None:
    try:
        step.setup(services)
    except (UserError, BuildError):
        raise
    except Exception as error:
        raise BuildError(f"step {step.name!r} could not start: {type(error).__name__}: {error}") from error


class StageWorker:
    """A stage in a pool of workers, one model each."""

    def __init__(self, handle: Handle, index: int) -> None:
        self._handle, self._index = handle, index

    def __call__(self, table: pa.Table) -> pa.Table:
        return run_stage(table, self._handle, self._index)


class Slice(NamedTuple):
    """A unit of the source: the number of its first input, and how many it has."""

    unit: int
    start: int
    size: int


class UnitSource(Datasource):  # type: ignore[misc]  # Ray is untyped
    """Reads the given units, a read task each."""

    def __init__(self, handle: Handle, slices: Sequence[Slice]) -> None:
        super().__init__()
        self._handle, self._slices = handle, slices

    def get_name(self) -> str:
        return "Units"

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(functools.partial(_read, self._handle, slice_), unknown) for slice_ in self._slices]


def _read(handle: Handle, slice_: Slice) -> Iterator[pa.Table]:
    job = job_of(handle)
    past = job.past(slice_.unit)
    stands = past.stands() if past else None
    del past  # a unit's shard, which is not needed before the sink
    table = job.dag.source.read(slice_.start, slice_.size)
    if table.num_rows != slice_.size:
        raise BuildError(
            f"unit {slice_.unit}: the source gave {table.num_rows} of {slice_.size} inputs; has it changed?"
        )
    table = rows.begin(table, slice_.unit)
    yield mark(table, stands) if stands else table


class ShardSink(Datasink[None]):  # type: ignore[misc]  # Ray is untyped
    """Commits each block as the unit that it is."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def get_name(self) -> str:
        return "Shards"

    def write(self, blocks: Iterable[Block], ctx: Any) -> None:
        job = job_of(self._handle)
        for block in blocks:
            unit = unit_of(block)
            packed = run_pack(block, job.dag.pack) if job.dag.pack else None
            seconds = seconds_of(block)
            if is_marked(block):
                block = merge(block, job.past(unit), job.dag.layout)
            marker = commit_unit(
                job.store.guarded(job.signature.check),
                unit,
                job.sizes[unit],
                block,
                job.dag.layout,
                seconds,
                packed,
                job.payloads[unit].as_py(),
                content_hash=job.content_hash,
            )
            if not ray.get(self._handle.watch.commit.remote(marker)):
                raise TooManyFailed("too many records failed")


def unit_of(block: pa.Table) -> int:
    """The number of the unit that a block is. Raises BuildError where it does not tell."""
    if rows.UNIT not in block.column_names or not block.num_rows:
        raise BuildError("a block reached the sink without its unit's number: a bug of the engine")
    return int(pc.min(block[rows.UNIT]).as_py())
