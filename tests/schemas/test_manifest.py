"""The funnel and the marker: sums that add up, and that survive being written."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.manifest import OUTCOMES, File, Funnel, UnitMarker, summed

REASONS = st.sampled_from(["read_image/not_an_image", "chunks/no_chunk", "select/no_box"])
COUNTED = st.one_of(st.just(("kept", None)), st.tuples(st.sampled_from(["rejected", "failed"]), REASONS))
COUNTS = st.lists(COUNTED, max_size=30)


def funnel(counts: list[tuple[str, str | None]]) -> Funnel:
    made = Funnel()
    for outcome, why in counts:
        made.count(outcome, why)
    return made


def test_a_funnel_counts_outcomes_and_why() -> None:
    made = funnel([("kept", None), ("rejected", "select/no_box"), ("rejected", "select/no_box"), ("failed", "read/E")])
    assert (made.total, made.kept, made.rejected, made.failed) == (4, 1, 2, 1)
    assert made.reasons == {"rejected/select/no_box": 2, "failed/read/E": 1}


def test_reasons_are_told_commonest_first() -> None:
    made = funnel([("failed", "b"), ("failed", "a"), ("rejected", "z"), ("rejected", "z")])
    assert list(made.as_json()["reasons"]) == ["rejected/z", "failed/a", "failed/b"]


@given(COUNTS)
def test_a_funnel_is_conserved_until_somebody_is_lost(counts: list[tuple[str, str | None]]) -> None:
    made = funnel(counts)
    assert made.conserved()
    assert made.total == len(counts)
    made.total += 1
    assert not made.conserved()


@given(COUNTS.filter(lambda counts: any(why for _, why in counts)))
def test_a_loss_without_its_reason_is_not_conserved(counts: list[tuple[str, str | None]]) -> None:
    made = funnel(counts)
    made.reasons.popitem()
    assert not made.conserved()


@given(st.lists(COUNTS, max_size=5))
def test_a_sum_of_funnels_is_the_funnel_of_all(parts: list[list[tuple[str, str | None]]]) -> None:
    together = summed(funnel(part) for part in parts)
    assert together == funnel([count for part in parts for count in part])
    assert together.conserved()


@given(COUNTS)
def test_a_funnel_is_read_back_as_it_was_written(counts: list[tuple[str, str | None]]) -> None:
    made = funnel(counts)
    assert Funnel.from_json(json.loads(json.dumps(made.as_json()))) == made


def test_adding_leaves_the_other_as_it_was() -> None:
    one, two = funnel([("failed", "x")]), funnel([("failed", "x")])
    one.add(two)
    one.count("failed", "x")
    assert (one.reasons, two.reasons) == ({"failed/x": 3}, {"failed/x": 1})


def test_a_marker_is_read_back_as_it_was_written() -> None:
    file = File("data/000000.tar", 1024, "0" * 64)
    for shard, at in ((file, datetime.datetime.now(datetime.UTC)), (None, None)):
        kept = funnel([("kept", None)])
        marker = UnitMarker(0, kept, Funnel(), 1, shard, file, file, shard, {"n_boxes": 2}, "", "", {"parse": 0.5}, at)
        assert UnitMarker.from_json(json.loads(json.dumps(marker.as_json()))) == marker


@pytest.mark.parametrize("at", ["yesterday", "2026-11-22T03:06:38", 5])
def test_a_marker_whose_time_is_no_moment_is_none(at: object) -> None:
    file = File("data/000000.tar", 1024, "0" * 64)
    told = UnitMarker(0, Funnel(), Funnel(), 1, file, file, file, None, {}, "", "", {}).as_json()
    with pytest.raises(TypeError):
        UnitMarker.from_json({**told, "committed": at})


def test_there_are_three_outcomes() -> None:
    assert OUTCOMES == ("kept", "rejected", "failed")
