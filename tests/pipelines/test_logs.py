"""Lines for machines: JSON with what they are about, bounded, and without what records hold. No Ray."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from builders.shards.store import Store
from builders.step import Failed, Record, Services
from pipelines import logs, run
from pipelines.dag import Stage
from pipelines.units import _set_up, _tell_failures
from pipelines.work import run_steps
from schemas.errors import BuildError
from schemas.load import load_recipe
from tests.pipelines.coco import good_pairs
from tests.pipelines.toys import INT, Toy, Whole, dag, number, unit

SECRET = "a caption that nobody may read"


class Lines:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.text = ""

    def __call__(self) -> list[dict[str, Any]]:
        self.text = self._capsys.readouterr().err
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """What was written to stderr since it was asked last."""
    return Lines(capsys)


def test_a_line_has_its_time_level_event_what_it_is_about_and_its_own_fields(lines: Lines) -> None:
    with logs.about(dataset="cats", unit=7, stage="model"):
        logs.tell("record_failed", "warning", key="k1")

    (line,) = lines()
    at = datetime.datetime.fromisoformat(line.pop("at"))
    assert at.utcoffset() == datetime.timedelta(0)
    assert line == {
        "level": "warning",
        "event": "record_failed",
        "key": "k1",
        "dataset": "cats",
        "unit": 7,
        "stage": "model",
    }


def test_whatever_a_field_holds_a_line_stays_one_line(lines: Lines) -> None:
    with logs.about(dataset="two\nlines"):
        logs.tell("x", key="猫\r\n\u2028")

    assert [line["key"] for line in lines()] == ["猫\r\n\u2028"]


def test_about_nothing_nothing_is_told(lines: Lines) -> None:
    logs.tell("x")
    with logs.about(dataset="cats"):
        pass
    logs.tell("x")

    assert lines() == []


def test_beyond_the_bound_only_the_number_of_lines_is_told(lines: Lines) -> None:
    with logs.about(dataset="cats", unit=7):
        for n in range(logs.MOST + 5):
            logs.tell("x", n=n)
    *told, last = lines()

    assert [line["n"] for line in told] == list(range(logs.MOST))
    assert (last["event"], last["lines"], last["unit"]) == ("lines_left_out", 5, 7)


def test_what_is_told_within_is_not_told_afterwards_even_where_it_raised(lines: Lines) -> None:
    with pytest.raises(ValueError), logs.about(dataset="cats"):
        raise ValueError
    logs.tell("x")

    assert lines() == []


# -- failures of steps


def fails_on_two(record: Record) -> Any:
    if number(record) == 2:
        raise ValueError(SECRET)
    return {"n": 0}


def test_a_batch_that_raised_and_the_record_that_did_are_told_with_step_and_key_and_without_its_words(
    lines: Lines,
) -> None:
    steps = [Toy(fails_on_two, reads=("key", "text")), Toy(lambda r: {"m": 0}, name="later", adds={"m": INT["n"]})]
    with logs.about(dataset="cats", unit=0, stage="all"):
        _tell_failures(run_steps(unit(4), steps, batch=4), steps)
    batch, record = lines()

    assert (batch["event"], batch["step"], batch["records"], batch["error"]) == ("batch_raised", "toy", 4, "ValueError")
    assert batch["raised_by"].startswith("test_logs.py:")
    assert (record["event"], record["step"], record["key"]) == ("record_failed", "toy", "k002")
    assert (record["reason"], record["unit"], record["stage"]) == ("ValueError", 0, "all")
    assert SECRET not in lines.text and "text 2" not in lines.text


def test_a_batch_that_raised_is_told_even_where_its_records_pass_one_by_one(lines: Lines) -> None:
    def only_one(records: Any) -> Any:
        if len(records) > 1:
            raise RuntimeError("out of memory")
        return [{"n": 0}]

    with logs.about(dataset="cats"):
        run_steps(unit(3), [Whole(only_one)], batch=3)

    assert [line["event"] for line in lines()] == ["batch_raised"]


def test_a_record_that_an_earlier_stage_lost_is_not_told_again(lines: Lines) -> None:
    first = [Toy(lambda r: Failed("busy", SECRET) if number(r) == 1 else {"n": 0})]
    second = [Toy(lambda r: {"m": 0}, name="later", adds={"m": INT["n"]})]
    with logs.about(dataset="cats"):
        table = run_steps(unit(3), first, batch=3)
        _tell_failures(table, first)
        _tell_failures(run_steps(table, second, batch=3), second)

    assert [(line["event"], line["reason"]) for line in lines()] == [("record_failed", "busy")]
    assert SECRET not in lines.text


# -- the one line that has words


class NoStart(Toy):
    def setup(self, services: Services) -> None:
        raise OSError("weights.bin is cut off")


@pytest.mark.parametrize("ours", [True, False], ids=["an error of ours", "another"])
def test_where_a_build_stops_the_words_of_our_own_errors_are_told_and_of_others_the_class(
    lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    step = NoStart(lambda record: {"n": 0})

    def stopped(*_: object) -> None:
        if ours:
            _set_up(step, Services(counters=None, device="cpu"))  # type: ignore[arg-type]
        step.setup(Services(counters=None, device="cpu"))  # type: ignore[arg-type]

    monkeypatch.setattr(run, "_build", stopped)
    recipe = load_recipe(good_pairs(tmp_path / "coco", 1).save())
    with pytest.raises(BuildError if ours else OSError, match=r"weights\.bin"):
        run.build(recipe, dag(Stage("all", (step,))), Store(tmp_path / "out"))
    last = lines()[-1]

    assert last["event"] == "build_stopped"
    assert last["error"] == ("step 'toy' could not start: OSError: weights.bin is cut off" if ours else "OSError")
