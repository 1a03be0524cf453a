"""A pen for small, soft, shaded drawings that take any colour.

A drawing is kept apart from its colour: every pixel is `fixed` + `tint` * colour over what `cover` leaves of the
background, so one drawing serves all colours, and is scaled down instead of being drawn again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float32]
Point = tuple[float, float]

MASTER = 192
"""Pixels of the longer side of a drawing; pictures show it smaller."""
FINER = 3
"""Shapes are cut out this much finer, then averaged."""
MARGIN = 12
"""Free pixels around, for outlines."""


@dataclass(frozen=True)
class Paint:
    """`tint` parts of the thing's own colour and a fixed colour (RGB); together they stay below white."""

    tint: float
    fixed: tuple[int, int, int] = (0, 0, 0)


BODY, DARK, DEEP = Paint(1.0), Paint(0.8), Paint(0.5)
PALE = Paint(0.66, (76, 76, 76))


def solid(red: int, green: int, blue: int) -> Paint:
    """A paint that no colour changes."""
    return Paint(0.0, (red, green, blue))


class Pen:
    """Draws in a box of width 1 and height `ratio`; u to the right, v downwards, both in parts of the width."""

    def __init__(self, ratio: float) -> None:
        self.unit = MASTER / max(1.0, ratio)
        self.size = round(self.unit) + 2 * MARGIN, round(self.unit * ratio) + 2 * MARGIN
        shape = self.size[::-1]
        self.fixed: Floats = np.zeros((*shape, 3), np.float32)
        self.tint: Floats = np.zeros(shape, np.float32)
        self.cover: Floats = np.zeros(shape, np.float32)

    def polygon(self, points: Sequence[Point], paint: Paint, line: float = 0.03, puff: float = 0.06) -> None:
        """A filled outline; `line` is the outline's width, `puff` how far from the rim the shading reaches."""
        inner, outer = self._blank(), self._blank()
        corners = [self._at(u, v) for u, v in points]
        ImageDraw.Draw(inner).polygon(corners, fill=255)
        pen = ImageDraw.Draw(outer)
        pen.polygon(corners, fill=255)
        if line:
            width = max(1, round(line * self.unit * FINER))
            pen.line([*corners, corners[0], corners[1]], fill=255, width=width, joint="curve")
        self._add(inner, outer, paint, puff)

    def oval(
        self, u: float, v: float, ru: float, rv: float, paint: Paint, line: float = 0.03, puff: float = 0.08
    ) -> None:
        """An upright ellipse around (u, v)."""
        inner, outer = self._blank(), self._blank()
        for image, more in ((inner, 0.0), (outer, line / 2)):
            corners = [*self._at(u - ru - more, v - rv - more), *self._at(u + ru + more, v + rv + more)]
            ImageDraw.Draw(image).ellipse(corners, fill=255)
        self._add(inner, outer, paint, puff)

    def disc(self, u: float, v: float, r: float, paint: Paint, line: float = 0.03, puff: float = 0.08) -> None:
        self.oval(u, v, r, r, paint, line, puff)

    def ring(self, u: float, v: float, r: float, thick: float, paint: Paint, line: float = 0.03) -> None:
        """A circle drawn with a thick pen."""
        inner, outer = self._blank(), self._blank()
        for image, more in ((inner, 0.0), (outer, line / 2)):
            big, hole = r + thick / 2 + more, r - thick / 2 - more
            ImageDraw.Draw(image).ellipse([*self._at(u - big, v - big), *self._at(u + big, v + big)], fill=255)
            ImageDraw.Draw(image).ellipse([*self._at(u - hole, v - hole), *self._at(u + hole, v + hole)], fill=0)
        self._add(inner, outer, paint, 0.03)

    def path(self, points: Sequence[Point], width: float, paint: Paint, line: float = 0.02) -> None:
        """A line with round ends and joints."""
        inner, outer = self._blank(), self._blank()
        corners = [self._at(u, v) for u, v in points]
        for image, more in ((inner, 0.0), (outer, line)):
            pen, thick = ImageDraw.Draw(image), (width + more) * self.unit * FINER
            pen.line(corners, fill=255, width=max(1, round(thick)), joint="curve")
            for x, y in corners:
                pen.ellipse([x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2], fill=255)
        self._add(inner, outer, paint, 0.02)

    def gleam(self, u: float, v: float, ru: float, rv: float, strength: float = 0.6) -> None:
        """A soft white reflection, on what is there already."""
        spot = self._blank()
        ImageDraw.Draw(spot).ellipse([*self._at(u - ru, v - rv), *self._at(u + ru, v + rv)], fill=255)
        light = self._soft(spot, 0.25 * min(ru, rv)) * strength * (self.cover > 0.95)
        self.fixed += (255 * self.cover[..., None] - self.fixed) * light[..., None]
        self.tint *= 1 - light

    def _at(self, u: float, v: float) -> Point:
        return (u * self.unit + MARGIN) * FINER, (v * self.unit + MARGIN) * FINER

    def _blank(self) -> Image.Image:
        return Image.new("L", (self.size[0] * FINER, self.size[1] * FINER))

    def _soft(self, mask: Image.Image, blur: float) -> Floats:
        """A mask in 0..1 at the drawing's own size."""
        small = mask.reduce(FINER)
        if blur:
            small = small.filter(ImageFilter.GaussianBlur(blur * self.unit))
        return np.asarray(np.asarray(small) / 255, np.float32)

    def _add(self, inner: Image.Image, outer: Image.Image, paint: Paint, puff: float) -> None:
        """The outline in a darker tone, and on it the shape, lit from the upper left as if it were a cushion."""
        left, top, right, low = outer.getbbox() or (0, 0, 0, 0)
        x, y = max(0, left // FINER - 1), max(0, top // FINER - 1)
        across, down = -(-right // FINER) + 1 - x, -(-low // FINER) + 1 - y
        crop = (x * FINER, y * FINER, (x + across) * FINER, (y + down) * FINER)
        inner, outer = inner.crop(crop), outer.crop(crop)
        part = np.s_[y : y + down, x : x + across]
        colour = np.array(paint.fixed, np.float32)
        self._lay(part, self._soft(outer, 0), np.float32(0.4 * paint.tint), colour * 0.4)
        light = np.zeros((down, across), np.float32)
        if puff:
            rise = np.gradient(self._soft(inner, puff))
            light = np.clip((0.8 * rise[0] + 0.6 * rise[1]) * puff * self.unit, -0.22, 0.22)
        dim, bright = 1 + np.minimum(light, 0) * 1.25, np.maximum(light, 0)
        fixed = colour * (dim * (1 - bright))[..., None] + 255 * bright[..., None]
        self._lay(part, self._soft(inner, 0), paint.tint * dim * (1 - bright), fixed)

    def _lay(self, part: tuple[slice, slice], mask: Floats, tint: Floats | np.float32, fixed: Floats) -> None:
        mask = mask[: self.cover[part].shape[0], : self.cover[part].shape[1]]
        self.fixed[part] += (fixed - self.fixed[part]) * mask[..., None]
        self.tint[part] += (tint - self.tint[part]) * mask
        self.cover[part] += (1 - self.cover[part]) * mask


def around(u: float, v: float, r: float, angle: float) -> Point:
    """The point on a circle, `angle` in turns clockwise from the top."""
    return u + r * math.sin(2 * math.pi * angle), v - r * math.cos(2 * math.pi * angle)


def curve(*control: Point, steps: int = 14) -> list[Point]:
    """Points of a Bézier curve of any degree."""
    found = []
    for k in range(steps + 1):
        t, left = k / steps, list(control)
        while len(left) > 1:
            left = [(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])) for a, b in pairwise(left)]
        found.append(left[0])
    return found
