"""Questions that what is certain decides, each with its answer, and the wording of both drawn from many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builders.dice import Dice
from builders.instruct.template.certain import Certain, Thing, beside, higher, part_of_picture
from builders.instruct.template.english import NUMBERS, Noun, capital, listed, phrases
from builders.instruct.turns import Turn

LISTED = 4
"""The most things that one answer names."""

SIDES = {"left": "to the left of", "right": "to the right of"}
OPPOSITE = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class Asked:
    """A question whose answer is decided; `kind` and `how` name the wordings, `words` fills them."""

    kind: str
    how: str
    words: Mapping[str, str]

    def turn(self, dice: Dice) -> Turn:
        ways = phrases()[self.kind]
        return Turn(filled(dice.pick(ways["ask"]), self.words), filled(dice.pick(ways[self.how]), self.words))


def filled(way: str, words: Mapping[str, str]) -> str:
    """A wording with its words, and a capital at its beginning."""
    return capital(way.format_map(words))


def questions(known: Certain, dice: Dice) -> dict[str, list[Asked]]:
    """All kinds of questions, each with as many as a conversation may hold, drawn and in a drawn order."""
    return {
        "scene": [scene(known)] if known.captions else [],
        "listing": list(_listing(known, dice)),
        "present": [_present(thing) for thing in dice.shuffled(known.things)],
        "absent": [_absent(noun) for noun in dice.shuffled(known.absent)],
        "where": [Asked("where", "answer", {"where": known.where})] if known.where else [],
        "count": dice.shuffled([_count(thing, thing.number) for thing in known.things if thing.number])[:2],
        "colour": dice.shuffled([_colour(thing, thing.colour) for thing in known.things if thing.colour])[:1],
        "place": dice.shuffled(list(_places(known)))[:2],
        "relation": dice.shuffled(list(_relations(known, dice)))[:2],
    }


def scene(known: Certain) -> Asked:
    """What the best of the captions tells."""
    told = known.captions[0]
    return Asked("scene", told.form, {"text": told.text})


def phrase(thing: Thing) -> str:
    """A thing as one names it for the first time: "a dog", "two dogs", "dogs"; beside one that is told of, others of
    whom no caption speaks may stand: "at least one person".
    """
    if thing.number and thing.number > 1:
        return thing.noun.counted(thing.number)
    if thing.category == "person" and len(thing.boxes) > 1 and not thing.several:
        return f"at least one {thing.noun.one}"
    return thing.noun.some if thing.several else thing.noun.a


def be(thing: Thing) -> str:
    return "are" if thing.several else "is"


def the(thing: Thing) -> str:
    return f"the {thing.noun.one}"


def sides(known: Certain) -> Iterator[tuple[Thing, Thing, str]]:
    """Each pair of single things of which the first lies to the left or to the right of the second."""
    for a in known.things:
        for b in known.things:
            if a.alone and b.alone and a is not b and (side := beside(a.box, b.box)):
                yield a, b, side


def heights(known: Certain) -> Iterator[tuple[Thing, Thing]]:
    """Each pair of single things of which the first is clearly higher up than the second."""
    for a in known.things:
        for b in known.things:
            if a.alone and b.alone and higher(a.box, b.box):
                yield a, b


def _listing(known: Certain, dice: Dice) -> Iterator[Asked]:
    if len(known.things) > 1:
        told = dice.shuffled(known.things[:LISTED])
        words = listed([phrase(thing) for thing in told])
        yield Asked("listing", "answer", {"all": words, "All": capital(words), "is": be(told[0])})


def _present(thing: Thing) -> Asked:
    several, noun = thing.several, thing.noun
    any_of = f"any {noun.some}" if several else noun.any
    is_, do = ("are", "do") if several else ("is", "does")
    seen = noun.some if several else noun.a
    words = {"s": seen, "any": any_of, "is": is_, "Is": capital(is_), "Do": capital(do), "n": noun.one}
    return Asked("present", "agree", words)


def _absent(noun: Noun) -> Asked:
    words = {"s": noun.a, "any": noun.any, "is": "is", "Is": "Is", "Do": "Does", "n": noun.one}
    return Asked("present", "deny", words)


def _count(thing: Thing, number: int) -> Asked:
    noun = thing.noun
    words = {"P": "people" if thing.category == "person" else noun.several, "number": NUMBERS[number]}
    one = "person" if thing.category == "person" else noun.one
    words |= {"n": one if number == 1 else words["P"], "is": "is" if number == 1 else "are"}
    return Asked("count", "answer", words | {"Number": capital(NUMBERS[number])})


def _colour(thing: Thing, colour: str) -> Asked:
    return Asked("colour", "answer", {"S": the(thing), "colour": colour})


def _places(known: Certain) -> Iterator[Asked]:
    for thing in known.things:
        if thing.alone and (place := part_of_picture(thing.box)):
            yield Asked("place", "answer", {"S": the(thing), "place": place})


def _relations(known: Certain, dice: Dice) -> Iterator[Asked]:
    for a, b, side in [pair for pair in sides(known) if pair[2] == "left"]:
        if dice.chance(0.5):
            a, b, side = b, a, "right"
        words = {"S": the(a), "T": the(b), "side": SIDES[side]}
        if dice.chance(0.5):
            yield Asked("relation", "answer", words)
        elif dice.chance(0.5):
            yield Asked("side", "agree", words | {"asked": SIDES[side]})
        else:
            yield Asked("side", "deny", words | {"asked": SIDES[OPPOSITE[side]]})
    for a, b in heights(known):
        one, other = dice.shuffled([a, b])
        yield Asked("height", "answer", {"S": the(one), "T": the(other), "U": the(a), "L": the(b)})
