"""Kosmos-2's tasks (arXiv 2306.14824, sections 3 and 4) in its released tokens: grounding and referring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from builders.dice import Dice
from builders.grounding.tasks.task import Task, unique
from builders.grounding.tasks.wording import KOSMOS2_CAPTION
from builders.grounding.tokens import RELEASED, LowerRight, Phrase, place, render

_OPEN, _CLOSE = RELEASED.phrase


def caption_task(caption: str, phrases: Sequence[Phrase], lower_right: LowerRight, dice: Dice) -> Task | None:
    """`<grounding> In short: ` -> the grounded caption."""
    opening = dice.pick(KOSMOS2_CAPTION)
    shift = len(opening) + 1
    moved = [replace(phrase, start=phrase.start + shift, end=phrase.end + shift) for phrase in phrases]
    text = render(f"{opening} {caption}", moved, RELEASED, lower_right)
    prompt = f"{RELEASED.grounding} {opening}"
    return Task("kosmos2_caption", prompt, text.removeprefix(prompt))


def grounding_task(caption: str, phrases: Sequence[Phrase], lower_right: LowerRight, dice: Dice) -> Task | None:
    """The caption up to a phrase -> where that is."""
    if not phrases:
        return None
    phrase = dice.pick(phrases)
    boxes = place(phrase.boxes, RELEASED, lower_right)
    text = render(caption[: phrase.end], [phrase], RELEASED, lower_right)
    return Task("kosmos2_grounding", text.removesuffix(boxes), boxes)


def comprehension_task(caption: str, phrases: Sequence[Phrase], lower_right: LowerRight, dice: Dice) -> Task | None:
    """`<grounding><phrase> a dog</phrase>` -> where that is."""
    if not (choice := unique(caption, phrases)):
        return None
    drawn = dice.pick(choice)
    prompt = f"{RELEASED.grounding}{_OPEN} {drawn.words}{_CLOSE}"
    return Task("kosmos2_comprehension", prompt, place(drawn.phrase.boxes, RELEASED, lower_right))


def generation_task(caption: str, phrases: Sequence[Phrase], lower_right: LowerRight, dice: Dice) -> Task | None:
    """`<grounding><phrase> It</phrase><object>…</object> is` -> the phrase, of those with one box."""
    choice = [one for one in unique(caption, phrases) if len(one.phrase.boxes) == 1]
    if not choice:
        return None
    drawn = dice.pick(choice)
    boxes = place(drawn.phrase.boxes, RELEASED, lower_right)
    return Task("kosmos2_generation", f"{RELEASED.grounding}{_OPEN} It{_CLOSE}{boxes} is", f" {drawn.words}")
