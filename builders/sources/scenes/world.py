"""What a scene holds: things with a colour, a size and a place before a background. No pixels, no words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from builders.dice import Dice

THINGS = {
    "house": 0.94, "tree": 1.14, "car": 0.55, "boat": 1.01, "sun": 1.0, "cat": 1.17, "fish": 0.66, "cup": 0.86,
    "star": 0.95, "ball": 1.0, "flower": 1.44, "kite": 1.33, "umbrella": 1.04, "butterfly": 0.82, "mushroom": 1.01,
    "duck": 0.88,
}  # fmt: skip
"""Every thing, with its height over its width."""

AIRBORNE = frozenset({"sun", "star", "kite", "butterfly"})
"""Things that hang in the air; all others stand on the ground or float on the water."""

COLOURS = {
    "red": (222, 36, 42), "orange": (250, 136, 18), "yellow": (253, 220, 40), "green": (44, 160, 66),
    "blue": (40, 92, 226), "purple": (134, 56, 178), "pink": (252, 146, 196), "white": (247, 247, 245),
    "black": (44, 44, 52),
}  # fmt: skip
"""Every colour, as RGB."""

BACKGROUNDS = ("meadow", "sea", "beach", "night", "evening", "room", "snow")

_THINGS, _COLOURS = tuple(THINGS), tuple(COLOURS)

UNSEEN = frozenset({("night", "black"), ("snow", "white"), ("evening", "purple")})
"""Colours that a background would hide."""

SIZES = {"small": (0.20, 0.25), "big": (0.37, 0.46)}
"""The longer side of a thing, as parts of the picture's side."""

STEPS = 8
"""Different lengths within a size: few, so that each needs to be scaled down from its drawing only once."""

GAP = 0.02
"""What stays free around every thing, as parts of the picture's side; the picture's edge keeps 1.6 times that."""

EDGE = 1.6 * GAP
HORIZON = (0.30, 0.50)
GROUND_LINE = 0.06
"""How far below the horizon a thing's feet are at least, in parts of the picture's side."""

LOWEST_IN_AIR = 0.62
"""The lowest place of what hangs in the air."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing: its tight box in whole pixels, left, top, width, height; `shade` varies the colour a little."""

    thing: str
    colour: str
    size: str
    x: int
    y: int
    w: int
    h: int
    flipped: bool
    shade: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Scene:
    """`side` in pixels; `horizon` in parts of it from the top; `decor` decides what of the background means nothing."""

    side: int
    background: str
    horizon: float
    items: tuple[Item, ...]
    decor: int


def scene(seed: int, i: int, side: int = 128, most: int = 4) -> Scene:
    """Scene `i` of a world: one to `most` kinds of things, of which one may be there two or three times."""
    dice = Dice(seed, "scene", i)
    background = dice.pick(BACKGROUNDS)
    horizon = dice.between(*HORIZON)
    items: list[Item] = []
    kinds: set[tuple[str, str]] = set()
    wanted = min(most, 1 + int(4 * dice.unit() ** 0.85))
    crowd = dice.below(wanted) if dice.chance(0.3) else -1
    for kind in range(wanted):
        copies = 1 if kind != crowd else 2 + dice.chance(0.4)
        thing, colour = dice.pick(_THINGS), dice.pick(_COLOURS)
        size = "small" if dice.chance((0.5, 0.5, 0.58, 0.68)[min(wanted, 4) - 1] if copies == 1 else 0.85) else "big"
        if (thing, colour) in kinds or (background, colour) in UNSEEN:
            continue
        kinds.add((thing, colour))
        step = dice.below(STEPS)
        for _ in range(copies):
            item = _place(dice, side, horizon, thing, colour, size, step, items)
            if item is not None:
                items.append(item)
    if not items:  # the only kind would have been hidden
        items += filter(None, [_place(dice, side, horizon, dice.pick(_THINGS), "red", "big", dice.below(STEPS), [])])
    return Scene(side, background, horizon, tuple(items), dice.below(2**48))


@lru_cache(maxsize=4096)
def extent(thing: str, size: str, step: int, side: int) -> tuple[int, int]:
    """Width and height in pixels of a thing in a picture of `side`."""
    low, high = SIZES[size]
    longer = (low + (high - low) * step / (STEPS - 1)) * side
    ratio = THINGS[thing]
    return max(4, round(longer / max(1.0, ratio))), max(4, round(longer * min(1.0, ratio)))


def _place(
    dice: Dice, side: int, horizon: float, thing: str, colour: str, size: str, step: int, others: list[Item]
) -> Item | None:
    """The thing where it touches no other; None where it found no room."""
    w, h = extent(thing, size, step, side)
    edge, free = EDGE * side, GAP * side
    if thing in AIRBORNE:
        top, low = edge, max(edge + 1, LOWEST_IN_AIR * side - h)
    else:
        top, low = max(edge, (horizon + GROUND_LINE) * side - h), side - edge - h
    for _ in range(12):
        x, y = int(dice.between(edge, side - edge - w)), int(dice.between(top, low))
        if all(
            x >= old.x + old.w + free or old.x >= x + w + free or y >= old.y + old.h + free or old.y >= y + h + free
            for old in others
        ):
            shade = dice.below(3**3)
            tones = (shade % 3 - 1) * 6, (shade // 3 % 3 - 1) * 6, (shade // 9 - 1) * 6
            return Item(thing, colour, size, x, y, w, h, dice.chance(0.5), tones)
    return None
