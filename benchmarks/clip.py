"""(e) The CLIP stage against a bare loop over the same decoded batches, and a whole filtering build against a script.

ViT-B/32 with random weights on one CPU thread. "Stage" is `ClipScore` under the engine, from prepared pixels and tokens
to rounded scores in Arrow, against `encode_image` and `encode_text` of the same open_clip model on the same batches,
normalised and multiplied, and nothing kept. "Whole" is a build of scenes of 224 pixels, rules and image preparation
included, against benchmarks/bare.py as in (b).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from benchmarks.bare import NoCounters
from benchmarks.engine import Contest
from benchmarks.measure import Row, compare, interleave
from builders import rows
from builders.filters.clip import ClipScore
from builders.step import Services
from pipelines.kinds import make_dag
from pipelines.work import run_steps
from schemas.load import load_recipe

INPUTS = 200
BATCH = 32
ROUNDS = 9


def main() -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _recipe(folder / "recipe.yaml", INPUTS, 50)
        _recipe(folder / "first.yaml", 4, 2)
        stage = _stage(folder / "recipe.yaml")
        return [
            compare("stage", stage["engine"], stage["bare"], 2 * BATCH, "pairs/s", 0.95),
            *Contest(folder, 1, INPUTS).rows(rounds=2),
        ]


def _recipe(path: Path, count: int, unit: int) -> None:
    recipe = {
        "kind": "pairs",
        "source": {"kind": "scenes", "count": count, "size": 224},
        "rules": {"min_words": 2, "languages": ["en"]},
        "clip": {"model": "ViT-B-32", "random_seed": 0, "min_score": -1, "batch": BATCH},
        "output": {"unit": unit},
    }
    path.write_text(json.dumps(recipe))  # JSON is YAML


def _stage(recipe: Path) -> dict[str, list[float]]:
    """Seconds a round of two batches."""
    torch.set_num_threads(1)
    dag = make_dag(load_recipe(recipe))
    table = rows.begin(dag.source.read(0, 2 * BATCH), 0)
    before = [stage for stage in dag.stages if stage.name in ("pairs", "prepare")]
    for stage in before:
        for step in stage.steps:
            step.setup(Services(NoCounters(), "cpu"))
        table = run_steps(table, stage.steps, stage.batch)
    table = table.filter(rows.live(table))
    score = next(step for stage in dag.stages for step in stage.steps if isinstance(step, ClipScore))
    score.setup(Services(NoCounters(), "cpu"))
    assert score._model is not None
    model = score._model._model  # the very model: two copies differ by several per cent, by where they lie in memory
    batches = _decoded(table, score)

    def bare(_: int) -> None:
        with torch.inference_mode():
            for images, texts in batches:
                seen = torch.nn.functional.normalize(model.encode_image(images), dim=-1)
                told = torch.nn.functional.normalize(model.encode_text(texts), dim=-1)
                (seen * told).sum(-1).tolist()

    contenders: dict[str, Callable[[int], object]] = {
        "engine": lambda _: run_steps(table, (score,), len(table)),
        "bare": bare,
    }
    return interleave(contenders, ROUNDS)


def _decoded(table: pa.Table, score: ClipScore) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The batches as a script would hold them: float pixels, normalised, channels last, and token ids."""
    model = score._model
    assert model is not None
    high, wide = model.preprocess.size
    found = []
    for start in range(0, len(table), BATCH):
        part = table.slice(start, BATCH)
        pixels = np.stack([np.frombuffer(row, np.uint8).reshape(high, wide, 3) for row in part["_pixels"].to_pylist()])
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - model._mean) / model._std
        tokens = np.stack([np.frombuffer(row, np.int32) for row in part["_tokens"].to_pylist()])
        found.append((images.contiguous(memory_format=torch.channels_last), torch.from_numpy(tokens).long()))
    return found
