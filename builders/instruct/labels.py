"""The labels that questions and answers carry, as models write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["question", "answer"]

_STYLES: tuple[tuple[str, str], ...] = (
    ("question questions", "answer answers"),
    ("question questions", "réponse réponses reponse"),
    ("pregunta preguntas", "respuesta respuestas"),
    ("frage fragen", "antwort antworten"),
    ("pergunta perguntas", "resposta respostas"),
    ("domanda domande", "risposta risposte"),
    ("问题 问 問題 問", "答案 答 回答"),
    ("user human", "assistant gpt ai"),
    ("q", "a"),
)
"""How the two parts are labelled, the likeliest first; only one style counts in one answer."""
ROLES: tuple[dict[str, Role], ...] = tuple(
    dict[str, Role](dict.fromkeys(asked.split(), "question")) | dict.fromkeys(told.split(), "answer")
    for asked, told in _STYLES
)
_WORDS = frozenset(word for roles in ROLES for word in roles)
_SHORT = frozenset("user human assistant gpt ai q a 问 問 答".split())
"""Alone on a line and without a sign or number they are no labels."""

_LABEL = re.compile(
    r"""(?P<lead>[\s>\#\-+•=]*+ (?:[*]\s++)?+ (?:\d{1,3}[.)]\s*+)?+   # quoted, a heading, a bullet, numbered
        (?P<open>[*_]{0,4}+) \s*+ (?:\d{1,3}[.)]\s*+)?+ [\[【(]?+)
        (?P<word>[^\W\d_]{1,10}+) (?![^\W\d_])
        (?P<near>[\s*_]*+) (?:[\#(]?+\s*+(?P<number>\d{1,3}+))?+
        (?P<far>[\s*_)\]】]*+) (?P<sign>[:：.]|[-–—](?=\s))?+
        (?P<rest>.*)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Label:
    """`word` as it stands in _STYLES; `open` is emphasis that began before the label and has not ended."""

    word: str
    rest: str
    open: str
    quoted: bool


def labelled(lines: Sequence[str]) -> tuple[list[Label | None], dict[str, Role]]:
    """The label of each line, of one style alone, and the style: the first one of which both labels are there, else the
    first of which one is."""
    labels = [label_of(line) for line in lines]
    words = {label.word for label in labels if label}
    there = [roles for roles in ROLES if not words.isdisjoint(roles)]
    both = (roles for roles in there if len({roles[word] for word in words if word in roles}) == 2)
    roles = next(both, there[0] if there else {})
    return [label if label and label.word in roles else None for label in labels], roles


def label_of(line: str) -> Label | None:
    found = _LABEL.match(line)
    word = found["word"].lower() if found else ""
    if not found or word not in _WORDS:
        return None
    rest, sign, number = found["rest"], found["sign"], found["number"]
    between = found["near"] + found["far"]
    if sign and sign not in ":：" and ")" in between:
        rest, sign = sign + rest, None
    if not rest.strip(" \t=*_#]】") and sign != ":" and sign != "：":
        marked = number or found["open"] or any(one in found["lead"] for one in "#[【=")
        certain, rest = bool(marked) or (word not in _SHORT and not sign), ""
    elif sign is None:
        certain = bool(number) and ")" in found["far"]
    elif sign == ".":
        certain = bool(number) and rest[0] in " \t*_"
    elif sign in ":：":
        certain = True
    else:
        certain = bool(number) and found["far"].endswith(" ")
    if not certain:
        return None
    close = found["open"][::-1]
    if close and (close in between or rest.startswith(close)):
        rest, close = rest.removeprefix(close) if close not in between else rest, ""
    if rest.rstrip().endswith("==="):
        rest = rest.rstrip(" \t=")
    return Label(word, rest, close, ">" in found["lead"])
