"""How each thing is drawn, in a box of width 1: here what people make, in nature.py the others."""

from __future__ import annotations

from collections.abc import Callable

from builders.sources.scenes.nature import NATURE
from builders.sources.scenes.shapes import BODY, DARK, DEEP, PALE, Paint, Pen, curve, solid
from builders.sources.scenes.world import THINGS

GLASS, WOOD, BRASS, FRAME = solid(196, 228, 246), solid(128, 84, 50), solid(206, 150, 62), solid(250, 250, 250)
TYRE, METAL, LAMP, COFFEE = solid(46, 46, 52), solid(206, 208, 214), solid(255, 244, 190), solid(104, 66, 42)


def draw(thing: str) -> Pen:
    """The drawing of a thing, its colour still open."""
    pen = Pen(THINGS[thing])
    (NATURE.get(thing) or _MADE[thing])(pen)
    return pen


def _house(pen: Pen) -> None:
    pen.polygon([(0.7, 0.08), (0.82, 0.08), (0.82, 0.34), (0.7, 0.34)], solid(150, 92, 74))
    pen.polygon([(0.1, 0.42), (0.9, 0.42), (0.9, 0.95), (0.1, 0.95)], BODY)
    pen.polygon([(0.0, 0.46), (0.5, 0.02), (1.0, 0.46)], DARK, puff=0.04)
    pen.polygon([(0.42, 0.62), (0.6, 0.62), (0.6, 0.95), (0.42, 0.95)], WOOD)
    pen.disc(0.565, 0.8, 0.016, BRASS, 0)
    for u in (0.17, 0.67):
        pen.polygon([(u, 0.56), (u + 0.17, 0.56), (u + 0.17, 0.74), (u, 0.74)], GLASS, puff=0.02)
        pen.path([(u + 0.085, 0.56), (u + 0.085, 0.74)], 0.012, FRAME, 0)
        pen.path([(u, 0.65), (u + 0.17, 0.65)], 0.012, FRAME, 0)


def _car(pen: Pen) -> None:
    roof = [(0.14, 0.3), *curve((0.22, 0.26), (0.3, 0.0), (0.5, 0.01), (0.68, 0.0), (0.82, 0.28)), (0.86, 0.3)]
    pen.polygon(roof, BODY)
    pen.polygon([(0.26, 0.25), *curve((0.31, 0.08), (0.36, 0.06), (0.47, 0.06)), (0.47, 0.25)], GLASS, 0.015, 0.02)
    pen.polygon([(0.53, 0.25), (0.53, 0.06), *curve((0.56, 0.06), (0.66, 0.06), (0.75, 0.25))], GLASS, 0.015, 0.02)
    side = [*curve((0.0, 0.46), (0.0, 0.28), (0.14, 0.27)), *curve((0.84, 0.27), (1.0, 0.29), (1.0, 0.46))]
    pen.polygon([*side, (0.97, 0.47), (0.03, 0.47)], BODY, puff=0.05)
    pen.path([(0.06, 0.385), (0.94, 0.385)], 0.012, DEEP, 0)
    pen.oval(0.955, 0.34, 0.028, 0.03, LAMP, 0.015, 0)
    for u in (0.23, 0.77):
        pen.disc(u, 0.46, 0.115, TYRE, 0.02, 0.03)
        pen.disc(u, 0.46, 0.055, METAL, 0, 0.02)


def _boat(pen: Pen) -> None:
    pen.path([(0.47, 0.03), (0.47, 0.78)], 0.03, WOOD)
    pen.polygon([*curve((0.52, 0.05), (0.8, 0.3), (0.93, 0.66)), (0.52, 0.68)], BODY)
    pen.polygon([*curve((0.42, 0.14), (0.28, 0.44), (0.1, 0.64)), (0.42, 0.68)], PALE)
    hull = [
        (0.0, 0.74),
        (1.0, 0.74),
        *curve((1.0, 0.74), (0.93, 1.02), (0.7, 1.03)),
        *curve((0.3, 1.03), (0.08, 1.02), (0.0, 0.74)),
    ]
    pen.polygon(hull, BODY)
    pen.path([(0.05, 0.82), (0.95, 0.82)], 0.025, PALE, 0)


def _cup(pen: Pen) -> None:
    pen.ring(0.77, 0.44, 0.165, 0.085, BODY)
    pen.polygon(
        [
            (0.0, 0.1),
            (0.74, 0.1),
            *curve((0.72, 0.5), (0.7, 0.86), (0.56, 0.85)),
            *curve((0.18, 0.85), (0.04, 0.86), (0.02, 0.5)),
        ],
        BODY,
        0.03,
        0.1,
    )
    pen.oval(0.37, 0.1, 0.37, 0.09, PALE, 0.03, 0.0)
    pen.oval(0.37, 0.115, 0.31, 0.065, COFFEE, 0, 0.02)
    pen.gleam(0.13, 0.46, 0.035, 0.18, 0.5)


def _ball(pen: Pen) -> None:
    pen.disc(0.5, 0.5, 0.5, BODY, 0.03, 0.14)
    pen.path(curve((0.07, 0.3), (0.42, 0.5), (0.93, 0.3)), 0.045, PALE, 0)
    pen.path(curve((0.07, 0.7), (0.42, 0.9), (0.93, 0.7)), 0.045, PALE, 0)
    pen.path(curve((0.5, 0.02), (0.24, 0.5), (0.5, 0.98)), 0.045, PALE, 0)
    pen.gleam(0.32, 0.22, 0.12, 0.08, 0.75)


def _kite(pen: Pen) -> None:
    pen.path(curve((0.5, 0.9), (0.62, 1.0), (0.34, 1.1), (0.52, 1.2), (0.46, 1.34)), 0.026, Paint(0.3, (60, 60, 60)), 0)
    for u, v in ((0.5, 1.02), (0.47, 1.2)):
        pen.polygon([(u - 0.13, v - 0.06), (u, v), (u - 0.11, v + 0.07)], BODY, 0.018, 0.01)
        pen.polygon([(u + 0.13, v - 0.07), (u, v), (u + 0.12, v + 0.06)], BODY, 0.018, 0.01)
    top, right, low, left, middle = (0.5, 0.0), (1.0, 0.4), (0.5, 0.95), (0.0, 0.4), (0.5, 0.4)
    pen.polygon([top, right, low, left], BODY, 0.04, 0.05)
    pen.polygon([top, right, middle], PALE, 0, 0)
    pen.polygon([left, middle, low], PALE, 0, 0)
    pen.path([top, low], 0.02, DEEP, 0)
    pen.path([left, right], 0.02, DEEP, 0)


def _umbrella(pen: Pen) -> None:
    pen.path([(0.5, 0.1), (0.5, 0.9), *curve((0.5, 0.9), (0.5, 1.06), (0.64, 1.05), (0.65, 0.92))], 0.045, WOOD)
    pen.path([(0.5, 0.0), (0.5, 0.08)], 0.03, WOOD)
    dome = curve((0.0, 0.54), (0.0, -0.14), (1.0, -0.14), (1.0, 0.54), steps=24)
    hem = [
        point
        for k in range(4)
        for point in curve((1 - k / 4, 0.54), (0.875 - k / 4, 0.42), (0.75 - k / 4, 0.54), steps=8)
    ]
    pen.polygon([*dome, *hem], BODY, 0.03, 0.09)
    for foot, bow in ((0.25, 0.18), (0.75, 0.82)):
        pen.path(curve((0.5, 0.05), (bow, 0.16), (foot, 0.53)), 0.022, DEEP, 0)
    pen.path([(0.5, 0.05), (0.5, 0.53)], 0.022, DEEP, 0)


_MADE: dict[str, Callable[[Pen], None]] = {
    "house": _house,
    "car": _car,
    "boat": _boat,
    "cup": _cup,
    "ball": _ball,
    "kite": _kite,
    "umbrella": _umbrella,
}
