"""Builds in the one Ray of the test run, and what a dataset holds afterwards."""

from __future__ import annotations

import hashlib
import json
import logging
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
import ray

from builders import rows
from builders.shards.store import Store
from builders.shards.unit import commit_unit
from pipelines.dag import Dag
from pipelines.kinds import make_dag
from pipelines.run import build
from pipelines.state import make_claim, prepare
from pipelines.work import run_steps
from schemas.load import load_recipe
from schemas.recipe import Recipe


@pytest.fixture(scope="session")
def one_ray() -> Iterator[None]:
    """Ray with 2 CPUs, one for the whole run, in which `build` finds itself. Helper modules travel to it by value."""
    from tests.pipelines import coco, toys

    if not ray.is_initialized():
        ray.init(address="local", include_dashboard=False, num_cpus=2, log_to_driver=False, logging_level=logging.ERROR)
    for module in (coco, toys):
        ray.cloudpickle.register_pickle_by_value(module)
    yield
    ray.shutdown()


def mill(
    recipe: Path, out: Path, *sets: str, dag: Dag | None = None, overwrite: bool = False, retry_failed: bool = False
) -> dict[str, Any]:
    """Build a recipe, or `dag` in its place, into `out`. Returns the manifest."""
    checked = load_recipe(recipe, sets)
    return build(checked, dag or make_dag(checked), Store(str(out)), overwrite=overwrite, retry_failed=retry_failed)


def data_files(out: Path) -> dict[str, str]:
    """SHA-256 of every file whose bytes a build promises: shards, index and rejects."""
    files = [file for folder in ("data", "index", "rejects") for file in (out / folder).glob("*")]
    return {file.relative_to(out).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}


def times(out: Path) -> dict[str, int]:
    """When each committed unit's marker was written, in nanoseconds."""
    return {file.name: file.stat().st_mtime_ns for file in sorted((out / "units").glob("*.json"))}


def marker(out: Path, unit: int) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((out / f"units/{unit:06d}.json").read_text())
    return data


def table(out: Path, view: str, *columns: str) -> list[tuple[Any, ...]]:
    """Columns of `index` or `rejects`, sorted, as DuckDB reads the files themselves."""
    sql = f"select {', '.join(columns)} from read_parquet('{out}/{view}/*.parquet') order by all"
    rows: Sequence[tuple[Any, ...]] = duckdb.sql(sql).fetchall()
    return list(rows)


def samples(out: Path) -> dict[str, dict[str, Any]]:
    """Each sample's JSON, by key."""
    found = {}
    for shard in sorted((out / "data").glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    found[member.name.removesuffix(".json")] = json.load(tar.extractfile(member))  # type: ignore[arg-type]
    return found


def losses(out: Path) -> dict[str, tuple[str, str, str]]:
    """Of each lost record: outcome, step and reason."""
    verdicts = table(out, "rejects", "key", "outcome", "step", "reason")
    return {key: (outcome, step, reason) for key, outcome, step, reason in verdicts}


def commit_by_hand(recipe: Recipe, dag: Dag, out: Path, units: Sequence[int]) -> None:
    """Commit `units` of `dag` as the workers would, in this process and without Ray."""
    store = Store(str(out))
    claim = make_claim(recipe, dag)
    prepare(store, claim, dag.source, overwrite=False, retry_failed=False)
    sizes, payloads = dag.source.unit_sizes, dag.source.payloads(dag.source.unit_sizes)
    for unit in units:
        block = rows.begin(dag.source.read(sum(sizes[:unit]), sizes[unit]), unit)
        for stage in dag.stages:
            block = run_steps(block, stage.steps, stage.batch)
        told = {"payloads": payloads[unit], "content_hash": claim.hash}
        commit_unit(store, unit, sizes[unit], block, dag.layout, {}, **told)
