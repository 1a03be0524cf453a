"""Answers of a language model to turns.

The format that is asked for is LLaVA's: `Question:` and `Answer:` on lines of their own, `===` between the parts. What
models really write besides (bold or numbered labels, `Q:`, text behind the label, code fences, a polite sentence
before) is read as well; what cannot be read for certain is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from builders.instruct.turns import Turn

Kind = Literal["conversation", "detail", "complex"]

_FENCE = re.compile(r"^\s*```\w*\s*$")
_BREAK = re.compile(r"^\s*={3,}\s*$|^\s*-{3,}\s*$")
_STYLES = tuple(
    re.compile(
        rf"^[\s>#*_\-]*(?:\d+[.)]\s*)?(?:(?P<question>{question})|(?P<answer>{answer}))\s*\d*[\s*_]*[:：][\s*_]*(?P<rest>.*)$",
        re.IGNORECASE,
    )
    for question, answer in (("question", "answer"), ("user|human", "assistant|gpt|ai"), ("q", "a"))
)
"""How the two parts are labelled, the likeliest first; only one style counts in one answer."""


class Unreadable(Exception):
    """An answer without turns that could be told for certain. `reason` is counted."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def parse_turns(text: str, kind: Kind) -> list[Turn]:
    """The turns of an answer of a kind; of `detail` one, with the question "", since the answer stands alone.

    A question at the end without an answer is dropped, as LLaVA's authors did. Raises Unreadable.
    """
    lines = [line for line in re.split(r"\r?\n", text.strip()) if not _FENCE.match(line)]
    if kind == "detail":
        answer = "\n".join(line for line in lines if not _BREAK.match(line)).strip()
        if not answer:
            raise Unreadable("no_answer", "there is no text")
        return [Turn("", answer)]
    parts = list(_parts(lines))
    if parts and parts[-1][0] == "question":
        parts.pop()
    turns = []
    for at in range(0, len(parts), 2):
        (asked, question), (told, answer) = parts[at], parts[at + 1] if at + 1 < len(parts) else ("", "")
        if asked != "question" or told != "answer":
            raise Unreadable("labels_mixed", f"part {at + 1}: questions and answers do not take turns")
        if not question:
            raise Unreadable("no_question", f"part {at + 1} is an answer to nothing")
        turns.append(Turn(question, answer))
    if not turns:
        raise Unreadable("no_answer", "no question with an answer")
    if kind == "complex" and len(turns) > 1:
        raise Unreadable("several_questions", f"{len(turns)} where one is asked for")
    return turns


def _parts(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Each part's label and text."""
    style = next((style for style in _STYLES if any(style.match(line) for line in lines)), None)
    label, held = "", list[str]()
    for line in lines:
        found = style.match(line) if style else None
        if found:
            if label:
                yield label, "\n".join(held).strip()
            label, held = "question" if found["question"] else "answer", [found["rest"]]
        elif not _BREAK.match(line):
            held.append(line)
    if label:
        yield label, "\n".join(held).strip()
