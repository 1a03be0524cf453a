"""The rules that a pair must satisfy, as a readable list, and the step that rejects by them.

Each rule compares one measured column with one field of the recipe; the rule's name is the reason that is counted. A
record is rejected by the first rule, in the order of RULES, that it breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from builders.filters.measure import MeasureGrammar, MeasureImage, MeasureLanguage, MeasureText, language_model
from builders.step import Record, Rejected, Result, Services, Step
from schemas.rules import Rules


def _at_least(value: Any, limit: Any) -> bool:
    return bool(value >= limit)


def _at_most(value: Any, limit: Any) -> bool:
    return bool(value <= limit)


def _one_of(value: Any, limit: Collection[Any]) -> bool:
    return value in limit


def _all_of(value: str, limit: Collection[str]) -> bool:
    return set(value.split()) <= set(limit)


def _true(value: Any, _limit: bool) -> bool:
    return bool(value)


@dataclass(frozen=True)
class Rule:
    """Keeps a record where `holds(record[column], recipe's field)`; a field of None or False is no rule."""

    name: str
    column: str
    field: str
    holds: Callable[[Any, Any], bool]


RULES = (
    Rule("format", "format", "formats", _one_of),
    Rule("too_few_bytes", "n_bytes", "min_bytes", _at_least),
    Rule("too_many_bytes", "n_bytes", "max_bytes", _at_most),
    Rule("too_small", "side_min", "min_side", _at_least),
    Rule("too_large", "side_max", "max_side", _at_most),
    Rule("aspect", "aspect", "max_aspect", _at_most),
    Rule("too_few_chars", "n_chars", "min_chars", _at_least),
    Rule("too_many_chars", "n_chars", "max_chars", _at_most),
    Rule("too_few_words", "n_words", "min_words", _at_least),
    Rule("too_many_words", "n_words", "max_words", _at_most),
    Rule("repetition", "repetition", "max_repetition", _at_most),
    Rule("url", "url_share", "max_url_share", _at_most),
    Rule("html", "html_share", "max_html_share", _at_most),
    Rule("emoji", "emoji_share", "max_emoji_share", _at_most),
    Rule("script", "scripts", "scripts", _all_of),
    Rule("language", "language", "languages", _one_of),
    Rule("language_unsure", "language_score", "min_language_score", _at_least),
    Rule("no_noun", "has_noun", "needs_noun", _true),
    Rule("no_determiner", "has_determiner", "needs_determiner", _true),
    Rule("no_preposition", "has_preposition", "needs_preposition", _true),
)


def active(rules: Rules) -> tuple[tuple[Rule, Any], ...]:
    """The rules that a recipe asks for, each with its limit; a limit of 0 is one, though it equals False."""
    limits = ((rule, getattr(rules, rule.field)) for rule in RULES)
    return tuple((rule, limit) for rule, limit in limits if limit is not None and limit is not False)


@dataclass
class ApplyRules:
    """Rejects what breaks a rule of one of `columns` (None: any rule); adds nothing."""

    rules: Rules
    name: str = "rules"
    columns: Collection[str] | None = None
    adds: ClassVar[Mapping[str, pa.DataType]] = {}

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(rule.column for rule, _ in self._asked()))

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        asked = self._asked()
        return [_apply(asked, record) for record in records]

    def _asked(self) -> list[tuple[Rule, Any]]:
        return [one for one in active(self.rules) if self.columns is None or one[0].column in self.columns]


def _apply(asked: Iterable[tuple[Rule, Any]], record: Record) -> Result:
    for rule, limit in asked:
        value = record[rule.column]
        if not rule.holds(value, limit):
            return Rejected(rule.name, f"{rule.column} is {value}, {rule.field} {limit}")
    return {}


def rule_steps(rules: Rules, parser: Path, language: bool = False) -> tuple[Step, ...]:
    """The steps that a recipe's rules need: measures, of models only what is asked for, then the verdict.

    They read `caption`, `image`, `format`, `width` and `height`. `parser` is the folder of a spaCy pipeline with a
    tagger; it is loaded where a rule of grammar is asked for. `language`: a later step wants it, whatever rules ask.
    """
    return (MeasureImage(), *_measures_of_text(rules, parser, language), ApplyRules(rules))


def text_rule_steps(rules: Rules, parser: Path, language: bool = False) -> tuple[Step, ...]:
    """Of `rule_steps` those of the caption, for before an image is fetched; `image_rule_steps` are the others."""
    measures = _measures_of_text(rules, parser, language)
    return (*measures, ApplyRules(rules, "text_rules", {name for step in measures for name in step.adds}))


def image_rule_steps(rules: Rules) -> tuple[Step, ...]:
    """Of `rule_steps` those of the image as it was fetched; `format` alone is that in which it is stored."""
    return (MeasureImage(of_original=True), ApplyRules(rules, "image_rules", {*MeasureImage.adds, "format"}))


def _measures_of_text(rules: Rules, parser: Path, language: bool) -> tuple[Step, ...]:
    needed = {rule.column for rule, _ in active(rules)}
    steps: list[Step] = [MeasureText()]
    if language or needed & set(MeasureLanguage.adds):
        steps.append(MeasureLanguage())
    if needed & set(MeasureGrammar.adds):
        steps.append(MeasureGrammar(parser))
    return tuple(steps)


def rule_models(rules: Rules, parser: Path, language: bool = False) -> dict[str, Path]:
    """The folders of the models that decide a recipe's rules, by name. Raises UserError where one is not installed."""
    models: dict[str, Path] = {}
    for step in rule_steps(rules, parser, language):
        if isinstance(step, MeasureLanguage):
            models["language"] = language_model()
        if isinstance(step, MeasureGrammar):
            models["parser"] = step.folder
    return models
