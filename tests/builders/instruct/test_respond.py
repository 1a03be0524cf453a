"""Which response an image gets: drawn by weights, or each that is wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builders.instruct.parse import Kind
from builders.instruct.respond import ChooseResponse
from builders.step import Child, Services

LLAVA: dict[Kind, float] = {"conversation": 58, "detail": 23, "complex": 77}
KEYS = [f"{i:012d}" for i in range(10_000)]


def drawn(weights: Mapping[Kind, float], seed: int = 0, keys: list[str] = KEYS) -> list[str]:
    found = ChooseResponse(weights, every=False, seed=seed)([{"key": key} for key in keys])
    return [one["response"] for one in found if isinstance(one, dict)]


def test_the_shares_are_those_of_the_weights(services: Services) -> None:
    step = ChooseResponse(LLAVA, every=False, seed=0)
    step.setup(services)

    shares = Counter(drawn(LLAVA))

    assert shares.total() == 10_000
    assert shares.keys() == LLAVA.keys()
    for kind, weight in LLAVA.items():
        assert abs(shares[kind] / 10_000 - weight / 158) < 0.015  # three standard deviations of a share of a half


def test_weights_are_shares_of_their_sum_whatever_that_is() -> None:
    tiny: dict[Kind, float] = {kind: weight / 1e9 for kind, weight in LLAVA.items()}

    assert drawn(tiny) == drawn(LLAVA)


@pytest.mark.parametrize("never", ["conversation", "detail", "complex"])
def test_a_response_of_weight_0_is_never_drawn(never: Kind) -> None:
    shares = Counter(drawn({**LLAVA, never: 0}))

    assert shares.keys() == LLAVA.keys() - {never}


@pytest.mark.parametrize("only", ["conversation", "detail", "complex"])
def test_where_one_alone_has_a_weight_it_is_always_drawn(only: Kind) -> None:
    nothing: dict[Kind, float] = {"conversation": 0, "detail": 0, "complex": 0}

    assert set(drawn({**nothing, only: 1e-300})) == {only}


def test_the_draw_depends_on_seed_and_key_alone() -> None:
    keys = KEYS[:200]

    assert drawn(LLAVA, keys=keys) == drawn(LLAVA, keys=keys[::-1])[::-1]
    assert drawn(LLAVA, keys=keys) == [drawn(LLAVA, keys=[key])[0] for key in keys]
    assert drawn(LLAVA, keys=keys) != drawn(LLAVA, seed=1, keys=keys)


@given(st.tuples(*[st.floats(0, 1.7e308)] * 3).filter(any), st.text())
@example((1e308, 1e308, 0.0), "k")  # their sum is no number
def test_whatever_the_weights_what_is_drawn_has_one(weights: tuple[float, float, float], key: str) -> None:
    named: dict[Kind, float] = dict(zip(LLAVA, weights, strict=True))
    (kind,) = drawn(named, keys=[key])
    assert named[kind] > 0  # type: ignore[index]


def test_all_responses_make_a_child_each_named_after_it() -> None:
    found = ChooseResponse(LLAVA, every=True, seed=0)([{"key": "a"}, {"key": "b"}])

    children = [Child(kind, {"response": kind}) for kind in ("conversation", "detail", "complex")]
    assert found == [children, children]


def test_of_all_responses_one_of_weight_0_makes_no_child() -> None:
    (children,) = ChooseResponse({**LLAVA, "complex": 0}, every=True, seed=0)([{"key": "a"}])

    assert isinstance(children, list)
    assert [child.suffix for child in children] == ["conversation", "detail"]
