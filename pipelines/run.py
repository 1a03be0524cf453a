"""Builds a dataset: the driver, from a recipe to the manifest."""

from __future__ import annotations

import datetime
import logging
import os
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import ray

from builders.shards.carry import candidates
from builders.shards.dataset import MANIFEST, read_manifest, read_marker, read_markers, retired
from builders.shards.finish import finish
from builders.shards.store import Store
from pipelines.dag import Dag
from pipelines.hardware import Cluster
from pipelines.progress import Display
from pipelines.services import HostsActor, TooManyFailed, WatchActor, failure_limit_passed
from pipelines.state import State, make_claim, prepare
from pipelines.units import Handle, Job
from pipelines.wave import WAVE, configure, run_wave
from schemas.errors import BuildError
from schemas.manifest import OUTCOMES, Funnel, UnitMarker, summed
from schemas.recipe import Recipe

FETCHED = "images were fetched over the network: another build gets what the servers send then"
"""The exception from determinism of a DAG that fetches."""


def build(
    recipe: Recipe, dag: Dag, store: Store, *, overwrite: bool = False, retry_failed: bool = False
) -> dict[str, Any]:
    """Build `dag` into `store`, or go on where an earlier run stopped. Returns the manifest.

    Raises UserError where recipe and output do not fit, BuildError where the build stops; what is committed stays.
    """
    started = time.time()
    claim = make_claim(recipe, dag)
    state = prepare(store, claim, dag.source, overwrite=overwrite, retry_failed=retry_failed)
    if not state.left and store.exists(MANIFEST):
        manifest = read_manifest(store)
        if manifest["name"] == recipe.name:
            print(f"{store}: nothing to do, all {len(state.done):,} units are committed", file=sys.stderr)
            return manifest
    try:
        ray_seconds = run_units(dag, store, state, recipe.max_failed) if state.left else 0.0
    except TooManyFailed:
        raise BuildError(failures(store, _funnel(read_markers(store)), recipe.max_failed)) from None
    markers = sorted([*state.done, *(read_marker(store, unit) for unit in state.left)], key=lambda marker: marker.unit)
    funnel = _funnel(markers)
    if failure_limit_passed(funnel.failed, funnel.total, state.inputs, recipe.max_failed):
        raise BuildError(failures(store, funnel, recipe.max_failed))
    times = {
        "started": _utc(started),
        "finished": _utc(time.time()),
        "seconds": round(time.time() - started, 3),
        "ray_start_seconds": round(ray_seconds, 3),
        "units_built": len(state.left),
    }
    told = recipe.model_dump(mode="json")
    manifest = finish(store, state.claim, markers, told, times, dag.source.facts(), [FETCHED] if dag.fetches else [])
    store.sweep()
    return manifest


def _funnel(markers: Iterable[UnitMarker]) -> Funnel:
    return summed(marker.inputs for marker in markers)


def failures(store: Store, funnel: Funnel, allowed: float) -> str:
    """Why a build with too many failed records stopped, with the commonest errors and the mend."""
    reasons = [(why.split("/", 1)[1], n) for why, n in funnel.as_json()["reasons"].items() if why.startswith("failed/")]
    commonest = ", ".join(f"{why} ({n:,})" for why, n in reasons[:3])
    share = funnel.failed / max(funnel.total, 1)
    details = "select key, step, reason, detail from rejects where outcome = 'failed'"
    return (
        f"stopped: {funnel.failed:,} of {funnel.total:,} records failed ({share:.1%}); max_failed is {allowed:.1%}. "
        f'Commonest: {commonest}. Details: gristmill query {store} "{details}". '
        "Mend the cause and build again with --retry-failed, or raise max_failed"
    )


def _utc(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


def run_units(dag: Dag, store: Store, state: State, max_failed: float) -> float:
    """Build and commit the units that are left. Returns the seconds that Ray took to start."""
    began = time.monotonic()
    with ray_session() as cluster:
        took = time.monotonic() - began
        funnel = state.funnel
        start = {"units": float(len(state.done)), "inputs": float(funnel.total), "samples": 0.0}
        start |= {name: float(getattr(funnel, name)) for name in OUTCOMES}
        watch = WatchActor.remote(state.inputs, max_failed, start)
        name = uuid.uuid4().hex
        past = {} if dag.pack else candidates(retired(store), state.left, state.payloads)
        job = Job(name, dag, state.claim.unit_sizes, state.payloads, store, past)
        handle = Handle(ray.put(job), name, watch, HostsActor.remote() if dag.fetches else None)
        with Display(lambda: ray.get(watch.read.remote(), timeout=5), len(state.claim.unit_sizes), state.inputs, start):
            for first in range(0, len(state.left), WAVE):
                run_wave(handle, dag, state.claim.unit_sizes, state.left[first : first + WAVE], cluster)
        return took


@contextmanager
def ray_session() -> Iterator[Cluster]:
    """Ray, and what it has: the session that this process is in already, the cluster of RAY_ADDRESS, or a local one."""
    ours = not ray.is_initialized()
    if ours:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        address = os.environ.get("RAY_ADDRESS")
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", include_dashboard=False, **quiet)
    configure()
    resources = ray.cluster_resources()
    try:
        yield Cluster(max(1, int(resources.get("CPU", 1))), int(resources.get("GPU", 0)))
    finally:
        if ours:
            ray.shutdown()
