"""What a caption claims, and whether a scene bears it out.

A judgement is True, False or None: None where people could disagree ("a red ball" where there are two, "left of" for
what is rather above). Captions that must be true are judged True and those that must be false are judged False.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from builders.sources.scenes.world import Item, Scene

OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
WORDS_OF_PLACE = (*OPPOSITE, "near", "between")

LOOKS_ALIKE = frozenset(
    frozenset(pair)
    for pair in (
        ("sea", "beach"), ("night", "evening"), ("meadow", "night"), ("meadow", "evening"),
        ("room", "night"), ("room", "evening"),
    )
)  # fmt: skip
"""Backgrounds of which one could be called the other, or whose names do not exclude each other."""

SLOPE = 1.7
"""What is to the left is this many times further left than it is up or down."""
NEAR, FAR = 0.10, 0.35
"""Gaps between two things that are surely near and surely not, as parts of the picture's side."""
LEVEL = 0.02
"""Centres this close, as parts of the picture's side, are on one level: neither is above."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """`count` things of a kind; colour and size only where they are told. One is "a", more are exactly so many."""

    thing: str
    colour: str | None = None
    size: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where phrase `subject` is, as seen from phrase `other`; "between" lies between `other` and `second`."""

    word: str
    subject: int
    other: int
    second: int = -1


@dataclass(frozen=True, slots=True)
class Meaning:
    """All that a caption claims."""

    phrases: tuple[Phrase, ...]
    place: Place | None = None
    background: str | None = None


def judge(meaning: Meaning, scene: Scene) -> bool | None:
    """Whether all claims hold: False if one surely does not, None if none is false but one is open."""
    return _all(_claims(meaning, scene))


def matching(phrase: Phrase, scene: Scene) -> list[Item]:
    """The things that a phrase may mean, whatever its count."""
    return [
        item
        for item in scene.items
        if item.thing == phrase.thing and phrase.colour in (None, item.colour) and phrase.size in (None, item.size)
    ]


def lies(word: str, item: Item, other: Item, side: int) -> bool | None:
    """Whether `item` is left of, right of, above, below or near `other`."""
    across = max(item.x - other.x - other.w, other.x - item.x - item.w)
    down = max(item.y - other.y - other.h, other.y - item.y - item.h)
    if word == "near":
        gap = max(across, down)
        return True if gap <= NEAR * side else False if gap >= FAR * side else None
    if word in ("right", "below"):
        return lies(OPPOSITE[word], other, item, side)
    dx, dy = (other.x - item.x) + (other.w - item.w) / 2, (other.y - item.y) + (other.h - item.h) / 2
    along, beside, apart = (dx, dy, across) if word == "left" else (dy, dx, down)
    if along <= LEVEL * side:
        return False
    return True if apart >= 0 and along >= SLOPE * abs(beside) else None


def between(item: Item, one: Item, two: Item) -> bool | None:
    """Whether `item` lies between two others, by its centre's place on the line from centre to centre."""
    x1, y1, x2, y2 = one.x + one.w / 2, one.y + one.h / 2, two.x + two.w / 2, two.y + two.h / 2
    dx, dy = x2 - x1, y2 - y1
    length = dx * dx + dy * dy
    if not length:
        return False
    px, py = item.x + item.w / 2 - x1, item.y + item.h / 2 - y1
    along, aside = (px * dx + py * dy) / length, abs(px * dy - py * dx) / length
    if 0.25 <= along <= 0.75 and aside <= 0.2:
        return True
    return False if not 0.05 <= along <= 0.95 or aside >= 0.6 else None


def _claims(meaning: Meaning, scene: Scene) -> Iterable[bool | None]:
    for phrase in meaning.phrases:
        yield _counted(phrase, len(matching(phrase, scene)))
    if meaning.background is not None:
        yield _before(meaning.background, scene.background)
    if meaning.place is not None:
        yield _placed(meaning, meaning.place, scene)


def _all(claims: Iterable[bool | None]) -> bool | None:
    verdict: bool | None = True
    for claim in claims:
        if claim is False:
            return False
        if claim is None:
            verdict = None
    return verdict


def _counted(phrase: Phrase, there: int) -> bool | None:
    if there == phrase.count:
        return True
    return None if phrase.count == 1 and there else False


def _before(claimed: str, there: str) -> bool | None:
    if claimed == there:
        return True
    return None if frozenset({claimed, there}) in LOOKS_ALIKE else False


def _placed(meaning: Meaning, place: Place, scene: Scene) -> bool | None:
    """Every thing of one phrase against every thing of the other; open where "a" may mean one of several."""
    subjects, others = (matching(meaning.phrases[k], scene) for k in (place.subject, place.other))
    if place.word == "between":
        seconds = matching(meaning.phrases[place.second], scene)
        verdicts = [between(a, b, c) for a in subjects for b in others for c in seconds]
    else:
        verdicts = [lies(place.word, a, b, scene.side) for a in subjects for b in others if a is not b]
    if not verdicts:
        return False
    verdict = _all(verdicts)
    several = any(
        meaning.phrases[k].count == 1
        for k in (place.subject, place.other)
        if len(matching(meaning.phrases[k], scene)) > 1
    )
    return None if several and verdict is False and any(v is not False for v in verdicts) else verdict
