"""What a build shows of itself while it runs. No Ray."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.progress import Display, spent


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
    line = spent(counts(answers + failed, answers, usd, from_ledger), calls)

    paid, _, total = line.partition(", ")[2].replace(",", "").replace("$", "").partition(" of about ")
    assert float(paid) == pytest.approx(usd, abs=0.006)
    assert float(total) >= float(paid)


START = {"units": 1.0, "inputs": 10.0, "kept": 8.0, "rejected": 1.0, "failed": 1.0}


def line(more: Mapping[str, float], calls: int = 0) -> str:
    shown = {**START, "units": 2.0, "inputs": 20.0, "kept": 1018.0, **more}
    return Display(lambda: shown, 4, 40, START, calls)._line(shown)


def test_a_line_ends_with_the_money_where_a_model_is_asked() -> None:
    assert line({}).startswith("units 2/4  kept 1,018 rejected 1 failed 1  ")
    assert line({}).endswith(" s left")
    assert line(counts(10, 10, 1.0), calls=20).endswith(" s left  10 asked, $1.00 of about $2.00")
