"""What an answer must not be, as a list that can be read and added to. The first rule that is broken is the reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from builders.instruct.turns import IMAGE, Turn

_REFUSAL = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\bi(?:'m| am) (?:sorry|unable to|not able to)\b"
    r"|\bi (?:can ?not|can't|could not|couldn't) (?:see|view|access|assist|help|provide|answer|determine)\b",
    re.IGNORECASE,
)
_SOURCE = re.compile(
    r"\bbounding[- ]box(?:es)?\b|\bcoordinates?\b|\bcaptions?\b"
    r"|\bthe (?:given|provided) (?:sentences?|descriptions?|information|text|context|annotations?)\b"
    r"|\[\s*[01]?\.\d+\s*,\s*[01]?\.\d+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Rule:
    """`found` tells what of the turns breaks the rule, or None."""

    reason: str
    found: Callable[[Sequence[Turn]], str | None]


def _first(pattern: re.Pattern[str]) -> Callable[[Sequence[Turn]], str | None]:
    def found(turns: Sequence[Turn]) -> str | None:
        hits = (pattern.search(text) for turn in turns for text in (turn.question, turn.answer))
        return next((hit.group() for hit in hits if hit), None)

    return found


def _empty(turns: Sequence[Turn]) -> str | None:
    return next((f"turn {i}" for i, turn in enumerate(turns, 1) if not turn.answer.strip()), None)


def _repeated(turns: Sequence[Turn]) -> str | None:
    asked = [" ".join(re.findall(r"\w+", turn.question.casefold())) for turn in turns]
    return next((turns[i].question for i, one in enumerate(asked) if one in asked[:i]), None)


def _token(turns: Sequence[Turn]) -> str | None:
    return IMAGE if any(IMAGE in turn.question + turn.answer for turn in turns) else None


REFUSAL = Rule("refusal", _first(_REFUSAL))
RULES: tuple[Rule, ...] = (
    Rule("empty_answer", _empty),
    REFUSAL,
    Rule("names_its_source", _first(_SOURCE)),
    Rule("repeated_question", _repeated),
    Rule("image_token", _token),
)
"""An answer that names captions, boxes or coordinates does not speak as one who sees the image."""


def rules(max_chars: int, patterns: Mapping[str, str]) -> tuple[Rule, ...]:
    """RULES, then: no text of a turn longer than `max_chars`, and none in which one of `patterns` (reason: regular
    expression, in any case) is found. Raises re.error."""

    def too_long(turns: Sequence[Turn]) -> str | None:
        longest = max(len(text) for turn in turns for text in (turn.question, turn.answer))
        return f"{longest:,} characters are over {max_chars:,}" if longest > max_chars else None

    own = (Rule(reason, _first(re.compile(pattern, re.IGNORECASE))) for reason, pattern in patterns.items())
    return (*RULES, Rule("too_long", too_long), *own)


def broken(turns: Sequence[Turn], rules: Sequence[Rule] = RULES) -> tuple[str, str] | None:
    """The reason and detail of the first rule that turns break, or None."""
    return next(((rule.reason, told) for rule in rules if (told := rule.found(turns)) is not None), None)
