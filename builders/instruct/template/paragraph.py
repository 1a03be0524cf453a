"""A paragraph about an image: what its captions agree on, then what is certain of its boxes."""

from __future__ import annotations

from collections.abc import Iterator

from builders.dice import Dice
from builders.instruct.template.certain import ACROSS, Certain, Thing, area, half, part_of_picture
from builders.instruct.template.english import NUMBERS, capital, listed, phrases, words
from builders.instruct.template.questions import SIDES, filled, heights, phrase, scene, sides, the
from builders.instruct.turns import Turn

MUCH = 0.45
"""The part of the picture from which on a thing takes up a large part of it."""

FACTS = 4
"""The most sentences about boxes."""


def paragraph(known: Certain, dice: Dice) -> Turn | None:
    """Two sentences or more, and a question that they answer; None where that little is not certain."""
    told: list[str] = []
    said: set[str] = set()
    if known.captions:
        best = scene(known)
        told.append(filled(dice.pick(phrases()[best.kind][best.how]), best.words))
        said.update(part for stem in known.captions[0].told for part in stem.split("/"))
        said.update(best.words["text"].split())
    located = list(_located(known, dice))
    told += [*_there(known, said, dice), *located, *_more(known, said)][: FACTS if told else FACTS + 1]
    if len(told) < 2:
        return None
    ways = phrases()["detail"]
    fitting = [*ways["two" if len(told) == 2 else "several"], *(ways["located"] if {*located} & {*told} else [])]
    return Turn(dice.pick(fitting), " ".join(told))


def _there(known: Certain, said: set[str], dice: Dice) -> Iterator[str]:
    new = [thing for thing in known.things if thing.category not in said]
    if new:
        also = "also " if said else ""
        first = "are" if new[0].several else "is"
        yield f"There {first} {also}{listed([phrase(thing) for thing in new[:4]])} in the picture."
    for thing in known.things:
        if thing.number and thing.number > 1 and (where := _apart(thing)):
            yield where
        elif thing.number and thing.number > 1 and thing not in new and NUMBERS[thing.number] not in said:
            yield f"There are {thing.noun.counted(thing.number)} in all."
        elif thing.alone and thing.category in words()["bulky"] and area(thing.box) >= MUCH:
            yield capital(f"{the(thing)} takes up a large part of the {_photo(dice)}.")


def _located(known: Certain, dice: Dice) -> Iterator[str]:
    placed = [(thing, place) for thing in known.things if thing.alone and (place := part_of_picture(thing.box))]
    for thing, place in placed[:2]:
        yield capital(f"{the(thing)} {dice.pick(('is', 'can be seen', 'appears'))} {place} of the {_photo(dice)}.")
    groups = [(thing, place) for thing in known.things if thing.several and (place := _group(thing))]
    for thing, place in groups[:1]:
        yield capital(f"the {thing.noun.some} are {place} of the {_photo(dice)}.")
    told = [thing for thing, _ in placed[:2]]
    beside = [pair for pair in dice.shuffled(list(sides(known))) if pair[0] not in told or pair[1] not in told]
    for a, b, side in beside[:1]:
        yield capital(f"{the(a)} is {SIDES[side]} {the(b)}.")
    above = [pair for pair in dice.shuffled(list(heights(known))) if pair[0] not in told or pair[1] not in told]
    for a, b in above[: not beside]:
        yield capital(f"{the(a)} is higher up in the {_photo(dice)} than {the(b)}.")


def _more(known: Certain, said: set[str]) -> Iterator[str]:
    if known.where and known.where.split()[-1] not in said:
        yield f"The scene is set {known.where}."
    for thing in known.things:
        if thing.colour and thing.colour not in said:
            yield capital(f"{the(thing)} is {thing.colour}.")


def _group(thing: Thing) -> str | None:
    """The part of the picture that holds all of a kind."""
    lefts, tops, rights, bottoms = zip(*thing.boxes, strict=True)
    return part_of_picture((min(lefts), min(tops), max(rights), max(bottoms))) if thing.whole else None


def _photo(dice: Dice) -> str:
    return dice.pick(("picture", "photo", "image"))


def _apart(thing: Thing) -> str | None:
    """Where two of a kind are, one on each side."""
    if len(thing.boxes) != 2:
        return None
    left, right = sorted(thing.boxes)
    if half(left[0], left[2], ACROSS) != "left" or half(right[0], right[2], ACROSS) != "right":
        return None
    return f"Of the two {thing.noun.several}, one is on the left side and the other on the right."
