"""Dead URLs are rejected; where nobody answers at all, they have only failed."""

from __future__ import annotations

import pytest

from builders.acquire.outage import MANY, UNANSWERED, unless_cut_off
from builders.step import Failed, Rejected


def unanswered(count: int, reason: str = "no_such_host") -> dict[str, Rejected]:
    return {f"http://host{i}.example/a.jpg": Rejected(reason) for i in range(count)}


@pytest.mark.parametrize("reason", sorted(UNANSWERED))
def test_given_many_hosts_and_no_answer_then_all_have_failed(reason: str) -> None:
    outcomes = {**unanswered(MANY, reason), "nonsense": Rejected("bad_url")}

    found = unless_cut_off(outcomes)

    assert found.keys() == outcomes.keys()
    assert found.pop("nonsense") == Rejected("bad_url")
    assert all(
        isinstance(one, Failed) and one.reason == "no_network" and reason in one.detail for one in found.values()
    )


@pytest.mark.parametrize("answer", [Rejected("http_404"), Failed("http_503"), Rejected("not_an_image"), {"image": b""}])
def test_given_one_answer_then_the_others_are_rejected(answer: object) -> None:
    outcomes = {**unanswered(3 * MANY), "http://alive.example/": answer}

    assert unless_cut_off(outcomes) == outcomes


def test_given_few_hosts_then_they_may_well_all_be_dead() -> None:
    one_host = {f"http://dead.example/{i}.jpg": Rejected("timeout") for i in range(10 * MANY)}

    for outcomes in (unanswered(MANY - 1), one_host, {}):
        assert unless_cut_off(outcomes) == outcomes
