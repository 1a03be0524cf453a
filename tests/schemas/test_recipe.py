"""What a recipe's fields mean: which of them decide bytes, and which may change between runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from schemas.recipe import KINDS, GritRecipe, content

SOURCE = {"images": "/i", "captions": "/c", "instances": "/b"}


def recipe(**fields: Any) -> GritRecipe:
    return GritRecipe.model_validate({"kind": "grit", "source": SOURCE, **fields})


def test_content_is_every_field_that_decides_bytes() -> None:
    assert content(recipe()) == {
        "kind": "grit",
        "seed": 0,
        "source": {"kind": "coco", "limit": None},
        "abstract_nouns": [],
        "caption_max_chars": 1000,
        "min_side": None,
        "detector": {"kind": "annotations", "synonyms": {}},
        "nms_iou": 0.5,
        "min_score": None,
        "centre_crop": None,
        "phrases": "outermost",
        "nested": True,
        "clip": [],
        "tokens": {"lower_right": "transformers"},
        "tasks": None,
        "output": {"unit": 1000},
    }


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"max_failed": 1.0},
        {"parser": "en_core_web_sm"},
        {"source": {**SOURCE, "images": "/elsewhere"}},
        {"source": {**SOURCE, "captions": "/moved.json"}},
        {"source": {**SOURCE, "instances": "/moved.json"}},
    ],
)
def test_what_only_says_how_a_build_runs_or_where_its_input_lies_is_no_content(change: dict[str, Any]) -> None:
    assert content(recipe(**change)) == content(recipe())


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"nms_iou": 0.4},
        {"min_score": 0.5},
        {"caption_max_chars": 10},
        {"abstract_nouns": ["view"]},
        {"detector": {"synonyms": {"pickup": ["truck"]}}},
        {"tokens": {"lower_right": "unilm"}},
        {"output": {"unit": 10}},
        {"source": {**SOURCE, "limit": 3}},
    ],
)
def test_what_changes_the_bytes_is_content(change: dict[str, Any]) -> None:
    assert content(recipe(**change)) != content(recipe())


def test_content_is_plain_json() -> None:
    made = recipe(detector={"synonyms": {"b": ["x"], "a": ["y"]}}, abstract_nouns=["b", "a"])
    assert json.loads(json.dumps(content(made))) == content(made)


def test_the_order_and_case_of_abstract_nouns_change_nothing() -> None:
    assert recipe(abstract_nouns=["View", " scene ", "view"]).abstract_nouns == ["scene", "view"]


def test_a_recipe_does_not_change_once_it_is_read() -> None:
    with pytest.raises(ValidationError):
        recipe().seed = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    "bad",
    [
        {"nms_iou": -0.1},
        {"nms_iou": 1.1},
        {"nms_iou": float("nan")},
        {"min_score": 2},
        {"max_failed": -1},
        {"caption_max_chars": 0},
        {"output": {"unit": 0}},
        {"output": {"unit": 100_001}},
        {"source": {**SOURCE, "limit": 0}},
        {"detector": {"kind": "glip_tiny"}},
        {"seed": "x"},
        {"unknown": 1},
    ],
)
def test_a_value_outside_its_range_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        recipe(**bad)


def test_every_kind_can_be_built_and_every_path_may_move() -> None:
    for kind, model in KINDS.items():
        assert issubclass(model, BaseModel)
        assert model.model_fields["kind"].annotation is not None
        assert kind in str(model.model_fields["kind"].annotation)
