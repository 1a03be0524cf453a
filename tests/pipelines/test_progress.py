"""What a build shows of itself while it runs. No Ray."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import logs
from pipelines.progress import Display, expected_usd, say, spent


def counts(asked: float, answers: float, usd: float, from_ledger: float = 0) -> Mapping[str, float]:
    return {"asked": asked, "answers": answers, "usd": usd, "from_ledger": from_ledger}


@pytest.mark.parametrize(
    "nothing",
    [{}, {"kept": 5.0, "units": 1.0}, counts(3, 0, 0), counts(0, 0, 0, from_ledger=100), {"asked": 3.0}],
)
def test_before_anything_was_answered_no_money_is_told(nothing: Mapping[str, float]) -> None:
    assert spent(nothing, 100) == ""


@pytest.mark.parametrize(
    ("told", "calls", "line"),
    [
        (counts(10, 10, 1.0), 100, "10 asked, $1.00 of about $10.00"),
        (counts(12, 10, 1.0), 100, "12 asked, $1.00 of about $10.00"),  # attempts that failed cost nothing
        (counts(10, 10, 1.0, from_ledger=40), 100, "10 asked, $1.00 of about $6.00"),
        (counts(100, 100, 10.0), 100, "100 asked, $10.00 of about $10.00"),
        (counts(1500, 1200, 12.0), 200_000, "1,500 asked, $12.00 of about $2,000.00"),
    ],
)
def test_what_was_paid_is_told_with_what_it_will_come_to(told: Mapping[str, float], calls: int, line: str) -> None:
    assert spent(told, calls) == line


def test_answers_whose_price_is_not_known_are_told_as_that() -> None:
    assert spent({**counts(10, 10, 0), "unpriced": 10}, 100) == "10 asked, cost unknown"
    assert spent(counts(10, 10, 0), 100) == "10 asked, $0.00 of about $0.00", "a model that is free"


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.floats(0.01, 1e6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_it_never_comes_to_less_than_was_paid(
    failed: int, answers: int, usd: float, from_ledger: int, calls: int
) -> None:
    told = counts(answers + failed, answers, usd, from_ledger)
    line = spent(told, calls)

    assert expected_usd(told, calls) >= usd
    paid, _, total = line.partition(", ")[2].replace(",", "").replace("$", "").partition(" of about ")
    assert float(paid) == pytest.approx(usd, abs=0.006)
    assert float(total) >= float(paid)


# -- lines


START = {"units": 1.0, "inputs": 10.0, "kept": 8.0, "rejected": 1.0, "failed": 1.0}
Line = dict[str, Any]


class Shown:
    """A display off a terminal. `units` are committed in the course of the test, `more` counts beside them."""

    def __init__(self, capsys: pytest.CaptureFixture[str], keeps: int = 20, calls: int = 0) -> None:
        self._capsys, self._keeps = capsys, keeps
        self.units: list[Line] = []
        self.more: dict[str, float] = {}
        self.display = Display("cats", self._read, self._news, 40, 400, START, calls)

    def _read(self) -> Mapping[str, float]:
        done = len(self.units)
        return {**START, "units": 1.0 + done, "inputs": 10.0 + 10 * done, "kept": 8.0 + 10 * done, **self.more}

    def _news(self, seen: int) -> tuple[int, list[Line]]:
        return len(self.units), self.units[seen:][-self._keeps :]

    def commit(self, *units: int) -> None:
        self.units += [{"unit": unit, "kept": 10} for unit in units]

    def lines(self) -> list[Line]:
        """What one look tells."""
        with logs.about(math.inf, dataset="cats"):
            self.display._tell()
        return [json.loads(line) for line in self._capsys.readouterr().err.splitlines()]


def test_each_committed_unit_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Shown(capsys)
    assert shown.lines() == []

    shown.commit(5, 3)
    lines = shown.lines()

    assert [(line["event"], line["dataset"], line["unit"], line["kept"]) for line in lines] == [
        ("unit_committed", "cats", 5, 10),
        ("unit_committed", "cats", 3, 10),
    ]
    assert shown.lines() == [], "each is told once"


def test_a_flood_of_units_is_told_in_as_many_lines_as_are_kept_and_one_that_counts_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = Shown(capsys, keeps=4)
    shown.commit(*range(30))

    first, *lines = shown.lines()

    assert (first["event"], first["more"], first["units_done"]) == ("units_committed", 26, 31)
    assert [line["unit"] for line in lines] == [26, 27, 28, 29]


def test_every_while_a_line_tells_speed_time_left_and_money(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Shown(capsys, calls=20)
    monkeypatch.setattr("pipelines.progress._PROGRESS_EVERY_S", 0.0)
    (line,) = shown.lines()
    assert (line["event"], line["kept"], line["failed"]) == ("progress", 8, 1)
    assert "seconds_left" not in line, "nothing has been done by this run"

    shown.commit(1)
    shown.more = {**counts(10, 10, 1.0), "unpriced": 0}
    line = shown.lines()[-1]
    assert line["inputs_per_second"] > 0 and line["seconds_left"] >= 0
    assert (line["asked"], line["usd"], line["usd_expected"]) == (10, 1.0, 2.0)


def test_a_watch_that_does_not_answer_is_not_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    def gone(*_: int) -> Any:
        raise OSError("gone")

    shown = Shown(capsys)
    shown.commit(1)
    shown._news = gone  # type: ignore[method-assign]
    shown.display._news = gone
    assert shown.lines() == []
    shown.display._read = gone
    assert shown.lines() == []


def test_the_units_that_are_committed_last_are_told_when_the_block_ends(capfd: pytest.CaptureFixture[str]) -> None:
    shown = Shown(capfd)
    with shown.display:
        shown.commit(7)

    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert (line["unit"], line["dataset"]) == (7, "cats")


def test_the_driver_says_nothing_to_machines_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say("cats", "build_started", units=3)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["dataset"], line["units"], line["level"]) == ("build_started", "cats", 3, "info")

    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    say("cats", "build_started", units=3)
    assert capsys.readouterr().err == ""
