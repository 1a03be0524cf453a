"""Builds a dataset: the driver, from a recipe to the manifest."""

from __future__ import annotations

import datetime
import json
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pyarrow as pa
import ray

from builders.llm.request import Purpose
from builders.places.persist import StoreError
from builders.shards.carry import candidates
from builders.shards.dataset import MANIFEST, is_claimed, read_manifest, read_markers, retired
from builders.shards.finish import finish
from builders.shards.lease import Signature, leased
from builders.shards.store import Store
from pipelines.asking import account, asked, check_keys, key_of, note_ledger
from pipelines.batch_pass import ask_in_batches
from pipelines.cluster import of_session
from pipelines.dag import Dag
from pipelines.fit import fit_artefact
from pipelines.hardware import Cluster, lacking, place, unplaceable
from pipelines.progress import Display, News, say
from pipelines.services import HostsActor, TooManyFailed, WatchActor, Watched, beside_driver, failure_limit_passed
from pipelines.state import State, make_claim, prepare
from pipelines.units import Handle, Job, ShardSink
from pipelines.wave import configure, run_wave, waves
from schemas.errors import BuildError, UserError, first_line
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
    is_claimed(store)  # what is no dataset of ours gets no lease either
    with leased(store, job_id()) as signature:
        try:
            return _build_alone(recipe, dag, store.guarded(signature.check), signature, overwrite, retry_failed)
        except (BuildError, UserError, OSError):
            with suppress(UserError, StoreError):
                signature.check()  # somebody else's files would be told as damage
            raise


def _build_alone(
    recipe: Recipe, dag: Dag, store: Store, signature: Signature, overwrite: bool = False, retry_failed: bool = False
) -> dict[str, Any]:
    """Build while nobody else does."""
    started = time.time()
    claim = make_claim(recipe, dag)
    state = prepare(store, claim, dag.source, overwrite=overwrite, retry_failed=retry_failed)
    if not state.left and store.exists(MANIFEST):
        manifest = read_manifest(store)
        if manifest["name"] == recipe.name and all(store.exists(f["path"]) for f in manifest.get("artefacts", [])):
            print(f"{store}: nothing to do, all {state.done:,} units are committed", file=sys.stderr)
            return manifest
    name = recipe.name or dag.name
    say(name, "build_started", units=len(state.claim.unit_sizes), units_done=state.done, inputs=state.inputs)
    try:
        with ray_session() if dag.fit else nullcontext():  # one for the units, and for what is drawn of them
            manifest = _build(recipe, dag, store, state, signature, started)
    except BaseException as error:
        ours = isinstance(error, BuildError | UserError)
        say(name, "build_stopped", "error", error=str(error) if ours else type(error).__name__)
        raise
    told = {key: manifest[key] for key in ("samples", "bytes", "dataset_digest")}
    say(name, "build_finished", **told, seconds=manifest["times"]["seconds"])
    return manifest


def _build(
    recipe: Recipe, dag: Dag, store: Store, state: State, signature: Signature, started: float
) -> dict[str, Any]:
    """Build what is left, and close the dataset."""
    purpose = Purpose(state.claim.hash, uuid.uuid4().hex)
    if dag.asks:
        note_ledger(store, dag.asks.settings)
    try:
        ran = run_units(recipe, dag, store, state, purpose, signature) if state.left else Ran()
    except TooManyFailed:
        raise BuildError(failures(store, _funnel(read_markers(store)), recipe.max_failed)) from None
    built = _funnel(read_markers(store, state.left))
    built.add(state.funnel)
    if failure_limit_passed(built.failed, built.total, state.inputs, recipe.max_failed):
        raise BuildError(failures(store, built, recipe.max_failed))
    times = {
        "started": _utc(started),
        "finished": _utc(time.time()),
        "seconds": round(time.time() - started, 3),
        "ray_start_seconds": round(ran.ray_seconds, 3),
        "units_built": len(state.left),
    }
    of_drawn = recipe.model_copy(update={"name": f"{recipe.name or dag.name}/drawn"})  # so that it is counted apart
    fitted = fit_artefact(dag, dag.fit, store, partial(_build_drawn, of_drawn, signature)) if dag.fit else None
    manifest = finish(
        store,
        state.claim,
        read_markers(store),
        recipe.model_dump(mode="json"),
        times,
        dag.source.facts(),
        exceptions(dag),
        account(dag, store, purpose, ran.counted),
        fitted,
        dag.statistics(store) if dag.statistics else None,
        dag.chosen,
    )
    store.sweep()
    return manifest


def _build_drawn(recipe: Recipe, signature: Signature, drawn: Dag, store: Store) -> dict[str, Any]:
    """What is drawn for an artefact, below the output: under its signature."""
    return _build_alone(recipe, drawn, store, signature)


def job_id() -> str | None:
    """What `ray job submit` calls this job."""
    try:
        told = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}"))
        return str(told["metadata"]["job_submission_id"])
    except (ValueError, KeyError, TypeError):
        return None


def exceptions(dag: Dag) -> list[str]:
    """Why another build of the DAG may come to other bytes."""
    told = [*([FETCHED] if dag.fetches else []), *dag.unrepeatable]
    if dag.asks:
        model = dag.asks.settings.model
        told.append(f"{model} was asked: another build gets its answers from the same ledger, or other ones")
    return told


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


@dataclass(frozen=True)
class Ran:
    """What a run took and did: the seconds until Ray had started, and what was counted where a model was asked."""

    ray_seconds: float = 0.0
    counted: Mapping[str, float] = field(default_factory=dict)


def run_units(recipe: Recipe, dag: Dag, store: Store, state: State, purpose: Purpose, signature: Signature) -> Ran:
    """Build and commit the units that are left."""
    began = time.monotonic()
    if dag.asks:
        key_of(dag.asks.settings)
    check_keys(dag.keys)
    with ray_session() as cluster:
        if problem := unplaceable(dag.all_stages, cluster):
            raise UserError(problem)
        took = time.monotonic() - began
        if needing := lacking(dag.stages, cluster):
            raise UserError(
                f"{needing[0]} needs a GPU, and this cluster ({cluster}) has none; set fp32, or build where one is"
            )
        for stage, placement in zip(dag.stages, place(dag.stages, cluster), strict=True):
            if placement.note:
                print(f"stage {stage.name}: {placement}", file=sys.stderr, flush=True)
        funnel = state.funnel
        start = {"units": float(state.done), "inputs": float(funnel.total), "samples": 0.0}
        start |= {name: float(getattr(funnel, name)) for name in OUTCOMES}
        name, units = recipe.name or dag.name, len(state.claim.unit_sizes)
        stages = {step.name: stage.name for stage in dag.stages for step in stage.steps}
        watch = WatchActor.options(**beside_driver()).remote(
            Watched(name, stages, units, state.inputs, recipe.max_failed, start)
        )
        past = {} if dag.pack or dag.fit else candidates(retired(store, state.claim), state.left, state.payloads)
        payloads = pa.array(state.payloads, pa.string())
        claim = state.claim
        job = Job(uuid.uuid4().hex, name, dag, claim.unit_sizes, payloads, claim.hash, store, signature, past)
        hosts = HostsActor.options(**beside_driver()).remote() if dag.fetches else None
        handle = Handle(ray.put(job), job.id, watch, hosts)
        if dag.asks and dag.asks.settings.kind == "openai_batch":
            ask_in_batches(dag, dag.asks, store, purpose, handle, state.left, cluster)
        with asked(name, dag, store, purpose) as llm:
            handle = replace(handle, llm=llm)
            read, news = _reader(watch, llm), _news(watch)
            with Display(name, read, news, units, state.inputs, start, _calls(dag, state)):
                for wave in waves(state.claim.unit_sizes, state.left):
                    signature.check()
                    run_wave(handle, dag.stages, wave, cluster, ShardSink(handle))
            return Ran(took, ray.get(llm.counted.remote()) if llm else {})


def _reader(watch: ray.actor.ActorHandle, llm: ray.actor.ActorHandle | None) -> Callable[[], Mapping[str, float]]:
    def read() -> Mapping[str, float]:
        asked = [llm.counted.remote()] if llm else []
        return {name: n for counts in ray.get([watch.read.remote(), *asked], timeout=5) for name, n in counts.items()}

    return read


def _news(watch: ray.actor.ActorHandle) -> News:
    return lambda seen: ray.get(watch.news.remote(seen), timeout=5)


def _calls(dag: Dag, state: State) -> int:
    """Requests to a language model that the units left may make."""
    return dag.asks.most(sum(state.claim.unit_sizes[unit] for unit in state.left)) if dag.asks else 0


def _start(address: str | None) -> None:
    """Join the cluster at `address`, or start Ray on this machine. Raises UserError where there is no cluster, and
    BuildError where Ray does not start."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    ended = signal.getsignal(signal.SIGTERM)
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", include_dashboard=False, **quiet)
    except Exception as error:  # timeouts of Ray's are RuntimeError, TimeoutError, or plain Exception
        if address and isinstance(error, ConnectionError):
            why = str(error).split("\n", 1)[0]
            raise UserError(f"RAY_ADDRESS {address}: {why}; start the cluster, or unset RAY_ADDRESS") from None
        if address:
            mend = "try again, ask `ray status` how the cluster is, or unset RAY_ADDRESS"
            raise BuildError(f"RAY_ADDRESS {address}: Ray could not join it: {first_line(error)}; {mend}") from None
        mend = "try again when the machine has less to do, or set RAY_ADDRESS to a cluster that runs"
        raise BuildError(f"Ray could not start: {first_line(error)}; {mend}") from None
    if callable(ended) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ended)  # Ray has put its own, which aborts in the midst of what it is at


@contextmanager
def ray_session() -> Iterator[Cluster]:
    """Ray, and what it has: the session that this process is in already, the cluster of RAY_ADDRESS, or a local one."""
    ours = not ray.is_initialized()
    if ours:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        _start(os.environ.get("RAY_ADDRESS"))
    configure()
    try:
        yield of_session()
    finally:
        if ours:
            ray.shutdown()
