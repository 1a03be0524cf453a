"""One wave: a DAG over a list of units as one Ray Data job."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice

import ray
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy
from ray.data._internal.execution import streaming_executor_state
from ray.data.datasource import Datasink

from pipelines.dag import Stage
from pipelines.hardware import Cluster, place
from pipelines.units import Handle, Slice, StageWorker, UnitSource, run_stage
from schemas.errors import BuildError, UserError

WAVE = 10_000
"""Units in one Ray Data job: each costs the driver about 1.3 ms before the first block."""


def waves(sizes: Sequence[int], units: Iterable[int]) -> Iterator[list[Slice]]:
    """`units`, a wave after the other; `sizes` are those of all units of the source."""
    starts = [0, *accumulate(sizes)]
    left = iter(units)
    while wave := [Slice(unit, starts[unit], sizes[unit]) for unit in islice(left, WAVE)]:
        yield wave


def run_wave(
    handle: Handle,
    stages: Sequence[Stage],
    slices: Sequence[Slice],
    cluster: Cluster,
    sink: Datasink[None],
) -> None:
    """Run units through the stages, all of the DAG or its first, into `sink`. Raises a worker's error of ours."""
    data = ray.data.read_datasource(UnitSource(handle, slices), override_num_blocks=len(slices))
    for index, placement in enumerate(place(stages, cluster)):
        if placement.workers is None:
            work = functools.partial(run_stage, handle=handle, index=index)
            data = data.map_batches(
                work,
                batch_size=None,
                batch_format="pyarrow",
                zero_copy_batch=True,
                num_cpus=placement.cpus,
                compute=TaskPoolStrategy(placement.at_once and min(placement.at_once, len(slices))),
            )
        else:
            # `map_batches` itself wants a batch size beside GPUs; here the stage cuts its batches, inside the unit.
            data = data.map_batches_internal(
                StageWorker,
                fn_constructor_args=(handle, index),
                batch_size=None,
                batch_format="pyarrow",
                zero_copy_batch=True,
                num_cpus=placement.cpus,
                num_gpus=placement.gpus,
                compute=ActorPoolStrategy(
                    size=min(placement.workers, len(slices))
                ),  # an autoscaler starts what is asked for
            )
    try:
        data.write_datasink(sink)
    except Exception as error:
        cause = _ours(error)
        if cause is None:
            raise
        raise cause from None


def _ours(error: BaseException) -> BuildError | UserError | None:
    """The worker's own error inside what Ray wrapped around it."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        if isinstance(link, BuildError | UserError) and not isinstance(link, ray.exceptions.RayTaskError):
            return type(link)(str(link).split("\n", 1)[0])  # Ray adds lines of its own to the message
        pending += [link.__cause__, link.__context__, getattr(link, "cause", None)]
    return None


def configure() -> None:
    """Ray Data's settings that keep one unit one block, and its bars and reports off the terminal."""
    # With few units in flight Ray Data's driver sleeps up to 0.1 s before it hands a free worker the next unit; at
    # 0.01 s it takes a tenth of a core itself.
    streaming_executor_state.WAIT_FOR_TASK_COMPLETION_TIMEOUT_S = 0.03
    context = DataContext.get_current()
    context.target_max_block_size = None
    context.raise_original_map_exception = True  # the wrapper that Ray puts around it loses its class
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):  # its file handler keeps the whole trace
            handler.setLevel(logging.CRITICAL)
