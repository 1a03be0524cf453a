"""The sample of a pair: JSON that every reader takes."""

from __future__ import annotations

import json

from builders.filters.sample import PairSample


def test_key_caption_and_every_column_stand_in_the_json_and_nothing_else() -> None:
    step = PairSample(("score", "language"))
    (result,) = step([{"key": "a", "caption": "un chien à 🐕", "score": 0.25, "language": None}])
    assert step.reads == ("key", "caption", "score", "language")
    assert isinstance(result, dict) and "🐕".encode() in result["json"]
    assert json.loads(result["json"]) == {"key": "a", "caption": "un chien à 🐕", "score": 0.25, "language": None}


def test_numbers_that_json_does_not_have_become_null() -> None:
    values = {"a": float("nan"), "b": float("inf"), "c": -0.5}
    (result,) = PairSample(("a", "b", "c"))([{"key": "k", "caption": "x", **values}])
    assert isinstance(result, dict)
    assert json.loads(result["json"], parse_constant=lambda name: name) == {
        "key": "k", "caption": "x", "a": None, "b": None, "c": -0.5,
    }  # fmt: skip
