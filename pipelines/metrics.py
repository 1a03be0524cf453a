"""What Prometheus is told of a build, through Ray: what was committed, and what a model was asked.

Ray puts `ray_` before a name and `_total` after that of a counter, and adds tags that say which process counted. One
process counts for the whole build: the one that every commit is told to, and the one that asks. So a task that is tried
again counts nothing twice, and sums over all processes are sums over builds.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray.util.metrics import Counter, Gauge

from schemas.manifest import OUTCOMES, UnitMarker

REASONS = 200
"""Reasons of one dataset that are counted apart; what comes after has the reason OTHER, so that series are bounded."""
OTHER = "other"


@dataclass(frozen=True)
class Meter:
    """One metric. `tags` come beside `dataset`, and have few values: no keys, URLs or hosts."""

    name: str
    told: str
    tags: tuple[str, ...] = ()
    gauge: bool = False

    @property
    def exported(self) -> str:
        """What Prometheus calls it."""
        return f"ray_{self.name}" if self.gauge else f"ray_{self.name}_total"


UNITS = Meter("gristmill_units", "Committed units")
INPUTS = Meter("gristmill_inputs", "Inputs of committed units, by what became of them", ("outcome",))
RECORDS = Meter(
    "gristmill_records",
    "Records of committed units, by what became of them, and where; a kept one has no stage, step and reason",
    ("outcome", "stage", "step", "reason"),
)
SAMPLES = Meter("gristmill_samples", "Samples in committed shards")
BYTES = Meter("gristmill_bytes", "Bytes of committed files, by their folder", ("folder",))
SECONDS = Meter("gristmill_step_seconds", "Worker seconds that committed units took", ("stage", "step"))
UNITS_LEFT = Meter("gristmill_units_left", "Units that are not committed yet", gauge=True)
INPUTS_LEFT = Meter("gristmill_inputs_left", "Inputs of units that are not committed yet", gauge=True)
REQUESTS = Meter("gristmill_llm_requests", "Attempts at requests", ("part", "model"))
ANSWERS = Meter(
    "gristmill_llm_answers", "Answers, by whether they were asked for or in the ledger", ("part", "model", "source")
)
TOKENS = Meter("gristmill_llm_tokens", "Tokens of requests (in) and answers (out)", ("part", "model", "direction"))
USD = Meter("gristmill_llm_usd", "US dollars that attempts cost", ("part", "model"))
SAVED_USD = Meter("gristmill_llm_saved_usd", "US dollars that answers in the ledger had cost", ("part", "model"))

METERS = (
    *(UNITS, INPUTS, RECORDS, SAMPLES, BYTES, SECONDS, UNITS_LEFT, INPUTS_LEFT),
    *(REQUESTS, ANSWERS, TOKENS, USD, SAVED_USD),
)


@functools.cache
def _instrument(meter: Meter) -> Any:
    kind = Gauge if meter.gauge else Counter
    return kind(meter.name, description=meter.told, tag_keys=("dataset", *meter.tags))


class Meters:
    """The meters of one dataset, in a process of Ray's. `common`: tags that all calls have."""

    def __init__(self, dataset: str, **common: str) -> None:
        self._common = {"dataset": dataset, **common}

    def add(self, meter: Meter, amount: float, **tags: str) -> None:
        if amount > 0:  # Ray refuses 0
            _instrument(meter).inc(amount, {**self._common, **tags})

    def set(self, meter: Meter, value: float) -> None:
        _instrument(meter).set(value, self._common)


class UnitMeters:
    """Counts committed units. `stages` tells the stage of each step."""

    def __init__(self, meters: Meters, stages: Mapping[str, str]) -> None:
        self._meters, self._stages = meters, stages
        self._reasons: set[str] = set()

    def count(self, marker: UnitMarker) -> None:
        add = self._meters.add
        add(UNITS, 1)
        for outcome in OUTCOMES:
            add(INPUTS, getattr(marker.inputs, outcome), outcome=outcome)
        add(RECORDS, marker.records.kept, outcome="kept", stage="", step="", reason="")
        for why, count in marker.records.reasons.items():
            outcome, step, reason = why.split("/", 2)
            reason = reason if self._is_told_apart(why) else OTHER
            add(RECORDS, count, outcome=outcome, stage=self._stages.get(step, ""), step=step, reason=reason)
        add(SAMPLES, marker.samples)
        for file in (marker.shard, marker.index, marker.rejects, marker.embeddings):
            if file:
                add(BYTES, file.size, folder=file.path.split("/", 1)[0])
        for step, seconds in marker.seconds.items():
            add(SECONDS, seconds, stage=self._stages.get(step, ""), step=step)

    def _is_told_apart(self, why: str) -> bool:
        if len(self._reasons) < REASONS:
            self._reasons.add(why)
        return why in self._reasons

    def left(self, units: float, inputs: float) -> None:
        """So much is not committed yet."""
        self._meters.set(UNITS_LEFT, units)
        self._meters.set(INPUTS_LEFT, inputs)


def count_asked(meters: Meters, amounts: Mapping[str, float]) -> None:
    """Count what a model was asked, as `Asker` tells it."""
    meters.add(REQUESTS, amounts.get("asked", 0))
    meters.add(ANSWERS, amounts.get("answers", 0), source="asked")
    meters.add(ANSWERS, amounts.get("from_ledger", 0), source="ledger")
    for direction in ("in", "out"):
        meters.add(TOKENS, amounts.get(f"tokens_{direction}", 0), direction=direction)
    meters.add(USD, amounts.get("usd", 0))
    meters.add(SAVED_USD, amounts.get("saved_usd", 0))
