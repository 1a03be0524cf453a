"""Qwen-VL's grounding lines (arXiv 2308.12966, appendix): grounded caption, phrase -> box, box -> phrase.

Where its lines have `<img>path</img>` in front, ours have the sample's image beside them.
"""

from __future__ import annotations

from collections.abc import Sequence

from builders.dice import Dice
from builders.grounding.qwen_tags import box_text, ref_text, render
from builders.grounding.tasks.task import Task, unique
from builders.grounding.tasks.wording import QWEN_CAPTION
from builders.grounding.tokens import Phrase


def caption_task(caption: str, phrases: Sequence[Phrase], dice: Dice) -> Task | None:
    """A question for a caption with grounding -> the caption in Qwen-VL's tags."""
    return Task("qwen_caption", dice.pick(QWEN_CAPTION), f" {render(caption, phrases)}")


def comprehension_task(caption: str, phrases: Sequence[Phrase], dice: Dice) -> Task | None:
    """`<ref>a dog</ref>` -> its boxes."""
    if not (choice := unique(caption, phrases)):
        return None
    drawn = dice.pick(choice)
    return Task("qwen_comprehension", ref_text(drawn.words), "".join(map(box_text, drawn.phrase.boxes)))


def generation_task(caption: str, phrases: Sequence[Phrase], dice: Dice) -> Task | None:
    """`<ref>This</ref><box>…</box> is` -> the phrase, of those with one box."""
    choice = [one for one in unique(caption, phrases) if len(one.phrase.boxes) == 1]
    if not choice:
        return None
    drawn = dice.pick(choice)
    return Task("qwen_generation", f"{ref_text('This')}{box_text(drawn.phrase.boxes[0])} is", f" {drawn.words}")
