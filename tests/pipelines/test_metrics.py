"""What Prometheus is told of committed units and of a model that was asked. No Ray."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pipelines import metrics
from pipelines.metrics import METERS, OTHER, Meter, UnitMeters, count_asked
from pipelines.services import NEWS, Watch, Watched
from schemas.manifest import File, Funnel, UnitMarker

Told = Counter[tuple[str, tuple[tuple[str, str], ...]]]


class Kept:
    """Meters that keep what they are told."""

    def __init__(self) -> None:
        self.added: Told = Counter()
        self.values: dict[str, float] = {}

    def add(self, meter: Meter, amount: float, **tags: str) -> None:
        assert set(tags) <= set(meter.tags)
        if amount:
            self.added[meter.name.removeprefix("gristmill_"), tuple(sorted(tags.items()))] += amount  # type: ignore[assignment]

    def set(self, meter: Meter, value: float) -> None:
        self.values[meter.name.removeprefix("gristmill_")] = value


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """What a `Watch` tells Prometheus."""
    meters = Kept()
    monkeypatch.setattr("pipelines.services.Meters", lambda dataset: meters)
    return meters


def marker(unit: int, inputs: Funnel, records: Funnel | None = None, **seconds: float) -> UnitMarker:
    def file(folder: str, size: int) -> File:
        return File(f"{folder}/{unit:06d}.x", size, "0" * 64)

    files = (file("data", 1000), file("index", 20), file("rejects", 3), None)
    return UnitMarker(unit, inputs, records or inputs, (records or inputs).kept, *files, {}, "", "", seconds)


def funnel(kept: int = 0, **reasons: int) -> Funnel:
    """Of `kept`, and of losses named rejected__step__reason."""
    named = {name.replace("__", "/"): count for name, count in reasons.items()}
    lost = {what: sum(n for name, n in named.items() if name.startswith(what)) for what in ("rejected", "failed")}
    return Funnel(kept + sum(named.values()), kept, lost["rejected"], lost["failed"], named)


MIXED = funnel(7, rejected__clip__low_score=2, failed__decode__OSError=1)


def watch(units: int = 3, inputs: int = 30, max_failed: float = 1.0) -> Watch:
    start = {"units": 0.0, "inputs": 0.0, "samples": 0.0, "kept": 0.0, "rejected": 0.0, "failed": 0.0}
    return Watch(Watched("cats", {"clip": "model", "decode": "read"}, units, inputs, max_failed, start))


def test_a_committed_unit_is_counted_by_outcome_stage_step_and_reason(kept: Kept) -> None:
    watch().commit(marker(0, MIXED, clip=1.5, decode=0.25))

    assert kept.added == {
        ("units", ()): 1,
        ("inputs", (("outcome", "kept"),)): 7,
        ("inputs", (("outcome", "rejected"),)): 2,
        ("inputs", (("outcome", "failed"),)): 1,
        ("records", (("outcome", "kept"), ("reason", ""), ("stage", ""), ("step", ""))): 7,
        ("records", (("outcome", "rejected"), ("reason", "low_score"), ("stage", "model"), ("step", "clip"))): 2,
        ("records", (("outcome", "failed"), ("reason", "OSError"), ("stage", "read"), ("step", "decode"))): 1,
        ("samples", ()): 7,
        ("bytes", (("folder", "data"),)): 1000,
        ("bytes", (("folder", "index"),)): 20,
        ("bytes", (("folder", "rejects"),)): 3,
        ("step_seconds", (("stage", "model"), ("step", "clip"))): 1.5,
        ("step_seconds", (("stage", "read"), ("step", "decode"))): 0.25,
    }
    assert kept.values == {"units_left": 2, "inputs_left": 20}


def test_before_the_first_unit_all_that_earlier_runs_left_is_left(kept: Kept) -> None:
    start = {"units": 2.0, "inputs": 20.0, "samples": 0.0, "kept": 20.0, "rejected": 0.0, "failed": 0.0}
    Watch(Watched("cats", {}, 5, 45, 1.0, start))

    assert kept.values == {"units_left": 3, "inputs_left": 25}
    assert not kept.added, "earlier runs counted their own"


def test_a_unit_that_is_committed_again_by_a_task_that_was_tried_again_counts_once(kept: Kept) -> None:
    told = watch()
    for unit in (0, 1, 0, 1, 0):
        told.commit(marker(unit, MIXED))

    assert kept.added["units", ()] == 2
    assert (told.read()["inputs"], told.read()["failed"]) == (20, 2)
    assert told.news(0)[0] == 2


def test_a_unit_that_is_committed_again_still_stops_a_broken_stage(kept: Kept) -> None:
    broken = watch(3, 30, max_failed=0.05)
    for unit in range(3):
        answers = [broken.commit(marker(unit, MIXED)) for _ in range(2)]
        assert answers == [unit < 2] * 2, "judged when all inputs were seen"


def test_reasons_beyond_the_bound_are_counted_together(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "REASONS", 3)
    meters: Any = kept
    counting = UnitMeters(meters, {})
    for unit in range(10):
        counting.count(marker(unit, Funnel(1, 0, 1, 0, {f"rejected/clip/why {unit}": 1})))
    counting.count(marker(10, Funnel(1, 0, 1, 0, {"rejected/clip/why 0": 1})))

    reasons = {dict(tags)["reason"]: n for (name, tags), n in kept.added.items() if name == "records"}
    assert reasons == {"why 0": 2, "why 1": 1, "why 2": 1, OTHER: 7}


def test_what_a_model_was_asked_is_counted_with_tokens_and_money() -> None:
    kept = Kept()
    meters: Any = kept
    count_asked(meters, {"asked": 3, "answers": 2, "unpriced": 0, "usd": 0.5, "tokens_in": 700, "tokens_out": 30})
    count_asked(meters, {"from_ledger": 4, "saved_usd": 0.25})
    count_asked(meters, {"lost_media": 1})

    assert kept.added == {
        ("llm_requests", ()): 3,
        ("llm_answers", (("source", "asked"),)): 2,
        ("llm_answers", (("source", "ledger"),)): 4,
        ("llm_tokens", (("direction", "in"),)): 700,
        ("llm_tokens", (("direction", "out"),)): 30,
        ("llm_usd", ()): 0.5,
        ("llm_saved_usd", ()): 0.25,
    }


def test_meters_have_names_of_their_own_and_no_tag_that_grows_with_the_data() -> None:
    names = [meter.name for meter in METERS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("gristmill_") for name in names)
    bounded = {"outcome", "stage", "step", "reason", "folder", "part", "model", "source", "direction"}
    assert {tag for meter in METERS for tag in meter.tags} <= bounded
    assert {meter.exported for meter in METERS if meter.gauge} == {
        "ray_gristmill_units_left",
        "ray_gristmill_inputs_left",
    }
    assert all(meter.exported.endswith("_total") for meter in METERS if not meter.gauge)


# -- the lines of units


def test_the_news_are_the_units_since_the_last_time_as_lines(kept: Kept) -> None:
    told = watch()
    told.commit(marker(0, MIXED, clip=1.5, decode=0.25))
    assert told.news(0) == (
        1,
        [
            {
                "unit": 0,
                "inputs": 10,
                "kept": 7,
                "rejected": 2,
                "failed": 1,
                "samples": 7,
                "bytes": 1000,
                "seconds": 1.75,
                "reasons": {"rejected/clip/low_score": 2, "failed/decode/OSError": 1},
                "units_done": 1,
                "units": 3,
            }
        ],
    )
    told.commit(marker(2, MIXED))
    seen, units = told.news(1)
    assert (seen, [unit["unit"] for unit in units]) == (2, [2])
    assert told.news(2) == (2, [])


def test_of_more_units_than_are_kept_the_last_ones_are_told_and_all_are_counted(kept: Kept) -> None:
    told = watch(units=100, inputs=1000)
    for unit in range(100):
        told.commit(marker(unit, MIXED))

    seen, units = told.news(5)
    assert seen == 100
    assert [unit["unit"] for unit in units] == list(range(100 - NEWS, 100))


def test_news_of_a_watch_that_was_started_anew_are_none_until_it_has_some(kept: Kept) -> None:
    told = watch()
    told.commit(marker(0, MIXED))

    assert told.news(7) == (1, [])
