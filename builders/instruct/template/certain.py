"""What of an image is certain: things that are there, how many, where, in which colour, and what is not there.

Annotations are good, not complete: small things, people in the background and whole categories are missed, one thing
may be boxed twice, captions err. So a thing counts as there where box and words agree (or where the box is large and
the category plain), a number where boxes and words agree, an absence where the setting leaves no doubt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builders.grounding.words import WordTable
from builders.instruct.context import Box, Corners
from builders.instruct.template.agreed import Agreed, agreed
from builders.instruct.template.captions import Said, mentions, named_at_all, said_of, tokens
from builders.instruct.template.english import Noun, noun, words

LARGE, NAMED, NAMED_TWICE = 0.12, 0.01, 0.004
"""The least area, in parts of the picture, of a thing that no caption names, that one names, that two name."""

GAP = 0.03
"""What lies at least between two things of which one is left of, or above, the other, in parts of the side."""

OUTER, OFF = 0.33, 0.08
"""How far from an edge the middle of a thing may be that is on that side, and from the picture's that is near it."""

ACROSS = ("left", "right")

MOST = 6
"""The most things of a kind that are counted."""


@dataclass(frozen=True)
class Thing:
    """A category that is there. `number` is None where it is not certain; `alone`: a single one, so "the" will do.
    `whole`: the boxes are all that there are, as far as boxes can tell.
    """

    category: str
    noun: Noun
    boxes: tuple[Corners, ...]
    number: int | None
    several: bool
    whole: bool
    alone: bool
    colour: str | None

    @property
    def box(self) -> Corners:
        """The largest."""
        return max(self.boxes, key=area)


@dataclass(frozen=True)
class Certain:
    """`absent`: what is surely not there. `captions`: those that can be told, best first. `where`: "in a barn"."""

    things: tuple[Thing, ...]
    absent: tuple[Noun, ...]
    captions: tuple[Agreed, ...]
    where: str | None


def certain(
    captions: Sequence[str],
    boxes: Sequence[Box],
    crowds: frozenset[str],
    invalid: bool,
    table: WordTable,
    own: Mapping[str, frozenset[str]],
) -> Certain:
    """What is certain of an image. `own`: the words that are safely a category's own, for every category there is."""
    told = [mentions(table, caption) for caption in captions]
    places: dict[str, list[Corners]] = {}
    for box in boxes:
        places.setdefault(box.category, []).append(box.corners)
    things = []
    for category in sorted(places):
        said = said_of(category, told, own.get(category, frozenset()))
        thing = _thing(category, tuple(places[category]), said, category in crowds, invalid, captions)
        if thing is not None:
            things.append(thing)
    things.sort(key=lambda thing: (-area(thing.box), thing.category))
    boxed = Counter(box.category for box in boxes)
    absent = () if invalid else tuple(_absent(captions, places, crowds, table, own))
    told_well = tuple(agreed(table, captions, told, boxed, crowds))
    return Certain(tuple(things), absent, told_well, _where(captions))


def _thing(
    category: str, boxes: tuple[Corners, ...], said: Said, crowd: bool, invalid: bool, captions: Sequence[str]
) -> Thing | None:
    word = noun(category)
    largest = max(map(area, boxes))
    plain = category in words()["plain"] and not said.forms
    least = NAMED_TWICE if len(said.by) > 1 else NAMED if said.by else LARGE if plain else 2
    if word is None or largest < least:
        return None
    if len(boxes) == 1 and said.several and not crowd and not word.mass:  # words and boxes disagree
        return None
    loose = category in words()["loose"]
    number = None if crowd or invalid or word.mass else _number(boxes, said, loose, len(captions))
    single = not crowd and not invalid and not word.mass and len(boxes) == 1 and set(said.numbers) <= {1}
    alone = single and (
        number == 1 or len(said.by) >= min(2, max(1, len(captions))) or (not loose and largest >= LARGE)
    )
    several = not word.mass and number != 1 and (len(boxes) > 1 or crowd) and 2 * said.several >= len(said.by) > 0
    colours = {colour.replace("gray", "grey") for colour in said.colours}
    colour = said.colours[0] if alone and len(colours) == 1 and len(said.colours) > 1 else None
    return Thing(category, _person(said, word, captions) if category == "person" and single else word, boxes,
                 number, several, not crowd and not invalid and not loose, alone, colour)  # fmt: skip


def _person(said: Said, word: Noun, captions: Sequence[str]) -> Noun:
    """ "man" or "woman" where most captions say so and none says otherwise."""
    count = Counter(said.forms)
    for one, several, others in (
        ("man", "men", ("woman", "girl", "boy", "child", "kid", "lady", "baby", "toddler", "female")),
        ("woman", "women", ("man", "girl", "boy", "child", "kid", "guy", "baby", "toddler", "male")),
        ("boy", "boys", ("man", "woman", "girl", "lady", "guy", "female")),
        ("girl", "girls", ("man", "woman", "boy", "lady", "guy", "male")),
    ):
        if 2 * count[one] > len(captions) and count[one] > 1 and not any(count[other] for other in others):
            return Noun(one, several)
    return word


def _number(boxes: Sequence[Corners], said: Said, loose: bool, captions: int) -> int | None:
    """How many there are, where boxes and words agree."""
    number = len(boxes)
    if (
        number > MOST
        or (number > 1 and said.other)
        or not said.numerals <= {number}
        or min(map(area, boxes)) < 0.01
        or not _apart(boxes)
    ):
        return None
    if number == 1:
        enough = len(said.by) >= min(3, captions) and not loose
        return 1 if enough and said.numbers and set(said.numbers) == {1} else None
    stated = [count for count in said.numbers if count is not None and count > 1]
    many = 2 * sum(count == 1 for count in said.numbers) <= len(said.numbers)
    return number if many and said.by and len(stated) >= min(2, captions) and set(stated) == {number} else None


def _apart(boxes: Sequence[Corners]) -> bool:
    """No box lies mostly in another: the same thing is not boxed twice, nor a part of it."""
    return all(_shared(a, b) < 0.7 * min(area(a), area(b)) for i, a in enumerate(boxes) for b in boxes[:i])


def _absent(
    captions: Sequence[str],
    places: Mapping[str, Sequence[Corners]],
    crowds: frozenset[str],
    table: WordTable,
    own: Mapping[str, frozenset[str]],
) -> list[Noun]:
    if len(captions) < 2 or any(set(words()["pictured"]) & set(tokens(caption)) for caption in captions):
        return []
    there = named_at_all(table, captions) | places.keys() | crowds
    near = {one for kind in words()["alike"] if there & set(kind) for one in kind}
    allowed: list[set[str]] = []
    for setting in words()["settings"].values():
        boxed = any(max(map(area, places[name])) >= 0.02 for name in setting["boxes"] if name in places)
        named = sum(_names(caption, setting["words"]) for caption in captions)
        if boxed or named:
            allowed.append(set(setting["absent"]) if boxed or named > 1 else set())
    names = set.intersection(*allowed) if allowed else set()
    return [word for name in sorted(names - there - near) if name in own and (word := noun(name))]


def _where(captions: Sequence[str]) -> str | None:
    """The kind of place that most captions name, where none names another."""
    named = {where: sum(_names(caption, those) for caption in captions) for where, those in words()["places"].items()}
    most, *others = sorted(named, key=lambda where: -named[where])
    sure = named[most] >= max(2, (len(captions) + 1) // 2) and not any(named[other] for other in others)
    return most if sure else None


def _names(caption: str, those: Sequence[str]) -> bool:
    text = f" {' '.join(tokens(caption))} "
    return any(f" {one} " in text for one in those)


def beside(a: Corners, b: Corners) -> str | None:
    """ "left" or "right" where a lies clearly on that side of b."""
    if abs(_middle(a)[1] - _middle(b)[1]) > 0.4:
        return None
    return "left" if a[2] + GAP <= b[0] else "right" if b[2] + GAP <= a[0] else None


def higher(a: Corners, b: Corners) -> bool:
    """Whether a lies clearly higher in the picture."""
    return a[3] + GAP <= b[1]


def part_of_picture(box: Corners) -> str | None:
    """ "on the left side", "in the upper right part", "near the middle"; None where it is in no one part."""
    left, top, right, bottom = box
    across, down = _middle(box)
    x, y = half(left, right, ACROSS), half(top, bottom, ("upper", "lower"))
    if x and y:
        return f"in the {y} {x} part"
    if x:
        return f"on the {x} side"
    if y:
        return f"in the {y} part"
    small = right - left <= 0.5 and bottom - top <= 0.6
    return "near the middle" if small and max(abs(across - 0.5), abs(down - 0.5)) <= OFF else None


def half(first: float, last: float, names: tuple[str, str]) -> str | None:
    """The name of the half of a side that holds all from first to last, where their middle is in its outer part."""
    middle = (first + last) / 2
    return names[0] if last <= 0.5 and middle <= OUTER else names[1] if first >= 0.5 and middle >= 1 - OUTER else None


def _middle(box: Corners) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def area(box: Corners) -> float:
    """In parts of the picture."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _shared(a: Corners, b: Corners) -> float:
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
