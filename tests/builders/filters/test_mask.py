"""Text in a photo masked, and the score of what is left."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from builders.filters.clip import ClipScore, PrepareText
from builders.filters.clip_files import ClipSpec, find_clip
from builders.filters.clip_image import PrepareImage
from builders.filters.mask import PrepareMasked, mask
from builders.step import Record, Services

GREEN, RED = (0, 200, 0), (200, 0, 0)


def photo(box: tuple[int, int, int, int] = (20, 10, 60, 30)) -> Image.Image:
    """Green, with a red region of text."""
    image = Image.new("RGB", (100, 50), GREEN)
    image.paste(RED, box)
    return image


def test_a_region_takes_the_colour_around_it() -> None:
    assert mask(photo(), [[20, 10, 60, 30]]).getcolors() == [(5000, GREEN)]


def test_a_region_at_the_edge_takes_the_colour_of_the_sides_that_it_has() -> None:
    assert mask(photo((0, 0, 40, 50)), [[-5, -5, 40, 60]]).getcolors() == [(5000, GREEN)]


def test_a_region_that_is_the_whole_photo_becomes_its_mean_colour() -> None:
    assert mask(photo((0, 0, 50, 50)), [[0, 0, 100, 50]]).getcolors() == [(5000, (100, 100, 0))]


@pytest.mark.parametrize(
    "box",
    [[], [1, 2, 3], [20, 10, 20, 30], [60, 30, 20, 10], [float("nan")] * 4, [200, 0, 300, 9], [0, 0, float("inf"), 9]],
)
def test_what_is_no_region_of_the_photo_masks_nothing(box: list[float]) -> None:
    assert mask(photo(), [box]).tobytes() == photo().tobytes()


@given(box=st.tuples(*[st.floats(-20, 120)] * 4))
def test_nothing_outside_a_region_changes(box: tuple[float, ...]) -> None:
    before, after = photo(), mask(photo(), [box])
    for x in range(0, 100, 3):
        for y in range(0, 50, 3):
            inside = box[0] - 1 <= x <= box[2] + 1 and box[1] - 1 <= y <= box[3] + 1
            assert inside or before.getpixel((x, y)) == after.getpixel((x, y))


def test_a_masked_photo_is_scored_as_one_that_never_showed_the_text(vit: Path, services: Services) -> None:
    spec = ClipSpec(str(vit))
    files = find_clip(spec)
    plain = Image.new("RGB", (100, 50), GREEN)
    records: list[dict[str, Any]] = [
        {"image": _png(photo()), "caption": "a lawn", "_text_boxes": [[20.0, 10.0, 60.0, 30.0]]},
        {"image": _png(photo()), "caption": "a lawn", "_text_boxes": None},
        {"image": _png(plain), "caption": "a lawn", "_text_boxes": []},
    ]
    steps = (
        PrepareImage(files.preprocess),
        PrepareText(spec),
        PrepareMasked(files.preprocess),
        ClipScore(spec, files.dim, masked=True, batch=2),
    )
    for step in steps:
        step.setup(services)
        for record, result in zip(records, step([_seen(step.reads, r) for r in records]), strict=True):
            assert isinstance(result, dict)
            record |= result
    masked, unmasked, never = ((r["clip_score"], r["clip_score_masked"]) for r in records)
    assert masked[1] == pytest.approx(never[0], abs=2e-6) == never[1]
    assert masked[0] == pytest.approx(unmasked[0], abs=2e-6) == unmasked[1]
    assert abs(masked[0] - never[0]) > 1e-3, "the text had shown"


def _seen(reads: Any, record: Record) -> Record:
    return {name: record[name] for name in reads}


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
