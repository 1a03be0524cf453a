"""Scenes: laid out without overlap, drawn where their boxes say, in colours that cannot be mistaken."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from builders.sources.scenes import picture
from builders.sources.scenes.world import AIRBORNE, COLOURS, SIZES, STEPS, THINGS, UNSEEN, Item, Scene, extent, scene

ANY_SCENE = st.builds(
    scene, st.integers(0, 2**40), st.integers(0, 2**40), st.sampled_from([32, 64, 100, 128, 224]), st.integers(1, 6)
)


def alone(thing: str, colour: str, size: str, step: int, side: int = 128, flipped: bool = False) -> Item:
    w, h = extent(thing, size, step, side)
    return Item(thing, colour, size, side // 5, side // 4, w, h, flipped, (0, 0, 0))


def drawn(item: Item, ground: tuple[int, int, int], side: int = 128) -> Any:
    """The thing alone on one colour: rows, columns, RGB."""
    canvas = np.empty((3, side, side), np.uint16)
    canvas[:] = np.array(ground, np.uint16)[:, None, None]
    picture._put(canvas, item)
    return canvas.transpose(1, 2, 0).astype(int)


@given(ANY_SCENE)
def test_every_thing_lies_inside_and_touches_no_other(here: Scene) -> None:
    assert here.items
    for n, one in enumerate(here.items):
        assert one.x > 0 and one.y > 0 and one.x + one.w < here.side and one.y + one.h < here.side
        assert (here.background, one.colour) not in UNSEEN
        for two in here.items[n + 1 :]:
            apart = max(one.x - two.x - two.w, two.x - one.x - one.w, one.y - two.y - two.h, two.y - one.y - one.h)
            assert apart >= 0.02 * here.side


@given(ANY_SCENE)
def test_a_kind_of_thing_has_one_size_so_that_it_can_be_counted(here: Scene) -> None:
    sizes = Counter(
        (item.thing, item.colour) for item in {replace(i, x=0, y=0, shade=(0, 0, 0), flipped=False) for i in here.items}
    )
    assert set(sizes.values()) == {1}


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(0, 2**40), st.integers(0, 2**40), st.sampled_from([64, 128, 160]))
def test_a_scene_and_its_picture_depend_on_seed_and_position_alone(seed: int, i: int, side: int) -> None:
    first = picture.render(scene(seed, i, side))
    picture._sprite.cache_clear()
    scene(seed, i + 1, side)
    assert picture.render(scene(seed, i, side)) == first
    with Image.open(io.BytesIO(first)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (side, side))


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize(("size", "side"), [("small", 128), ("big", 128), ("big", 256)])
def test_the_box_is_tight_around_what_is_drawn(thing: str, size: str, side: int) -> None:
    for step in range(STEPS):
        item = alone(thing, "red", size, step, side, flipped=step % 2 == 1)
        changed = np.abs(drawn(item, (90, 200, 200), side) - (90, 200, 200)).max(-1) > 24
        rows, columns = np.nonzero(changed.any(1))[0], np.nonzero(changed.any(0))[0]
        found = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        assert np.abs(np.subtract(found, (item.x, item.y, item.x + item.w, item.y + item.h))).max() <= 1


@pytest.mark.parametrize("thing", THINGS)
def test_a_thing_keeps_its_proportions(thing: str) -> None:
    _, (left, top, right, low) = picture._drawing(thing)
    assert (low - top) / (right - left) == pytest.approx(THINGS[thing], rel=0.03)


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("size", SIZES)
def test_most_of_a_thing_has_its_colour(thing: str, size: str) -> None:
    """Every pixel votes for the colour nearest to it at full brightness; greys vote for black or white."""
    names, palette = list(COLOURS), _bright(np.array(list(COLOURS.values())))
    for colour in COLOURS:
        item = alone(thing, colour, size, 3)
        clear, dark = drawn(item, (0, 0, 0)), drawn(item, (255, 255, 255))
        pixels = clear[np.abs(clear - dark).max(-1) < 20]
        grey = np.ptp(pixels, axis=-1) < 30
        if colour in ("black", "white"):
            assert np.median(pixels[grey]) < 80 if colour == "black" else np.median(pixels[grey]) > 170
            assert grey.mean() > 0.5
        else:
            away = ((_bright(pixels[~grey])[:, None] - palette[:-2]) ** 2).sum(-1)
            votes = Counter(np.argmin(away, axis=1).tolist())
            assert names[votes.most_common(1)[0][0]] == colour
            assert votes[names.index(colour)] > 0.4 * len(pixels)


def _bright(pixels: Any) -> Any:
    return pixels / pixels.max(-1, keepdims=True)


def test_small_and_big_are_far_apart() -> None:
    for thing in THINGS:
        assert max(extent(thing, "big", 0, 128)) > 1.4 * max(extent(thing, "small", STEPS - 1, 128))


@settings(max_examples=30)
@given(ANY_SCENE)
def test_what_stands_has_its_feet_on_the_ground(here: Scene) -> None:
    for item in here.items:
        if item.thing not in AIRBORNE:
            assert item.y + item.h >= here.horizon * here.side


def test_pictures_are_nearly_all_different() -> None:
    assert len({picture.render(scene(0, i, 64)) for i in range(500)}) == 500
