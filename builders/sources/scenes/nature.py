"""How the things of nature are drawn, in a box of width 1; their own colour fills most of them."""

from __future__ import annotations

from collections.abc import Callable

from builders.sources.scenes.shapes import BODY, DARK, DEEP, PALE, Pen, around, curve, solid

BARK, LEAF, CREAM = solid(118, 80, 50), solid(70, 138, 62), solid(250, 240, 220)
EYE, INK, HONEY = solid(250, 250, 250), solid(24, 24, 30), solid(206, 150, 62)


def _tree(pen: Pen) -> None:
    pen.polygon([(0.44, 0.6), (0.56, 0.6), (0.6, 1.14), (0.4, 1.14)], BARK)
    for u, v, r in ((0.27, 0.55, 0.26), (0.73, 0.55, 0.26), (0.5, 0.3, 0.29), (0.5, 0.62, 0.24)):
        pen.disc(u, v, r, BODY, 0.035, 0.09)
    pen.oval(0.5, 0.5, 0.3, 0.22, BODY, 0, 0)
    for u, v in ((0.36, 0.3), (0.6, 0.24), (0.24, 0.52), (0.5, 0.5), (0.74, 0.54), (0.56, 0.7)):
        pen.path(curve((u - 0.05, v), (u, v + 0.05), (u + 0.05, v)), 0.016, DARK, 0)


def _sun(pen: Pen) -> None:
    for k in range(12):
        tip, left, right = (
            around(0.5, 0.5, 0.5, k / 12),
            around(0.5, 0.5, 0.33, k / 12 - 0.03),
            around(0.5, 0.5, 0.33, k / 12 + 0.03),
        )
        pen.polygon([left, tip, right], BODY, 0.022, 0.02)
    pen.disc(0.5, 0.5, 0.3, BODY, 0.03, 0.1)
    for u in (0.4, 0.6):
        pen.oval(u, 0.46, 0.03, 0.042, INK, 0, 0)
    pen.path(curve((0.38, 0.56), (0.5, 0.7), (0.62, 0.56)), 0.026, INK, 0)


def _cat(pen: Pen) -> None:
    pen.path(curve((0.78, 1.0), (1.04, 1.02), (0.98, 0.62), (0.86, 0.66)), 0.08, BODY)
    pen.oval(0.5, 0.82, 0.32, 0.27, BODY, 0.03, 0.09)
    for side in (-1, 1):
        pen.polygon([(0.5 + side * 0.37, 0.0), (0.5 + side * 0.12, 0.14), (0.5 + side * 0.39, 0.36)], BODY)
        pen.polygon(
            [(0.5 + side * 0.33, 0.08), (0.5 + side * 0.2, 0.16), (0.5 + side * 0.34, 0.26)], solid(240, 170, 176), 0, 0
        )
    pen.oval(0.5, 0.38, 0.43, 0.31, BODY, 0.03, 0.09)
    for side in (-1, 1):
        pen.oval(0.5 + side * 0.18, 0.36, 0.075, 0.085, EYE, 0.015, 0)
        pen.oval(0.5 + side * 0.17, 0.37, 0.042, 0.062, INK, 0, 0)
        pen.disc(0.5 + side * 0.17 - 0.02, 0.345, 0.017, EYE, 0, 0)
        for v in (0.46, 0.53):
            pen.path([(0.5 + side * 0.22, 0.49), (0.5 + side * 0.4, v)], 0.011, PALE, 0)
        pen.oval(0.5 + side * 0.13, 1.05, 0.1, 0.045, BODY, 0.025, 0.02)
    pen.polygon([(0.455, 0.47), (0.545, 0.47), (0.5, 0.525)], solid(226, 120, 132), 0.01, 0)
    pen.path(curve((0.42, 0.56), (0.47, 0.6), (0.5, 0.54)), 0.014, INK, 0)
    pen.path(curve((0.5, 0.54), (0.53, 0.6), (0.58, 0.56)), 0.014, INK, 0)


def _fish(pen: Pen) -> None:
    pen.polygon(
        [
            (0.68, 0.33),
            *curve((0.84, 0.2), (0.95, 0.1), (1.0, 0.08)),
            *curve((0.92, 0.3), (0.92, 0.36), (1.0, 0.58)),
            (0.84, 0.46),
        ],
        DARK,
    )
    pen.polygon(curve((0.24, 0.14), (0.4, -0.08), (0.62, 0.02), (0.66, 0.2)), DARK)
    pen.polygon(curve((0.34, 0.54), (0.4, 0.72), (0.54, 0.68), (0.56, 0.54)), DARK)
    pen.polygon(
        [
            *curve((0.0, 0.35), (0.18, -0.05), (0.62, 0.0), (0.78, 0.33)),
            *curve((0.78, 0.33), (0.62, 0.67), (0.18, 0.7), (0.0, 0.35)),
        ],
        BODY,
        0.03,
        0.09,
    )
    for u in (0.36, 0.48, 0.6):
        pen.path(curve((u, 0.2), (u + 0.07, 0.33), (u, 0.46)), 0.018, DARK, 0)
    pen.path(curve((0.24, 0.2), (0.3, 0.34), (0.24, 0.5)), 0.016, DEEP, 0)
    pen.disc(0.15, 0.28, 0.058, EYE, 0.015, 0)
    pen.disc(0.14, 0.285, 0.032, INK, 0, 0)


def _star(pen: Pen) -> None:
    pen.polygon([around(0.5, 0.525, 0.525 if k % 2 == 0 else 0.24, k / 10) for k in range(10)], BODY, 0.04, 0.06)
    pen.polygon([around(0.5, 0.525, 0.36 if k % 2 == 0 else 0.165, k / 10) for k in range(10)], PALE, 0, 0.03)
    pen.polygon([around(0.5, 0.525, 0.29 if k % 2 == 0 else 0.13, k / 10) for k in range(10)], BODY, 0, 0.05)


def _flower(pen: Pen) -> None:
    pen.path(curve((0.5, 0.6), (0.46, 0.9), (0.52, 1.27)), 0.06, LEAF)
    pen.polygon(
        [*curve((0.5, 1.16), (0.6, 0.88), (0.92, 0.9)), *curve((0.92, 0.9), (0.86, 1.16), (0.5, 1.16))],
        LEAF,
        0.02,
        0.03,
    )
    pen.polygon(
        [*curve((0.5, 1.2), (0.4, 0.98), (0.1, 1.0)), *curve((0.1, 1.0), (0.2, 1.22), (0.5, 1.2))], LEAF, 0.02, 0.03
    )
    for k in range(8):
        u, v = around(0.5, 0.47, 0.3, (k + 0.5) / 8)
        pen.disc(u, v, 0.155, BODY, 0.03, 0.05)
    pen.disc(0.5, 0.47, 0.25, BODY, 0, 0)
    pen.disc(0.5, 0.47, 0.155, solid(150, 98, 44), 0.03, 0.05)
    for k in range(6):
        pen.disc(*around(0.5, 0.47, 0.085, k / 6), 0.018, HONEY, 0, 0)


def _butterfly(pen: Pen) -> None:
    pen.path(curve((0.5, 0.22), (0.44, 0.06), (0.36, 0.03)), 0.018, INK, 0)
    pen.path(curve((0.5, 0.22), (0.56, 0.06), (0.64, 0.03)), 0.018, INK, 0)
    for side in (-1, 1):
        low = [
            (0.5, 0.42),
            *curve(
                (0.5 + side * 0.3, 0.4),
                (0.5 + side * 0.48, 0.62),
                (0.5 + side * 0.34, 0.86),
                (0.5 + side * 0.12, 0.82),
                (0.5, 0.5),
            ),
        ]
        pen.polygon(low, DARK, 0.03, 0.05)
        high = [
            (0.5, 0.4),
            *curve(
                (0.5, 0.36),
                (0.5 + side * 0.2, -0.04),
                (0.5 + side * 0.6, -0.08),
                (0.5 + side * 0.56, 0.4),
                (0.5 + side * 0.3, 0.56),
                (0.5, 0.46),
            ),
        ]
        pen.polygon(high, BODY, 0.03, 0.06)
        pen.oval(0.5 + side * 0.33, 0.2, 0.07, 0.065, PALE, 0, 0)
        pen.oval(0.5 + side * 0.25, 0.6, 0.05, 0.05, PALE, 0, 0)
    pen.oval(0.5, 0.45, 0.04, 0.27, solid(70, 52, 48), 0.012, 0.02)


def _mushroom(pen: Pen) -> None:
    pen.polygon(
        [
            *curve((0.36, 0.5), (0.42, 0.72), (0.3, 0.98)),
            *curve((0.3, 0.98), (0.5, 1.02), (0.7, 0.98)),
            *curve((0.7, 0.98), (0.58, 0.72), (0.64, 0.5)),
        ],
        CREAM,
        0.03,
        0.06,
    )
    pen.polygon(
        [
            *curve((0.0, 0.5), (0.02, -0.18), (0.98, -0.18), (1.0, 0.5), steps=24),
            *curve((1.0, 0.5), (0.5, 0.68), (0.0, 0.5)),
        ],
        BODY,
        0.03,
        0.1,
    )
    for u, v, r in (
        (0.3, 0.3, 0.075),
        (0.56, 0.16, 0.065),
        (0.72, 0.36, 0.08),
        (0.48, 0.44, 0.06),
        (0.13, 0.44, 0.045),
    ):
        pen.oval(u, v, r, r * 0.85, PALE, 0, 0)


def _duck(pen: Pen) -> None:
    pen.polygon(
        [(0.2, 0.26), *curve((0.12, 0.26), (0.0, 0.28), (0.0, 0.36)), *curve((0.1, 0.4), (0.2, 0.4), (0.24, 0.36))],
        solid(240, 150, 40),
        0.025,
        0.02,
    )
    body = [
        *curve((0.2, 0.52), (0.34, 0.56), (0.6, 0.46), (0.78, 0.44), (1.0, 0.32)),
        *curve((1.0, 0.32), (1.02, 0.9), (0.7, 0.89)),
        *curve((0.5, 0.9), (0.16, 0.9), (0.12, 0.66), (0.2, 0.52)),
    ]
    pen.polygon(body, BODY, 0.03, 0.09)
    pen.disc(0.36, 0.26, 0.24, BODY, 0.03, 0.09)
    pen.oval(0.38, 0.5, 0.16, 0.08, BODY, 0, 0)
    pen.polygon(
        [*curve((0.46, 0.62), (0.56, 0.84), (0.8, 0.8), (0.86, 0.54)), *curve((0.86, 0.54), (0.7, 0.62), (0.46, 0.62))],
        DARK,
        0.022,
        0.04,
    )
    pen.disc(0.28, 0.22, 0.05, EYE, 0.012, 0)
    pen.disc(0.27, 0.22, 0.03, INK, 0, 0)


NATURE: dict[str, Callable[[Pen], None]] = {
    "tree": _tree,
    "sun": _sun,
    "cat": _cat,
    "fish": _fish,
    "star": _star,
    "flower": _flower,
    "butterfly": _butterfly,
    "mushroom": _mushroom,
    "duck": _duck,
}
