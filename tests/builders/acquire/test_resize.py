"""Fetched bytes to the image of a sample: img2dataset's pixels, upright, and never of a broken file."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders.acquire.img2dataset_parts import resizer_class
from builders.acquire.resize import Resize, Resizing, exif_json
from builders.step import Record, Rejected

PLAIN: dict[str, Any] = {
    "image_size": 64,
    "resize_mode": "keep_ratio_largest",
    "resize_only_if_bigger": False,
    "upscale_interpolation": "lanczos",
    "downscale_interpolation": "area",
    "encode_quality": 95,
    "encode_format": "jpg",
    "skip_reencode": False,
    "disable_all_reencoding": False,
    "min_image_size": 0,
    "max_image_area": None,
    "max_aspect_ratio": None,
}
WIDE = (120, 80)


def photo(size: tuple[int, int] = WIDE, mode: str = "RGB") -> Image.Image:
    """Something with a different colour in each corner, smooth enough for JPEG."""
    wide, high = size
    x, y = np.meshgrid(np.linspace(0, 255, wide), np.linspace(0, 255, high))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def made(body: bytes, **options: Any) -> Record | Rejected:
    return Resize(Resizing(**{**PLAIN, **options}))(body)


def kept(body: bytes, **options: Any) -> Record:
    found = made(body, **options)
    assert isinstance(found, dict), found
    return found


def refused(body: bytes, **options: Any) -> str:
    found = made(body, **options)
    assert isinstance(found, Rejected), found
    return found.reason


def opened(record: Record) -> Image.Image:
    return Image.open(io.BytesIO(record["image"]))


def theirs(body: bytes, **options: Any) -> bytes:
    """What img2dataset itself makes of it."""
    told = {name: math.inf if value is None else value for name, value in {**PLAIN, **options}.items()}
    found: bytes = resizer_class()(**told)(io.BytesIO(body))[0]
    return found


def different(one: Image.Image, other: Image.Image) -> float:
    a, b = (np.asarray(image.convert("RGB"), dtype=float) for image in (one, other))
    return float(np.abs(a - b).mean()) if a.shape == b.shape else math.inf


# ---- img2dataset's pixels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["no", "border", "keep_ratio", "keep_ratio_largest", "center_crop"])
@pytest.mark.parametrize("only_if_bigger", [False, True])
@pytest.mark.parametrize("size", [32, 200])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_plain_photo_is_resized_as_img2dataset_does(mode: str, only_if_bigger: bool, size: int, kind: str) -> None:
    options = {"resize_mode": mode, "resize_only_if_bigger": only_if_bigger, "image_size": size}
    body = encoded(photo(), kind)
    found = kept(body, **options)
    assert found["image"] == theirs(body, **options)
    assert opened(found).size == (found["width"], found["height"])
    told = ("format", "orientation", "reencoded", "original_width", "original_height")
    assert [found[name] for name in told] == ["jpg", 1, "resized", *WIDE]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_grey_palette_and_see_through_photos_are_resized_as_img2dataset_does(mode: str) -> None:
    image = photo(mode=mode)
    if mode == "RGBA":
        image.putalpha(photo(mode="L"))
    body = encoded(image, "PNG")
    if mode == "P":  # is handed over as RGB, which is what OpenCV sees in it
        assert different(opened(kept(body)), Image.open(io.BytesIO(theirs(body)))) < 1
    else:
        assert kept(body)["image"] == theirs(body)


@pytest.mark.parametrize(
    ("kind", "quality"), [("jpg", 10), ("jpg", 100), ("png", 0), ("png", 9), ("webp", 20), ("webp", 100)]
)
def test_formats_and_qualities_are_img2datasets(kind: str, quality: int) -> None:
    body = encoded(photo())
    found = kept(body, encode_format=kind, encode_quality=quality)
    assert (found["image"], found["format"]) == (theirs(body, encode_format=kind, encode_quality=quality), kind)
    assert opened(found).format == {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[kind]


@pytest.mark.parametrize("name", ["nearest", "linear", "bilinear", "cubic", "bicubic", "area", "lanczos", "lanczos4"])
def test_interpolations_are_img2datasets(name: str) -> None:
    body = encoded(photo())
    for size, which in ((32, "downscale_interpolation"), (200, "upscale_interpolation")):
        options = {"image_size": size, which: name}
        assert kept(body, **options)["image"] == theirs(body, **options)


# ---- as a viewer sees it ---------------------------------------------------------------------------------------------


def turned(orientation: int, kind: str = "JPEG") -> bytes:
    """The photo, stored so that EXIF turns it upright."""
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = photo().transpose(back[orientation]) if orientation in back else photo()
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(stored, kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_exif_turns_comes_out_upright(orientation: int, kind: str) -> None:
    found = kept(turned(orientation, kind), resize_mode="no")
    assert different(opened(found), photo()) < 4
    assert (found["orientation"], found["original_width"], found["original_height"]) == (orientation, *WIDE)
    assert opened(found).getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    found = kept(turned(orientation), resize_mode="no")
    assert (found["orientation"], opened(found).size) == (1, WIDE)


def test_what_is_upright_keeps_its_bytes_and_what_is_not_does_not() -> None:
    for orientation, same in ((1, True), (6, False)):
        body = turned(orientation)
        found = kept(body, resize_only_if_bigger=True, image_size=500, skip_reencode=True)
        assert (found["image"] == body, found["reencoded"]) == (same, None if same else "resized")
        assert (found["width"], found["height"]) == WIDE


def white_behind(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")


def see_through(mode: str) -> Image.Image:
    image = photo(mode="LA" if mode == "LA" else "RGBA")
    image.putalpha(photo(mode="L").rotate(90, expand=False))
    return image


def with_palette() -> bytes:
    return encoded(photo(mode="P"), "PNG", transparency=bytes([0, 128] * 100))


def deep(kind: str = "PNG") -> bytes:
    grey = np.asarray(photo(mode="L")).astype(np.uint16) * 257
    return encoded(Image.fromarray(grey), kind)


def deep_colours() -> bytes:
    """16 bits a channel, written by hand: Pillow has no such mode."""
    pixels = (np.asarray(photo()).astype(np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *WIDE, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


SHOWN = {
    "cmyk": (encoded(photo(mode="CMYK"), quality=95), photo(mode="CMYK").convert("RGB")),
    "grey jpeg": (encoded(photo(mode="L"), quality=95), photo(mode="L")),
    "palette, see-through": (with_palette(), white_behind(Image.open(io.BytesIO(with_palette())))),
    "grey and alpha": (encoded(see_through("LA"), "PNG"), white_behind(see_through("LA"))),
    "colours and alpha": (encoded(see_through("RGBA"), "PNG"), white_behind(see_through("RGBA"))),
    "webp and alpha": (encoded(see_through("RGBA"), "WEBP", lossless=True), white_behind(see_through("RGBA"))),
    "16 bit": (deep(), photo(mode="L")),
    "16 bit colours": (deep_colours(), photo()),
    "16 bit tiff": (deep("TIFF"), photo(mode="L")),
    "gif": (encoded(photo(mode="P"), "GIF"), photo(mode="P")),
    "bmp": (encoded(photo(), "BMP"), photo()),
    "two photos in one": (encoded(photo(), "MPO", save_all=True, append_images=[photo().rotate(90)]), photo()),
    "progressive": (encoded(photo(), progressive=True), photo()),
}


@pytest.mark.parametrize("what", SHOWN)
def test_what_opencv_would_show_otherwise_is_shown_as_a_viewer_does(what: str) -> None:
    body, seen = SHOWN[what]
    found = kept(body, resize_mode="no", encode_format="png", encode_quality=1)
    assert different(opened(found), seen) < 3
    assert (opened(found).size, found["original_width"], found["original_height"]) == (WIDE, *WIDE)
    assert "16" not in str(opened(found).tile[0].args)


# ---- what is none ----------------------------------------------------------------------------------------------------

WHOLE = {
    "JPEG": encoded(photo((400, 300))),
    "progressive JPEG": encoded(photo((400, 300)), progressive=True),
    "PNG": encoded(photo((400, 300)), "PNG"),
    "WEBP": encoded(photo((400, 300)), "WEBP"),
    "GIF": encoded(photo((400, 300), "P"), "GIF"),
}


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.99])
def test_a_cut_file_is_broken(kind: str, part: float) -> None:
    body = WHOLE[kind]
    assert made(body)["width"] == 64  # type: ignore[index]
    assert refused(body[: int(len(body) * part)]) == "broken_image"


def test_a_jpeg_that_is_cut_behind_its_thumbnail_is_broken() -> None:
    """A thumbnail ends as the photo does: an end in the file is not yet the photo's."""
    small = encoded(photo((40, 30)))
    exif = b"Exif\0\0" + small
    whole = encoded(photo((400, 300)), exif=exif)
    end = whole.index(small) + len(small)
    scan = whole.index(b"\xff\xda", end)
    assert scan - end < 1000
    assert made(whole)["width"] == 64  # type: ignore[index]
    assert [refused(whole[:at]) for at in (scan, scan + 50, end + 1000)] == ["broken_image"] * 3


def test_a_whole_jpeg_may_have_a_little_behind_it() -> None:
    assert kept(WHOLE["JPEG"] + b"\0" * 500)["width"] == 64
    assert kept(WHOLE["JPEG"] + b"x" * 5000)["width"] == 64


def animation(kind: str) -> bytes:
    return encoded(photo(mode="P"), kind, save_all=True, append_images=[photo().rotate(90).convert("P")])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "not_an_image"),
        (b"", "not_an_image"),
        (b"\xff\xd8\xff\xe0", "not_an_image"),
        (animation("GIF"), "animated"),
        (animation("WEBP"), "animated"),
        (encoded(Image.new("1", (20_000, 10_000)), "PNG"), "too_many_pixels"),
    ],
    ids=["html", "empty", "head", "gif", "webp", "bomb"],
)
@pytest.mark.parametrize("disabled", [False, True])
def test_what_is_no_photo_is_told(body: bytes, reason: str, disabled: bool) -> None:
    found = refused(body, disable_all_reencoding=disabled)
    assert found == ("empty_image" if disabled and not body else reason)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"min_image_size": 81}, "too_small"),
        ({"min_image_size": 80}, None),
        ({"max_image_area": 9599}, "too_large_area"),
        ({"max_image_area": 9600}, None),
        ({"max_aspect_ratio": 1.49}, "too_long"),
        ({"max_aspect_ratio": 1.5}, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_bounds_are_of_the_photo_as_a_viewer_sees_it(
    options: dict[str, Any], reason: str | None, orientation: int
) -> None:
    found = made(turned(orientation), **options)
    assert (found.reason if isinstance(found, Rejected) else None) == reason


# ---- kept bytes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_bytes_that_fit_are_kept_where_the_recipe_says_so(kind: str) -> None:
    body = encoded(photo(), {"jpg": "JPEG"}.get(kind, kind.upper()))
    fits = {"skip_reencode": True, "resize_only_if_bigger": True, "encode_format": kind, "encode_quality": 9}
    found = kept(body, image_size=120, **fits)
    assert (found["image"], found["reencoded"], found["width"], found["height"]) == (body, None, *WIDE)
    assert kept(body, image_size=119, **fits)["reencoded"] == "resized"
    assert kept(body, image_size=120, **{**fits, "skip_reencode": False})["reencoded"] == "resized"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_nothing_is_encoded_again_where_the_recipe_says_so(kind: str) -> None:
    body = encoded(photo(), kind)
    assert kept(body, disable_all_reencoding=True, encode_format="webp") == {
        "image": body,
        "format": {"JPEG": "jpg"}.get(kind, kind.lower()),
        "width": 120,
        "height": 80,
        "orientation": 1,
        "reencoded": None,
        "original_width": 120,
        "original_height": 80,
    }


def test_a_broken_file_is_not_kept_there_either() -> None:
    body = WHOLE["JPEG"]
    assert refused(body[: len(body) // 2], disable_all_reencoding=True) == "broken_image"


# ---- beside it -------------------------------------------------------------------------------------------------------


def test_the_process_can_still_speak(capfd: pytest.CaptureFixture[str]) -> None:
    resize = Resize(Resizing(**PLAIN))
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for body in (encoded(photo()), WHOLE["PNG"][:500], b"no photo") * 5:
        resize(body)
    print("out")
    print("error", file=sys.stderr)
    os.write(1, b"1\n")
    os.write(2, b"2\n")
    sys.stdout.flush()
    assert capfd.readouterr() == ("out\n1\n", "error\n2\n")
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_exif_is_told_as_text() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera" + "x" * 2000
    told = json.loads(exif_json(encoded(photo(), exif=exif)) or "")
    assert told["Image Make"] == ("Camera" + "x" * 2000)[:1000]
    assert exif_json(encoded(photo())) == "{}"


@pytest.mark.parametrize("body", [b"", b"\xff\xd8\xff\xe1\xff\xffExif\0\0II*\0\xff\xff\xff\xff", b"RIFF", b"x" * 100])
def test_exif_of_whatever_it_is_does_no_harm(body: bytes) -> None:
    found = exif_json(body)
    assert found is None or json.loads(found) == {}
