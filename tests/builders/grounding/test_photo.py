"""Small photos are left out; a square cut from the middle takes its boxes along."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from builders.grounding.boxes import Box, area
from builders.grounding.photo import CentreCrop, MinSide, follow, middle
from builders.step import Record, Rejected

# ---- small photos ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "kept"), [((200, 900), True), ((199, 900), False), ((900, 199), False)])
def test_the_smaller_side_decides(size: tuple[int, int], kept: bool) -> None:
    (result,) = MinSide()([dict(zip(("width", "height"), size, strict=True))])
    assert result == ({} if kept else Rejected("too_small", "the smaller side has 199 pixels"))


# ---- boxes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "square"),
    [((640, 480), (80, 0, 560, 480)), ((480, 640), (0, 80, 480, 560)), ((7, 4), (1, 0, 5, 4)), ((5, 5), (0, 0, 5, 5))],
)
def test_the_square_lies_in_the_middle(size: tuple[int, int], square: tuple[int, ...]) -> None:
    assert middle(*size) == square


HALF: Box = (0.25, 0.0, 0.75, 1.0)


@pytest.mark.parametrize(
    ("box", "moved"),
    [
        ((0.25, 0.0, 0.75, 1.0), (0.0, 0.0, 1.0, 1.0)),
        ((0.5, 0.5, 0.6, 0.75), (0.5, 0.5, 0.7, 0.75)),
        ((0.0, 0.0, 0.5, 1.0), (0.0, 0.0, 0.5, 1.0)),
        ((0.0, 0.0, 0.3125, 1.0), (0.0, 0.0, 0.125, 1.0)),  # a fifth of it, exactly
        ((0.0, 0.0, 0.31, 1.0), None),
        ((0.8, 0.0, 1.0, 1.0), None),
    ],
)
def test_a_box_follows_and_is_dropped_where_less_than_a_fifth_of_it_is_left(box: Box, moved: Box | None) -> None:
    assert follow(box, HALF, 0.2) == (pytest.approx(moved) if moved else None)


def test_with_no_least_share_a_touch_is_enough() -> None:
    assert follow((0.0, 0.0, 0.26, 1.0), HALF, 0.0) == pytest.approx((0.0, 0.0, 0.02, 1.0))


BOXES = st.tuples(*[st.floats(0, 1)] * 4).map(
    lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
)


@given(BOXES, st.floats(0.2, 1))
def test_what_is_left_lies_in_the_square_and_is_never_larger_than_the_box(box: Box, least: float) -> None:
    moved = follow(box, HALF, least)
    if moved is not None:
        assert 0 <= moved[0] < moved[2] <= 1 and 0 <= moved[1] < moved[3] <= 1
        assert least * area(box) <= area(moved) * 0.5 <= area(box) + 1e-5


# ---- photos ----------------------------------------------------------------------------------------------------------


def row(*box: float, span: int = 0) -> Record:
    return {"span": span, **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)), "score": 0.5, "instance": None}


def crop(size: tuple[int, int], boxes: list[Record], kind: str = "png") -> Any:
    """CentreCrop on a photo whose red is its x, and whose green is its y."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(size[0]), np.arange(size[1])[:, None]
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, {"png": "PNG", "jpg": "JPEG"}[kind])
    about = {"photo_format": kind, "photo_width": size[0], "photo_height": size[1], "_photo_boxes": boxes}
    (result,) = CentreCrop()([{"_photo": out.getvalue(), **about}])
    return out.getvalue(), result


def test_the_photo_is_cut_where_its_boxes_are() -> None:
    _, result = crop((120, 60), [row(0.5, 0.5, 0.75, 1.0, span=3), row(0.0, 0.0, 0.2, 1.0)])
    picture = Image.open(io.BytesIO(result["image"]))
    assert (picture.format, picture.size, result["format"], result["width"], result["height"]) == (
        "PNG",
        (60, 60),
        "png",
        60,
        60,
    )
    assert picture.getpixel((0, 0)) == (30, 0, 0) and picture.getpixel((59, 59)) == (89, 59, 0)
    assert result["_boxes_kept"] == [row(0.5, 0.5, 1.0, 1.0, span=3)]
    assert result["dropped_crop"] == 1
    assert result.keys() == CentreCrop.adds.keys()
    assert pa.array([result["_boxes_kept"]], CentreCrop.adds["_boxes_kept"]).to_pylist()[0][0]["span"] == 3


def test_a_square_photo_keeps_its_bytes_and_boxes() -> None:
    data, result = crop((50, 50), [row(0.1, 0.2, 0.3, 0.4)], "jpg")
    assert (result["image"], result["format"]) == (data, "jpg")
    assert result["_boxes_kept"] == [row(0.1, 0.2, 0.3, 0.4)]


def test_a_jpeg_stays_one() -> None:
    _, result = crop((80, 120), [row(0.0, 0.0, 1.0, 1.0)], "jpg")
    assert Image.open(io.BytesIO(result["image"])).format == "JPEG"


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_photo_keeps_its_colour_profile(kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data, _ = crop((80, 120), [], kind)
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).save(out, {"png": "PNG", "jpg": "JPEG"}[kind], icc_profile=profile)
    about = {"photo_format": kind, "photo_width": 80, "photo_height": 120, "_photo_boxes": [row(0, 0, 1, 1)]}
    one, again = CentreCrop()([{"_photo": out.getvalue(), **about}] * 2)
    assert isinstance(one, dict) and one == again
    assert Image.open(io.BytesIO(one["image"])).info["icc_profile"] == profile


def test_a_pair_with_no_box_in_the_square_is_rejected() -> None:
    _, result = crop((120, 60), [row(0.0, 0.0, 0.2, 1.0), row(0.9, 0.0, 1.0, 1.0)])
    assert result == Rejected("no_box_in_crop", "2 boxes lie outside the square", {"dropped_crop": 2})


def test_a_photo_that_breaks_off_is_rejected() -> None:
    about = {"photo_format": "png", "photo_width": 20, "photo_height": 10}
    record = {"_photo": b"no photo", **about, "_photo_boxes": [row(0, 0, 1, 1)]}
    (result,) = CentreCrop()([record])
    assert isinstance(result, Rejected) and result.reason == "not_an_image"
