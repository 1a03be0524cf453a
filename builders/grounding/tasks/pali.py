"""PaLI's questions about objects (arXiv 2209.06794, object-aware tasks): presence, listing, which of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from builders.dice import Dice
from builders.grounding.tasks.names import Named
from builders.grounding.tasks.task import Task
from builders.grounding.tasks.wording import LISTING, PRESENCE, WHICH
from builders.instruct.template.english import noun

NONE = "none"
"""The answer where none of several things is there."""
_TRIES = 20
"""Other images that are looked at for something absent, before the question is left out."""

Absent = Callable[[Dice, int], list[str]]
"""Draws up to so many things that are not in an image."""


def absent_from(named: Named, others: Sequence[Named]) -> Absent:
    """Draws what other images show and this one neither shows nor may show: the commoner a thing, the likelier.

    Trust it as far as `named` knows its image. Where every box of the categories is annotated, about as far as the
    annotators; where the caption alone tells, a thing that nobody mentions is called absent though it is there.
    """

    def draw(dice: Dice, count: int) -> list[str]:
        found: list[str] = []
        for _ in range(_TRIES if others else 0):
            other = dice.pick(others)
            thing = dice.pick(other.shown) if other.shown else None
            if thing and thing not in named.never_absent and thing not in found:
                found.append(thing)
            if len(found) == count:
                break
        return found

    return draw


def presence_task(named: Named, absent: Absent, dice: Dice) -> Task | None:
    """Whether one thing is there; half of the answers are no."""
    there = dice.chance(0.5)
    choice = list(named.shown) if there else absent(dice, 1)
    if not choice:
        return None
    thing = noun(dice.pick(choice))
    if thing is None:
        return None
    return Task("pali_presence", dice.pick(PRESENCE).format(thing.a), f" {'yes' if there else 'no'}")


def listing_task(named: Named, dice: Dice) -> Task | None:
    """All things with a box, in the caption's order. Others may be there, too: nobody has boxed them."""
    if not named.shown:
        return None
    return Task("pali_listing", dice.pick(LISTING), f" {', '.join(named.shown)}")


def which_task(named: Named, absent: Absent, dice: Dice) -> Task | None:
    """Which of up to four things are there; one of them at least is not, and in one of eight questions none is."""
    present = [] if dice.chance(1 / 8) else dice.shuffled(named.shown)[: 1 + dice.below(2)]
    missing = absent(dice, 1 + dice.below(2) + (not present))
    if not missing or len(missing) + len(present) < 2:
        return None
    things = dice.shuffled(present + missing)
    told = ", ".join(thing for thing in things if thing in present) or NONE
    return Task("pali_which", dice.pick(WHICH).format(", ".join(things)), f" {told}")
