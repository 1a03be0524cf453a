"""LLaVA's instructions as a recipe: what of it is content, and what may change between runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from builders.shards.dataset import Claim
from schemas.errors import UserError
from schemas.load import load_recipe
from schemas.recipe import LlavaRecipe, content

SOURCE = {"images": "/i", "captions": "/c", "instances": "/b"}
LLM: dict[str, Any] = {"kind": "openai", "model": "mill-1", "parameters": {"temperature": 0.7, "max_tokens": 100}}
PRICES = {"mill-1": {"input": 1, "output": 2}}


def recipe(llm: dict[str, Any] | None = None, **fields: Any) -> LlavaRecipe:
    return LlavaRecipe.model_validate({"kind": "llava", "source": SOURCE, "llm": {**LLM, **(llm or {})}, **fields})


def template(**fields: Any) -> LlavaRecipe:
    return LlavaRecipe.model_validate({"kind": "llava", "source": SOURCE, "llm": {"kind": "template"}, **fields})


def claimed(made: LlavaRecipe) -> str:
    """The hash that guards a dataset of this recipe."""
    return Claim({"recipe": json.loads(json.dumps(content(made)))}, (1,)).hash


# ---- content ---------------------------------------------------------------------------------------------------------


def test_content_is_every_field_that_decides_bytes() -> None:
    assert content(recipe()) == {
        "kind": "llava",
        "seed": 0,
        "output": {"unit": 1000},
        "source": {"kind": "coco", "limit": None},
        "llm": {"model": "mill-1", "provider": "openai", "parameters": {"temperature": 0.7, "max_tokens": 100}},
        "weights": {"conversation": 58, "detail": 23, "complex": 77},
        "responses": "drawn",
        "boxes": {"conversation": False, "detail": True, "complex": True},
        "caption_max_chars": 1000,
        "quality": {"max_chars": 5000, "reject": {}, "without": []},
    }
    assert content(template())["llm"] == {"kind": "template"}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "openai_batch"},
        {"base_url": "http://localhost:8000/v1"},
        {"api_key_env": "OTHER_KEY"},
        {"concurrency": 1},
        {"requests_per_minute": 5},
        {"tokens_per_minute": 5},
        {"timeout": 5},
        {"retries": 0},
        {"prices": PRICES},
        {"prices": PRICES, "max_usd": 1},
        {"ledger": "/shared/ledger"},
    ],
    ids=lambda change: "-".join(change),
)
def test_how_and_where_a_model_is_asked_and_for_how_much_is_no_content(change: dict[str, Any]) -> None:
    assert claimed(recipe(change)) == claimed(recipe())


@pytest.mark.parametrize(
    "change",
    [
        {"model": "mill-2"},
        {"provider": "elsewhere"},
        {"parameters": {}},
        {"parameters": {"temperature": 0.71, "max_tokens": 100}},
        {"parameters": {"temperature": 0.7, "max_tokens": 101}},
        {"parameters": {"temperature": 0.7, "max_tokens": 100, "top_p": 1}},
    ],
)
def test_who_is_asked_and_with_which_parameters_is_content(change: dict[str, Any]) -> None:
    assert claimed(recipe(change)) != claimed(recipe())


def test_the_order_of_parameters_is_no_content() -> None:
    assert claimed(recipe({"parameters": {"max_tokens": 100, "temperature": 0.7}})) == claimed(recipe())


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"weights": {"conversation": 1}},
        {"weights": {"complex": 0}},
        {"responses": "all"},
        {"boxes": {"conversation": True}},
        {"caption_max_chars": 10},
        {"quality": {"max_chars": 10}},
        {"quality": {"reject": {"brand": "acme"}}},
        {"output": {"unit": 10}},
        {"source": {**SOURCE, "limit": 3}},
    ],
)
def test_what_is_wanted_and_rejected_is_content(change: dict[str, Any]) -> None:
    assert claimed(recipe(**change)) != claimed(recipe())


@pytest.mark.parametrize(
    "change",
    [
        {"prompts_dir": "/elsewhere"},
        {"name": "other"},
        {"max_failed": 1.0},
        {"source": {**SOURCE, "captions": "/moved.json"}},
    ],
)
def test_where_prompts_and_inputs_lie_is_no_content_since_their_digests_are_guarded(change: dict[str, Any]) -> None:
    assert claimed(recipe(**change)) == claimed(recipe())


@pytest.mark.parametrize("change", [{"conversation": 58}, {"detail": 23.0}, {"conversation": 58, "complex": 77.0}])
def test_weights_that_are_written_out_are_those_that_are_not(change: dict[str, Any]) -> None:
    assert claimed(recipe(weights=change)) == claimed(recipe())


def test_a_model_and_the_template_make_other_datasets() -> None:
    assert claimed(template()) != claimed(recipe())


# ---- what does not fit -----------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def refused(path: Path, **fields: Any) -> str:
    """The one line that the user reads, without the file's name."""
    path.write_text(yaml.safe_dump({"kind": "llava", "source": SOURCE, "llm": {"kind": "template"}, **fields}))
    with pytest.raises(UserError) as error:
        load_recipe(path)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"weights": {"conversation": 0, "detail": 0, "complex": 0}},
            "weights: one of conversation, detail and complex must be above 0",
        ),
        ({"weights": {"detail": -1}}, "weights.detail is -1: "),
        ({"weights": {"detail": True}}, "weights.detail is True: must be a number"),
        ({"weights": {"detail": float("inf")}}, "weights.detail is inf: must be a finite number"),
        ({"weights": {"details": 1}}, "there is no field weights.details; did you mean weights.detail?"),
        ({"weights": [1, 2, 3]}, "weights is [1, 2, 3]: must be a mapping of fields"),
        ({"boxes": {"details": True}}, "there is no field boxes.details; did you mean boxes.detail?"),
        ({"boxes": {"detail": "maybe"}}, "boxes.detail is 'maybe': "),
        ({"responses": "one"}, "responses is 'one': input should be 'drawn' or 'all'"),
        ({"caption_max_chars": 0}, "caption_max_chars is 0: "),
        ({"quality": {"max_chars": 0}}, "quality.max_chars is 0: "),
        ({"quality": {"reject": ["acme"]}}, "quality.reject is ['acme']: must be a mapping"),
        ({"quality": {"reject": {"brand": 3}}}, "quality.reject.brand is 3: must be text; put it in quotes"),
        ({"quality": {"rejects": {}}}, "there is no field quality.rejects; did you mean quality.reject?"),
        ({"promts_dir": "x"}, "there is no field promts_dir; did you mean prompts_dir?"),
        ({"source": {"kind": "urls"}}, "source.kind is 'urls', but must be one of: coco, scenes"),
    ],
)
def test_what_does_not_fit_is_told_by_its_dotted_field(path: Path, fields: dict[str, Any], told: str) -> None:
    assert refused(path, **fields).startswith(told)


@pytest.mark.parametrize("pattern", ["(", "a{99999999999999999999}", "(" * 5000 + ")" * 5000, "a(?i)b", "(\n"])
def test_what_is_no_regular_expression_is_told_with_its_reason(path: Path, pattern: str) -> None:
    told = refused(path, quality={"reject": {"good": "a|b", "brand": pattern}})

    assert told.startswith(f"quality.reject: brand: {pattern!r} is no regular expression: ")


def test_weights_that_are_not_given_are_llavas_own_counts() -> None:
    assert dict(template().weights) == {"conversation": 58, "detail": 23, "complex": 77}
    assert dict(template(weights={"detail": 0}).weights) == {"conversation": 58, "detail": 0, "complex": 77}


def test_one_weight_is_enough() -> None:
    assert template(weights={"conversation": 0, "detail": 0.001, "complex": 0}).weights.detail == 0.001


def test_a_recipe_does_not_change_once_it_is_read() -> None:
    with pytest.raises(ValidationError):
        template().weights.detail = 5  # type: ignore[misc]


def test_prompts_lie_beside_the_recipe(path: Path) -> None:
    path.write_text(yaml.safe_dump({"kind": "llava", "source": SOURCE, "llm": {"model": "m"}, "prompts_dir": "p"}))
    made = load_recipe(path)
    assert isinstance(made, LlavaRecipe)
    assert made.prompts_dir == str(path.parent / "p")
