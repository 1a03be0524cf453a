"""Small speech and text on disk, recipes of them, and what the samples of a dataset hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import webdataset
import yaml

from builders import rows
from builders.shards.store import Store
from builders.shards.unit import commit_unit
from builders.step import Services
from pipelines.kinds import make_dag
from pipelines.state import make_claim, prepare
from pipelines.work import run_pack, run_steps
from schemas.load import load_recipe

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def tone(seconds: float, number: int, rate: int = 22_050) -> np.ndarray:
    """A sweep of three tones, each utterance another one."""
    at = np.arange(round(seconds * rate)) / rate
    steps = 300 + 150 * ((np.floor(at * 6) * (number + 2)) % 11)
    return (0.4 * np.sin(2 * np.pi * np.cumsum(steps) / rate)).astype(np.float32)


def speech(folder: Path, count: int = 14) -> Path:
    """An LJSpeech folder: utterances of 0.5 to 1.1 s, each with a sentence of its own."""
    (folder / "wavs").mkdir(parents=True)
    lines = []
    for i in range(count):
        soundfile.write(folder / f"wavs/LJ{i:03d}.wav", tone(0.5 + 0.1 * (i % 7), i), 22_050)
        said = f"Number {WORDS[i % 10]}, said {WORDS[i // 10]} times."
        lines.append(f"LJ{i:03d}|{said}|{said}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def texts(folder: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    """Exchanges as JSON lines."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "exchanges.jsonl"
    path.write_text("".join(json.dumps({"instruction": a, "output": b}) + "\n" for a, b in pairs))
    return path


def recipe(folder: Path, kind: str, inputs: Path, **fields: Any) -> Path:
    """A recipe on disk. `units` may be the path of a vocabulary; `source` is what it has beside the path of inputs."""
    if isinstance(units := fields.get("units"), Path):
        fields["units"] = {"vocabulary": str(units)}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.yaml"
    source = {"path": str(inputs), **fields.pop("source", {})}
    path.write_text(yaml.safe_dump({"kind": kind, "source": source, **fields}))
    return path


def samples(out: Path) -> list[dict[str, Any]]:
    """The samples as a trainer reads them, with plain webdataset."""
    shards = sorted(str(path) for path in (out / "data").glob("*.tar"))
    return list(webdataset.WebDataset(shards, shardshuffle=False))


def told(out: Path) -> Iterator[dict[str, Any]]:
    """The `key.json` of each sample."""
    return (json.loads(sample["json"]) for sample in samples(out))


def by_hand(path: Path, out: Path, units: Sequence[int], services: Services) -> None:
    """Commit `units` of a recipe in this order, in this process and without Ray, as one worker would."""
    checked = load_recipe(path)
    dag, store = make_dag(checked), Store(str(out))
    claim = make_claim(checked, dag)
    prepare(store, claim, dag.source, overwrite=False, retry_failed=False)
    for stage in dag.stages:
        for step in stage.steps:
            step.setup(services)
    sizes, payloads = dag.source.unit_sizes, dag.source.payloads(dag.source.unit_sizes)
    for unit in units:
        block = rows.begin(dag.source.read(sum(sizes[:unit]), sizes[unit]), unit)
        for stage in dag.stages:
            block = run_steps(block, stage.steps, stage.batch)
        packed = run_pack(block, dag.pack) if dag.pack else None
        commit_unit(store, unit, sizes[unit], block, dag.layout, {}, packed, payloads[unit], content_hash=claim.hash)
