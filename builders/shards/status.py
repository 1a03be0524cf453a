"""How far a dataset is, from its claim and its commit markers alone: whoever can read it can ask, no build is asked.

A finished dataset has a manifest and a marker of each unit, and answers with its manifest; the markers are listed
alone. Of one that is not finished they are read: all of them, or SAMPLED evenly spread ones, from which the others are
estimated. No other file of a unit is looked for: whether they are there, `verify` tells.
"""

from __future__ import annotations

import datetime
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from builders.llm.segments import LEDGER_NOTE, files_of, ledger_of
from builders.shards.dataset import (
    CLAIM,
    DRAWN,
    MANIFEST,
    Claim,
    committed,
    read_claim,
    read_manifest,
    read_marker,
)
from builders.shards.store import Store
from builders.shards.unit import marker_path
from schemas.errors import BuildError, UserError, first_line
from schemas.manifest import OUTCOMES, Funnel, UnitMarker, time_of

SAMPLED = 10_000
"""Markers that are read at most."""
RECENT_S = 600.0
"""The speed is that of the last ten minutes before the last commit."""
_AT_ONCE = 16
"""Markers that are read at a time: on an object store each takes a while."""
_LEDGER_TOTALS = ("requests", "answers", "tokens_in", "tokens_out", "usd", "unpriced")


@dataclass(frozen=True)
class Status:
    """What a dataset has come to. Units and inputs are exact: done are those that have a marker. The other counts are
    estimates where `estimated_from` tells how many markers they were taken from.

    `reasons` counts "outcome/step/reason" of records. `bytes` are those of shards. `inputs_per_second` and
    `last_committed` (ISO 8601, UTC) come from the clocks of the workers; None where no marker tells. `drawn`: of a
    dataset that ends in an artefact, units done and in all of what is drawn for it, while that is made. `cost` is the
    ledger's: of this dataset in all runs; None where nobody was asked, or where there is nothing at `ledger`.
    """

    kind: str
    finished: bool
    units: int
    units_done: int
    inputs: int
    inputs_done: int
    estimated_from: int | None = None
    kept: int = 0
    rejected: int = 0
    failed: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    samples: int = 0
    bytes: int = 0
    worker_seconds: Mapping[str, float] = field(default_factory=dict)
    inputs_per_second: float | None = None
    last_committed: str | None = None
    drawn: tuple[int, int] | None = None
    artefacts: tuple[str, ...] = ()
    ledger: str | None = None
    cost: Mapping[str, float] | None = None

    @property
    def seconds_left(self) -> float | None:
        """At this speed."""
        return (self.inputs - self.inputs_done) / self.inputs_per_second if self.inputs_per_second else None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "seconds_left": self.seconds_left}


def look_at(store: Store) -> Status:
    """The state of the dataset in `store`. Raises UserError where there is none, BuildError where it is damaged."""
    try:
        return _look_at(store)
    except OSError as error:
        why = error.strerror or first_line(error)
        raise BuildError(f"{error.filename or store}: cannot be read: {why}; mend that and ask again") from None


def _look_at(store: Store) -> Status:
    claim = read_claim(store) if store.exists(CLAIM) else None
    if claim is None:
        raise UserError(f"{store}: holds no gristmill dataset")
    kind = str(claim.content.get("recipe", {}).get("kind", "unknown"))
    done = committed(store)
    if done and done[-1] >= len(claim.unit_sizes):
        raise BuildError(
            f"{store}/{marker_path(done[-1])}: {CLAIM} has {len(claim.unit_sizes):,} units, and none of that number; "
            "delete it and ask again"
        )
    if len(done) == len(claim.unit_sizes) and store.exists(MANIFEST):  # who takes units back deletes the manifest first
        manifest = read_manifest(store)
        try:
            return _finished(kind, claim, manifest)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            mend = "delete it and run the same build command again"
            raise BuildError(f"{store}/{MANIFEST}: is no whole manifest ({error!r}); {mend}") from None
    told = _fold(store, spread(done), len(done))
    inputs_done = sum(claim.unit_sizes[unit] for unit in done)
    told |= _scaled(told, inputs_done)
    ledger, cost = _cost(store, claim)
    return Status(
        kind=kind,
        finished=False,
        units=len(claim.unit_sizes),
        units_done=len(done),
        inputs=sum(claim.unit_sizes),
        inputs_done=inputs_done,
        drawn=_drawn(store),
        ledger=ledger,
        cost=cost,
        **told,
    )


def _finished(kind: str, claim: Claim, manifest: Mapping[str, Any]) -> Status:
    """Raises TypeError, KeyError, AttributeError or ValueError where the manifest is none."""
    inputs = Funnel.from_json(manifest["funnel"]["inputs"])
    times, llm = manifest.get("times", {}), manifest.get("llm")
    samples, size, seconds = manifest["samples"], manifest.get("bytes", 0), times.get("worker_seconds", {})
    cost = {name: llm[name] for name in _LEDGER_TOTALS} if llm else None
    if not all(type(told) in (int, float) for told in (samples, size, *seconds.values(), *(cost or {}).values())):
        raise TypeError("it counts in numbers")
    finished = times.get("finished")
    return Status(
        kind=kind,
        finished=True,
        units=len(claim.unit_sizes),
        units_done=len(claim.unit_sizes),
        inputs=inputs.total,
        inputs_done=inputs.total,
        **{name: getattr(inputs, name) for name in OUTCOMES},
        reasons=manifest["funnel"]["records"]["reasons"],
        samples=samples,
        bytes=size,
        worker_seconds=seconds,
        last_committed=time_of(finished).isoformat(timespec="seconds") if finished else None,
        artefacts=tuple(file["path"] for file in manifest.get("artefacts", [])),
        cost=cost,
    )


def spread(units: Sequence[int]) -> Sequence[int]:
    """SAMPLED of them at most, evenly spread."""
    return units[:: math.ceil(len(units) / SAMPLED) or 1]


def _fold(store: Store, units: Sequence[int], done: int) -> dict[str, Any]:
    """The sums over the markers of `units`; a few are in memory at a time."""
    inputs, reasons = Funnel(), Counter[str]()
    seconds: dict[str, float] = {}
    commits: list[tuple[datetime.datetime, int]] = []
    samples = size = read = 0
    for marker in _markers(store, units):
        read += 1
        inputs.add(marker.inputs)
        reasons.update(marker.records.reasons)
        for step, took in marker.seconds.items():
            seconds[step] = seconds.get(step, 0.0) + took
        samples += marker.samples
        size += marker.shard.size if marker.shard else 0
        if marker.committed:
            commits.append((marker.committed, marker.inputs.total))
    speed = _speed(commits)
    return {
        "estimated_from": read if read < done else None,
        **{name: getattr(inputs, name) for name in OUTCOMES},
        "reasons": dict(reasons.most_common()),
        "samples": samples,
        "bytes": size,
        "worker_seconds": {step: round(told, 3) for step, told in seconds.items()},
        "inputs_per_second": speed * done / read if speed else None,
        "last_committed": max(commits)[0].isoformat(timespec="seconds") if commits else None,
    }


def _markers(store: Store, units: Sequence[int]) -> Iterator[UnitMarker]:
    """The markers of `units`, but for those that a build has taken back since they were listed."""

    def read(unit: int) -> UnitMarker | None:
        try:
            return read_marker(store, unit)
        except UserError:
            if store.exists(marker_path(unit)):
                raise
            return None

    rest = iter(units)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while some := list(islice(rest, 64 * _AT_ONCE)):
            yield from (marker for marker in pool.map(read, some) if marker)


def _speed(commits: Sequence[tuple[datetime.datetime, int]]) -> float | None:
    """Inputs a second in the last RECENT_S before the last commit."""
    if not commits:
        return None
    last = max(commits)[0]
    recent = [one for one in commits if (last - one[0]).total_seconds() <= RECENT_S]
    first = min(recent)[0]
    took = (last - first).total_seconds()
    return sum(inputs for at, inputs in recent if at > first) / took if took else None


def _scaled(told: Mapping[str, Any], inputs_done: int) -> dict[str, Any]:
    """What was counted in the markers that were read, for all that are there."""
    read = sum(told[name] for name in OUTCOMES)
    share = inputs_done / read if read else 1.0
    counts: dict[str, Any] = {name: round(told[name] * share) for name in (*OUTCOMES, "samples", "bytes")}
    counts["reasons"] = {why: round(count * share) for why, count in told["reasons"].items()}
    return counts | {"worker_seconds": {step: round(s * share, 3) for step, s in told["worker_seconds"].items()}}


def _drawn(store: Store) -> tuple[int, int] | None:
    """How many units of what is drawn are done, and there are in all."""
    claims = [path for path in store.list_below(DRAWN) if path.endswith(f"/{CLAIM}")]
    if not claims:
        return None
    drawn = store.below(claims[-1].removesuffix(f"/{CLAIM}"))
    claim = read_claim(drawn) if drawn.exists(CLAIM) else None  # gone with the rest when the artefact is made
    return (len(committed(drawn)), len(claim.unit_sizes)) if claim else None


def _cost(store: Store, claim: Claim) -> tuple[str | None, dict[str, float] | None]:
    """Where the ledger is, and what this dataset has cost by what it tells."""
    at = ledger_of(store)
    if not files_of(at):
        return (str(at) if store.exists(LEDGER_NOTE) else None), None
    from builders.llm.ledger import Ledger

    return str(at), asdict(Ledger(at).totals(claim.hash))
