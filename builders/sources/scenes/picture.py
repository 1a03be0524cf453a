"""A scene as a picture."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from builders.dice import Dice
from builders.sources.scenes.backdrops import ABOVE, VARIANTS, WIDE, panorama
from builders.sources.scenes.shapes import Pen
from builders.sources.scenes.things import draw
from builders.sources.scenes.world import AIRBORNE, COLOURS, STEPS, THINGS, Item, Scene

Pixels = NDArray[np.uint16]

QUALITY = 90
"""Of the JPEGs, colours at full resolution."""


def render(scene: Scene) -> bytes:
    """The scene as a JPEG."""
    return jpeg(picture(scene))


def jpeg(image: Image.Image, quality: int = QUALITY, subsampling: int = 0) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, subsampling=subsampling)
    return out.getvalue()


def picture(scene: Scene) -> Image.Image:
    """The scene as an RGB image."""
    canvas = backdrop(scene)
    items = sorted(scene.items, key=lambda item: item.y + item.h)
    for item in items:
        if item.thing not in AIRBORNE:
            _shade(canvas, item)
    for item in items:
        _put(canvas, item)
    return Image.merge("RGB", [Image.fromarray(band) for band in canvas.astype(np.uint8)])


def backdrop(scene: Scene) -> Pixels:
    """The background alone, as RGB, rows, columns: a window of a panorama, mirrored or not, a little darker or not."""
    dice, side = Dice("decor", scene.decor), scene.side
    wide = panorama(scene.background, dice.below(VARIANTS), side)
    top = round((ABOVE - scene.horizon) * side)
    left = dice.below(round((WIDE - 1) * side) + 1)
    window = wide[:, top : top + side, left : left + side].astype(np.uint16)
    window *= np.array([[[236 + dice.below(21)]] for _ in range(3)], np.uint16)
    window >>= 8
    return window[:, :, ::-1] if dice.chance(0.5) else window


@lru_cache(maxsize=2 * STEPS * len(THINGS))
def _sprite(thing: str, w: int, h: int) -> tuple[Pixels, Pixels, Pixels]:
    """A drawing that fills `w` x `h` pixels.

    The parts of 256 that it keeps of the background, its fixed colours times 256 (RGB, rows, columns), and its parts
    of 256 of the thing's colour, rounded so that for any colour the sum of all three stays below 2**16.
    """
    pen, box = _drawing(thing)
    layers = np.dstack([pen.cover, pen.tint, pen.fixed / 255])
    scaled = [
        np.asarray(Image.fromarray(layers[..., k]).resize((w, h), Image.Resampling.HAMMING, box)) for k in range(5)
    ]
    cover, tint, *fixed = (np.clip(layer, 0, 1) for layer in scaled)
    colours = np.minimum(np.stack(fixed), np.maximum(cover - tint, 0))
    keep, tints = np.floor(256 * (1 - cover)), np.floor(256 * tint)
    return keep.astype(np.uint16), np.floor(colours * 255 * 256).astype(np.uint16), tints.astype(np.uint16)


@lru_cache(maxsize=len(THINGS))
def _drawing(thing: str) -> tuple[Pen, tuple[int, int, int, int]]:
    """A drawing and the tight box around it."""
    pen = draw(thing)
    rows, columns = np.nonzero(pen.cover.max(1) > 0.3)[0], np.nonzero(pen.cover.max(0) > 0.3)[0]
    return pen, (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


@lru_cache(maxsize=256)
def _shadow(w: int) -> Pixels:
    """A soft ellipse, as parts of 256 that it keeps of the ground."""
    high, wide = max(8, w // 2), w + w // 2
    soft = Image.new("L", (wide, high))
    ImageDraw.Draw(soft).ellipse([w // 5, high * 3 // 10, wide - w // 5, high * 7 // 10], fill=150)
    blurred = soft.filter(ImageFilter.GaussianBlur(w / 14))
    return 256 - np.asarray(blurred, np.uint16)


def _shade(canvas: Pixels, item: Item) -> None:
    keep = _shadow(item.w)
    high, wide = keep.shape
    x, y = item.x + (item.w - wide) // 2 + item.w // 16, item.y + item.h - high // 2 - 1
    left, right = max(0, -x), min(wide, canvas.shape[2] - x)
    low = min(high, canvas.shape[1] - y)
    part = canvas[:, y : y + low, x + left : x + right]
    part *= keep[:low, left:right]
    part >>= 8


def _put(canvas: Pixels, item: Item) -> None:
    keep, fixed, tint = _sprite(item.thing, item.w, item.h)
    if item.flipped:
        keep, fixed, tint = keep[:, ::-1], fixed[:, :, ::-1], tint[:, ::-1]
    tones = [[[min(255, max(0, value + more))]] for value, more in zip(COLOURS[item.colour], item.shade, strict=True)]
    part = canvas[:, item.y : item.y + item.h, item.x : item.x + item.w]
    part *= keep
    part += fixed
    part += tint * np.array(tones, np.uint16)
    part >>= 8
