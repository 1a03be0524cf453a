"""Grounded captions as questions and answers about regions, in LLaVA's files: `DIR/llava.json` and `DIR/images/`.

A box is `[x1, y1, x2, y2]` in 0..1 of the image's sides, with three decimals, and at least 0.001 wide and high.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from builders.dice import Dice
from builders.export.conversations import FILES, write_list
from builders.export.folder import Images, new_folder
from builders.export.grounded import Grounded, grounded
from builders.grounding.boxes import Box, one_apart
from builders.grounding.record import phrases_of
from builders.grounding.tasks.task import Referring, unique
from builders.grounding.tasks.wording import WHAT, WHERE, WHERE_ALL
from builders.instruct.turns import Turn, conversations
from builders.shards.store import Store

FILE = FILES["llava"]
_PARTS = 1000


def export(store: Store, folder: Path, seed: int = 0) -> int:
    """Write a conversation an image: a turn for each phrase that the caption says once. Returns how many images.

    Whether a turn asks for the box or for the phrase is drawn by (seed, key); of a phrase with several boxes all of
    them are asked for. A caption without such a phrase is left out. Raises UserError for a dataset of another kind.
    """
    with new_folder(folder) as place:
        return write_list(place / FILE, _conversations(store, Images(place / "images"), seed))


def _conversations(store: Store, images: Images, seed: int) -> Iterator[dict[str, Any]]:
    for one in grounded(store):
        key = one.sample.key
        if turns := turns_of(one, seed):
            yield {"id": key, "image": images.add(one.sample), "conversations": conversations(turns, seed, key)}


def turns_of(one: Grounded, seed: int) -> list[Turn]:
    """The questions about one image with their answers, in the order of the caption."""
    dice = Dice(seed, "referring", one.sample.key)
    return [_turn(referring, dice) for referring in unique(one.record["caption"], phrases_of(one.record))]


def _turn(referring: Referring, dice: Dice) -> Turn:
    words, boxes = referring.words, referring.phrase.boxes
    told = region(boxes)
    if len(boxes) > 1:
        return Turn(dice.pick(WHERE_ALL).format(words), told)
    if dice.chance(0.5):
        return Turn(dice.pick(WHERE).format(words), told)
    return Turn(dice.pick(WHAT).format(told), words)


def region(boxes: Sequence[Box]) -> str:
    """Boxes as text, with a comma between them."""
    return ", ".join(f"[{', '.join(f'{number / _PARTS:.3f}' for number in _whole(box))}]" for box in boxes)


def _whole(box: Box) -> tuple[int, int, int, int]:
    """In thousandths of a side."""
    x1, y1, x2, y2 = (round(round(value, 3) * _PARTS) for value in box)
    (x1, x2), (y1, y2) = one_apart(x1, x2, _PARTS), one_apart(y1, y2, _PARTS)
    return x1, y1, x2, y2
