"""Turns of a conversation about one image, in the two shapes that trainers read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from builders.dice import Dice

IMAGE = "<image>"
"""Where LLaVA's trainer puts the image: once, in the first human turn."""


@dataclass(frozen=True)
class Turn:
    """A question about the image, and its answer."""

    question: str
    answer: str


def conversations(turns: Sequence[Turn], seed: int, key: str) -> list[dict[str, str]]:
    """LLaVA's shape. The image's place, before or after the first question, is drawn by (seed, key)."""
    first = Dice(seed, "image first", key).chance(0.5)
    told = []
    for number, turn in enumerate(turns):
        asked = turn.question
        if not number:
            asked = f"{IMAGE}\n{asked}" if first else f"{asked}\n{IMAGE}"
        told += [{"from": "human", "value": asked}, {"from": "gpt", "value": turn.answer}]
    return told


def messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """The chat shape, with the image as a part of the first message."""
    told: list[dict[str, Any]] = []
    for number, turn in enumerate(turns):
        asked = [{"type": "text", "text": turn.question}]
        told.append({"role": "user", "content": asked if number else [{"type": "image"}, *asked]})
        told.append({"role": "assistant", "content": [{"type": "text", "text": turn.answer}]})
    return told
