"""Pairs of captions of one picture, true and false, that differ in one point: what a model can tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builders.dice import Dice
from builders.sources.scenes.edits import ONE_WORD, SWAPS, false_captions
from builders.sources.scenes.english import caption
from builders.sources.scenes.picture import render
from builders.sources.scenes.world import scene

KINDS = (*ONE_WORD, *SWAPS)


@dataclass(frozen=True)
class Contrast:
    """Scene `scene`'s picture (a JPEG), what is true of it, and what is not."""

    scene: int
    image: bytes
    true: str
    false: str
    kind: str
    word: str


def contrasts(seed: int, kind: str, count: int, side: int = 128, most: int = 4) -> Iterator[Contrast]:
    """The first `count` contrasts of a kind: one of KINDS, such as "place" (left for right).

    Take a seed that no training ever used.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
    i = found = 0
    while found < count:
        here, dice = scene(seed, i, side, most), Dice(seed, "contrast", i)
        told = caption(here, dice)
        for edited in false_captions(told, here, dice, (kind,)):
            found += 1
            yield Contrast(i, render(here), told.text, edited.caption.text, kind, edited.word)
        i += 1
