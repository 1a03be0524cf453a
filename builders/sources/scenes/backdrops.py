"""Backgrounds: wide panoramas, of which each picture shows a window. All random numbers here are fixed.

Layers are painted with masks in 0..1, so that every edge is smooth without drawing it finer first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from PIL import Image

from builders.sources.scenes.world import BACKGROUNDS, HORIZON

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]

VARIANTS = 4
"""Panoramas of each background."""
ABOVE, BELOW, WIDE = HORIZON[1] + 0.02, 1.02 - HORIZON[0], 2.0
"""What a panorama shows above and below its horizon, and its width, in parts of the picture's side."""


@lru_cache(maxsize=len(BACKGROUNDS) * VARIANTS)
def panorama(background: str, variant: int, side: int) -> NDArray[np.uint8]:
    """A panorama for pictures of `side`: RGB, rows, columns; the horizon is ABOVE * side rows down."""
    land = _Land(side, RandomState(1000 * BACKGROUNDS.index(background) + variant))
    _PAINTED[background](land)
    return np.ascontiguousarray(np.clip(land.image + land.grain, 0, 255).astype(np.uint8).transpose(2, 0, 1))


class _Land:
    """A panorama in the making: `x`, `y` in parts of the side, y from the horizon downwards."""

    def __init__(self, side: int, chance: RandomState) -> None:
        self.side, self.chance = side, chance
        rows, columns = round((ABOVE + BELOW) * side), round(WIDE * side)
        self.y = _floats((np.arange(rows) + 0.5) / side - ABOVE)[:, None]
        self.x = _floats((np.arange(columns) + 0.5) / side)[None, :]
        self.image: Floats = np.zeros((rows, columns, 3), np.float32)
        self.grain = _floats(chance.uniform(-1.5, 1.5, (rows, columns, 1)))

    def gradient(self, *stops: tuple[float, Colour]) -> Floats:
        """Colours by height: (y, RGB), from top to bottom."""
        places = [y for y, _ in stops]
        bands = [np.interp(self.y[:, 0], places, [colour[k] for _, colour in stops]) for k in range(3)]
        return _floats(np.stack(bands, -1))[:, None, :]

    def lay(self, mask: Floats | float, colour: Floats | Colour) -> None:
        """Paint over what is there."""
        over = np.asarray(mask, np.float32)[..., None]
        self.image += (np.asarray(colour, np.float32) - self.image) * over

    def below(self, line: Floats | float, soft: float = 0.0) -> Floats:
        """The mask of what lies below a line (y for each x), its edge one pixel or `soft` wide."""
        return _floats(np.clip((self.y - line) / max(soft, 1 / self.side) + 0.5, 0, 1))

    def hills(self, height: float, length: float) -> Floats:
        """A rolling line: y for each x, `height` up and down, waves of about `length`."""
        turns = self.chance.uniform(0, 2 * np.pi, 3)
        waves = [
            np.sin(2 * np.pi * self.x / (length * k) + turns[i]) / (i + 1.5) for i, k in enumerate((1, 0.57, 0.31))
        ]
        return _floats(height * sum(waves))

    def noise(self, wide: float, tall: float) -> Floats:
        """Smooth noise in 0..1 with spots of about `wide` x `tall`, in parts of the side."""
        rows, columns = self.image.shape[:2]
        grid = self.chance.uniform(0, 1, (int(rows / self.side / tall) + 2, int(columns / self.side / wide) + 2))
        spots = Image.fromarray((grid * 255).astype(np.uint8)).resize((columns, rows), Image.Resampling.BICUBIC)
        return _floats(np.asarray(spots) / 255)

    def dots(self, count: int, radius: tuple[float, float], top: float, low: float) -> Floats:
        """The mask of soft round dots."""
        mask = np.zeros(self.image.shape[:2], np.float32)
        for x, y, part, strength in self.chance.uniform(0, 1, (count, 4)):
            r = radius[0] + (radius[1] - radius[0]) * part**2
            u, v = x * WIDE, top + y * (low - top)
            columns = slice(max(0, int((u - 2 * r) * self.side)), int((u + 2 * r) * self.side) + 2)
            rows = slice(max(0, int((v + ABOVE - 2 * r) * self.side)), max(0, int((v + ABOVE + 2 * r) * self.side) + 2))
            away = ((self.x[:, columns] - u) ** 2 + (self.y[rows] - v) ** 2) / r**2
            np.maximum(mask[rows, columns], np.exp(-2 * away) * (0.5 + 0.5 * strength), out=mask[rows, columns])
        return mask

    def clouds(self, count: int, colour: Colour, strength: float = 0.85) -> None:
        """Heaps of soft discs on flat bottoms."""
        for _ in range(count):
            u, v = self.chance.uniform(0, WIDE), self.chance.uniform(-ABOVE + 0.06, -0.14)
            size = self.chance.uniform(0.05, 0.11)
            mask = np.zeros(self.image.shape[:2], np.float32)
            for k in range(-2, 3):
                r = size * self.chance.uniform(0.55, 0.8) * (1 - 0.17 * abs(k))
                away = np.sqrt((self.x - u - 0.75 * k * size) ** 2 + ((self.y - v + 0.35 * r) * 1.15) ** 2)
                np.maximum(mask, np.clip((r - away) / (0.4 * r) + 0.3, 0, 1), out=mask)
            self.lay(mask * (1 - self.below(v + 0.15 * size, 0.03)) * strength, colour)


def _floats(values: Any) -> Floats:
    return np.asarray(values, np.float32)


def _meadow(land: _Land) -> None:
    tone = land.chance.uniform(-1, 1)
    land.lay(1, land.gradient((-ABOVE, (112 + 12 * tone, 180, 240)), (0, (214, 236, 250))))
    land.clouds(4, (255, 255, 255))
    land.lay(land.below(land.hills(0.03, 1.1) - 0.05), (140, 186, 168))
    land.lay(land.below(land.hills(0.025, 0.8) - 0.02), (128, 184, 120))
    ground = land.below(land.hills(0.008, 0.9))
    land.lay(ground, land.gradient((0, (158 + 8 * tone, 206, 116)), (0.7, (104, 172 + 6 * tone, 78))))
    land.lay(ground * np.clip(land.noise(0.3, 0.09) - 0.45, 0, 1) * 0.5, (190, 222, 120))
    blades = land.noise(0.012, 0.05) * land.noise(0.05, 0.05)
    land.lay(ground * np.clip(blades - 0.3, 0, 1) * np.clip(land.y * 3, 0.15, 1), (62, 132, 52))


def _sea(land: _Land) -> None:
    tone = land.chance.uniform(-1, 1)
    land.lay(1, land.gradient((-ABOVE, (120, 188, 240)), (0, (222, 238, 246))))
    land.clouds(3, (255, 255, 255), 0.8)
    water = land.below(0.0)
    land.lay(
        water, land.gradient((0, (128, 190, 214)), (0.12, (70, 156 + 8 * tone, 198)), (0.7, (30, 104 + 8 * tone, 160)))
    )
    for tall, near, far in ((0.012, 0.0, 0.2), (0.025, 0.1, 0.45), (0.045, 0.35, 0.9)):
        depth = np.clip((land.y - near) * 12, 0, 1) * np.clip((far - land.y) * 12, 0, 1)
        waves = land.noise(tall * 5, tall)
        land.lay(water * depth * np.clip(waves - 0.62, 0, 1) * 1.3, (214, 240, 248))
        land.lay(water * depth * np.clip(0.4 - waves, 0, 1) * 0.9, (18, 84, 140))


def _beach(land: _Land) -> None:
    land.lay(1, land.gradient((-ABOVE, (126, 196, 242)), (-0.1, (222, 240, 248))))
    land.clouds(3, (255, 255, 255), 0.75)
    land.lay(land.below(-0.1), land.gradient((-0.1, (60, 150, 190)), (0.0, (128, 210, 210))))
    land.lay(land.below(-0.1) * np.clip(land.noise(0.08, 0.012) - 0.6, 0, 1) * 1.4, (226, 246, 248))
    shore = land.hills(0.012, 0.9)
    land.lay(land.below(shore - 0.022, 0.012), (250, 252, 250))
    land.lay(land.below(shore), land.gradient((0, (206, 176, 120)), (0.07, (240, 216, 158)), (0.7, (226, 192, 126))))
    sand = land.below(shore + 0.04, 0.05)
    land.lay(sand * np.clip(land.noise(0.2, 0.05) - 0.5, 0, 1) * 0.55, (252, 236, 192))
    land.lay(sand * np.clip(land.noise(0.012, 0.01) - 0.72, 0, 1) * 0.8, (176, 138, 84))


def _night(land: _Land) -> None:
    tone = land.chance.uniform(-1, 1)
    land.lay(1, land.gradient((-ABOVE, (16, 20, 58)), (-0.1, (40 + 6 * tone, 50, 108)), (0.02, (84, 88, 150))))
    land.lay(np.clip(land.noise(0.35, 0.12) - 0.45, 0, 1) * 0.35 * (1 - land.below(-0.05, 0.2)), (120, 120, 190))
    land.lay(land.dots(90, (0.005, 0.011), -ABOVE, -0.02), (255, 250, 226))
    land.lay(land.below(land.hills(0.035, 1.0) - 0.04), (48, 54, 104))
    land.lay(land.below(land.hills(0.02, 0.8)), land.gradient((0, (52, 66, 112)), (0.7, (24, 32, 70))))
    land.lay(land.below(0.02, 0.05) * np.clip(land.noise(0.25, 0.06) - 0.5, 0, 1) * 0.5, (80, 96, 150))


def _evening(land: _Land) -> None:
    tone = land.chance.uniform(-1, 1)
    land.lay(1, land.gradient((-ABOVE, (98, 88 + 8 * tone, 160)), (-0.24, (206, 128, 160)), (-0.02, (255, 200, 140))))
    for _ in range(2):
        bands = np.clip(land.noise(0.5, 0.035) - 0.6, 0, 1) * (1 - land.below(-0.1, 0.2))
        land.lay(bands * 1.2, (255, 206, 186))
    land.lay(land.below(land.hills(0.035, 1.0) - 0.06), (178, 122, 150))
    land.lay(land.below(land.hills(0.025, 0.8) - 0.02), (142, 100, 142))
    land.lay(land.below(land.hills(0.01, 0.9)), land.gradient((0, (166, 118, 136)), (0.7, (96, 76, 116))))
    land.lay(land.below(0.02, 0.05) * np.clip(land.noise(0.25, 0.05) - 0.5, 0, 1) * 0.6, (210, 150, 150))


def _room(land: _Land) -> None:
    wall = ((238, 224, 200), (214, 226, 216), (214, 222, 234), (238, 216, 212))[land.chance.randint(4)]
    low = tuple(0.93 * value for value in wall)
    land.lay(1, land.gradient((-ABOVE, wall), (0, (low[0], low[1], low[2]))))
    stripes = np.clip(np.sin(2 * np.pi * land.x / 0.16) * 4, -1, 1) * 0.5 + 0.5
    land.lay(stripes * (0.3 * (1 - land.below(-0.04))), (252, 248, 240))
    beam = np.clip(1 - np.abs((land.x + 0.5 * land.y) % 1.0 - 0.4) * 4, 0, 1) * (1 - land.below(-0.02))
    land.lay(beam * 0.35, (255, 252, 236))
    floor = land.below(0.0)
    land.lay(floor, land.gradient((0, (176, 130, 90)), (0.7, (206, 160, 114))))
    land.lay(floor * np.clip(land.noise(0.3, 0.012) - 0.4, 0, 1) * 0.3, (140, 96, 62))
    away = np.maximum(land.y + 0.45, 0.1)
    planks = np.abs(((land.x - 0.5 * WIDE) / away) % 0.36 - 0.18) * away
    land.lay(floor * np.clip(1.4 - planks * land.side, 0, 1) * 0.5, (124, 86, 56))
    land.lay(land.below(-0.035) * (1 - floor), (250, 246, 238))
    land.lay(land.below(0.0) * (1 - land.below(0.022, 0.03)) * 0.5, (90, 60, 40))


def _snow(land: _Land) -> None:
    tone = land.chance.uniform(-1, 1)
    land.lay(1, land.gradient((-ABOVE, (150, 180 + 6 * tone, 212)), (0, (214, 224, 236))))
    land.lay(land.below(land.hills(0.04, 1.0) - 0.08), (188, 204, 224))
    land.lay(land.below(land.hills(0.03, 0.9) - 0.03), (208, 220, 236))
    ground = land.below(land.hills(0.012, 1.0))
    land.lay(ground, land.gradient((0, (226, 234, 244)), (0.7, (240, 244, 250))))
    land.lay(ground * np.clip(land.noise(0.45, 0.1) - 0.5, 0, 1) * 0.7, (196, 212, 236))
    land.lay(land.dots(130, (0.007, 0.016), -ABOVE, BELOW) * 0.9, (255, 255, 255))


_PAINTED: dict[str, Callable[[_Land], None]] = {
    "meadow": _meadow, "sea": _sea, "beach": _beach, "night": _night, "evening": _evening, "room": _room, "snow": _snow,
}  # fmt: skip
