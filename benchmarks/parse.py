"""(a) The parse stage against a bare `nlp.pipe` loop: one process each, the same captions in the same batches.

The bare loop asks spaCy for the noun chunks and keeps nothing. What the step does on top (which chunks to drop, the
expression that each grows into, the words that the detector will ask for) is shown apart from what the engine adds.
Both are measured in this process, on a unit whose photos must not be touched, and again inside a Ray worker, where the
stage runs as in a build.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import ray
from spacy.language import Language

from benchmarks.bare import NoCounters
from benchmarks.inputs import captions, coco_folder, photos, recipe_of
from benchmarks.measure import Row, compare, interleave
from builders import rows
from builders.grounding.chunks import NounChunks, parser_folder
from builders.step import Services, Step
from pipelines.grit import grit
from pipelines.services import WatchActor, Watched
from pipelines.units import Handle, Job, job_of, run_stage
from pipelines.work import run_steps

PIECE = 256
"""Captions a round, and the batch of the GrIT stage: short rounds, so that a disturbance falls on all alike."""
ROUNDS = 21


def main() -> list[Row]:
    """The rows of this benchmark."""
    texts = captions(PIECE * (ROUNDS + 1))
    here, there = _in_process(texts), _in_worker(texts)
    return [
        compare("step alone", here["step"], here["bare"], PIECE, "captions/s"),
        compare("step under the engine (run_steps)", here["engine"], here["bare"], PIECE, "captions/s", 0.95),
        compare("stage in a Ray worker (run_stage)", there["stage"], there["bare"], PIECE, "captions/s", 0.95),
    ]


def _pipeline_of(step: Step) -> Language:
    """The step's own pipeline: two copies of one model differ by several per cent, by where they lie in memory."""
    assert isinstance(step, NounChunks) and step._nlp is not None
    return step._nlp


def _bare_loop(nlp: Language, texts: list[str]) -> None:
    """What a script without gristmill would do."""
    for doc in nlp.pipe(texts, batch_size=PIECE):
        list(doc.noun_chunks)


def _units(texts: list[str]) -> list[pa.Table]:
    """The pieces as they reach the stage: captions, and a photo of 70 KB beside each."""
    photo = bytes(70_000)
    units = []
    for i in range(0, len(texts), PIECE):
        part = texts[i : i + PIECE]
        columns = {
            "key": pa.array([f"{n:06d}" for n in range(len(part))]),
            "caption": pa.array(part),
            "image": pa.array([photo] * len(part), pa.large_binary()),
        }
        units.append(rows.begin(pa.table(columns), i // PIECE))
    return units


def _in_process(texts: list[str]) -> dict[str, list[float]]:
    """The bare loop, the step called by hand, and the step under the engine."""
    step, units = NounChunks(parser_folder(None)), _units(texts)
    step.setup(Services(NoCounters(), "cpu"))
    nlp = _pipeline_of(step)

    contenders: dict[str, Callable[[int], object]] = {
        "bare": lambda turn: _bare_loop(nlp, texts[turn * PIECE : (turn + 1) * PIECE]),
        "step": lambda turn: step([{"caption": text} for text in texts[turn * PIECE : (turn + 1) * PIECE]]),
        "engine": lambda turn: run_steps(units[turn], [step], PIECE),
    }
    return interleave(contenders, ROUNDS)


def _in_worker(texts: list[str]) -> dict[str, list[float]]:
    """The bare loop and the stage of a GrIT build inside one Ray worker."""
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        with tempfile.TemporaryDirectory() as folder:
            coco_folder(Path(folder) / "coco", photos(1), 5)
            dag = grit(recipe_of(Path(folder) / "coco", 5))
        watch = WatchActor.remote(Watched("bench", {}, 1, 1, 1.0, {"units": 0, "inputs": 0}))
        handle = Handle(ray.put(Job("bench", "bench", dag, (), (), None)), "bench", watch)  # type: ignore[arg-type]
        index = [stage.name for stage in dag.stages].index("chunks")
        measured: dict[str, list[float]] = ray.get(ray.remote(_worker).remote(handle, index, texts))
        return measured
    finally:
        ray.shutdown()


def _worker(handle: Handle, index: int, texts: list[str]) -> dict[str, list[float]]:
    units = _units(texts)
    run_stage(units[0], handle, index)
    nlp = _pipeline_of(job_of(handle).dag.stages[index].steps[0])
    contenders: dict[str, Callable[[int], object]] = {
        "bare": lambda turn: _bare_loop(nlp, texts[turn * PIECE : (turn + 1) * PIECE]),
        "stage": lambda turn: run_stage(units[turn], handle, index),
    }
    return interleave(contenders, ROUNDS)
