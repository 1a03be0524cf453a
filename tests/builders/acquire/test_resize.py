"""Fetched bytes to the image of a sample: img2dataset's pixels, upright, and never of a broken file."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders.step import Rejected
from tests.builders.acquire.photos import PLAIN, WIDE, different, encoded, kept, made, opened, photo, refused, theirs

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


def test_a_grey_photo_is_resized_as_img2dataset_does() -> None:
    body = encoded(photo(mode="L"), "PNG")
    assert kept(body)["image"] == theirs(body)


@pytest.mark.parametrize(
    ("mode", "alpha", "more"),
    [("P", None, {}), ("RGBA", "L", {}), ("RGBA", None, {}), ("RGB", None, {"transparency": (10, 12, 244)})],
    ids=["palette", "see-through", "opaque", "one transparent colour"],
)
def test_palette_and_see_through_photos_are_resized_as_img2dataset_does_but_for_rounding(
    mode: str, alpha: str | None, more: dict[str, Any]
) -> None:
    """Not its bytes: handed over as RGB, flattened by Pillow in 8 bits, where img2dataset takes floats."""
    image = photo(mode=mode)
    if alpha:
        image.putalpha(photo(mode=alpha))
    body = encoded(image, "PNG", **more)
    png = {"encode_format": "png", "encode_quality": 1}
    for options in ({**png, "resize_mode": "no"}, png):
        ours, other = (
            np.asarray(Image.open(io.BytesIO(data)), dtype=int)
            for data in (kept(body, **options)["image"], theirs(body, **options))
        )
        assert np.abs(ours - other).max() <= 1


def test_a_see_through_png_is_encoded_again_even_where_bytes_that_fit_are_kept() -> None:
    body = encoded(see_through("RGBA"), "PNG")
    found = kept(body, resize_mode="no", skip_reencode=True, encode_format="png", encode_quality=9)
    assert (found["reencoded"], opened(found).format, opened(found).mode) == ("resized", "PNG", "RGB")
    assert len(found["image"]) < WIDE[0] * WIDE[1] * 3


@pytest.mark.slow
def test_a_large_see_through_photo_takes_no_floats_of_its_pixels() -> None:
    """10,000 x 10,000 RGBA were 7 GB in img2dataset's own flattening."""
    code = (
        "import resource, sys; from builders.acquire.resize import Resize, Resizing;"
        f"resize = Resize(Resizing(**{PLAIN!r})); body = sys.stdin.buffer.read();"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; found = resize(body);"
        "print(found['width'], (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    body = encoded(Image.new("RGBA", (3000, 3000), (9, 9, 9, 99)), "PNG")
    told = subprocess.run([sys.executable, "-c", code], input=body, capture_output=True, check=True).stdout.split()
    assert int(told[0]) == 64
    assert int(told[1]) < 9 * 30  # MB: 30 bytes a pixel, where floats took over 70


@pytest.mark.parametrize("mode", ["keep_ratio", "center_crop"])
@pytest.mark.parametrize("size", [(8000, 1), (1, 8000)])
def test_a_line_of_pixels_does_not_become_a_bomb(mode: str, size: tuple[int, int]) -> None:
    body = encoded(Image.new("RGB", size), "PNG")
    line = {"resize_mode": mode, "image_size": 256}
    assert refused(body, **line) == "too_many_pixels"
    assert refused(body, **line, max_aspect_ratio=3) == "too_long"
    assert refused(body, **line, min_image_size=2) == "too_small"
    assert refused(body, **line, max_image_area=7999) == "too_large_area"
    assert kept(body, **line, resize_only_if_bigger=True)["reencoded"] == "resized"


@pytest.mark.parametrize(
    ("mode", "image_size", "size", "reason"),
    [
        ("keep_ratio", 100, (1000, 1), "too_many_pixels"),  # 100,000 x 100, which no JPEG has
        ("center_crop", 100, (1000, 1), None),
        ("keep_ratio", 50, (1000, 1), None),
        ("no", 100, (65_501, 1), "too_many_pixels"),
        ("border", 256, (8000, 1), None),
        ("keep_ratio_largest", 256, (8000, 1), None),
        ("keep_ratio_largest", 256, (1, 1), None),
    ],
)
def test_what_cannot_be_encoded_is_told(mode: str, image_size: int, size: tuple[int, int], reason: str | None) -> None:
    found = made(encoded(Image.new("RGB", size), "PNG"), resize_mode=mode, image_size=image_size)
    assert (found.reason if isinstance(found, Rejected) else None) == reason


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
