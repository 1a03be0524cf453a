"""Reads a photo and makes sure that every decoder will show what a viewer sees.

The source bytes stay untouched where a plain decoder shows them right. Rotated by EXIF, CMYK, 16-bit, transparent, or
in a format that trainers do not read, they are encoded again as upright 8-bit RGB, which `reencoded` tells.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pyarrow as pa
from PIL import Image, UnidentifiedImageError

from builders.places.several import each
from builders.step import Record, Rejected, Result, Services

if TYPE_CHECKING:
    from builders.uri import Place

MAX_BYTES = 128_000_000
"""A larger file is no photo for training."""
MAX_PIXELS = 100_000_000
"""More decoded pixels are a decompression bomb (300 MB of RGB)."""

T = TypeVar("T")

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_KEPT = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns stored pixels upright, by EXIF orientation (Exif 2.3, tag 274)."""


@dataclass
class ReadImage:
    """Adds the photo that `image_file` names: encoded bytes, size in pixels as a viewer sees it, true format."""

    folder: Place
    name: ClassVar = "read_image"
    reads: ClassVar = ("image_file",)
    adds: ClassVar = {
        "image": pa.large_binary(),
        "format": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "orientation": pa.int32(),
        "reencoded": pa.string(),
    }

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        files = list(dict.fromkeys(record["image_file"] for record in records))
        found = each(self.folder, files, lambda file: _bytes(self.folder / file))
        read = {file: check_image(data) for file, data in zip(files, found, strict=True)}
        return [read[record["image_file"]] for record in records]


def _bytes(path: Place) -> bytes | Rejected:
    if isinstance(path, Path) and path.exists() and not path.is_file():  # a pipe would block for ever
        return Rejected("not_a_file", f"{path.name} is no regular file")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    return data if len(data) <= MAX_BYTES else Rejected("image_too_large", f"{path.name} has over {MAX_BYTES:,} bytes")


def check_image(data: bytes | Rejected) -> Result:
    """The columns of an encoded image, or why it is none. Every pixel is decoded once: a sample that is kept opens."""
    if isinstance(data, Rejected):
        return data
    if not data:
        return Rejected("empty_image", "the file has no bytes")
    return decoded(data, lambda image: _check(image, data))


def decoded(data: bytes, use: Callable[[Image.Image], T]) -> T | Rejected:
    """What `use` makes of an encoded image of a stranger's, or why it cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                return use(image)
    except UnidentifiedImageError:
        return Rejected("not_an_image", "not a JPEG, PNG, WebP, GIF, BMP or TIFF file")
    except Image.DecompressionBombError as error:
        return Rejected("too_many_pixels", str(error))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever they run into, struct.error and zlib.error too
        return Rejected("broken_image", f"{type(error).__name__}: {error}")


@dataclass(frozen=True)
class Seen:
    """What an opened image is: its EXIF orientation, whether Pillow has `turned` it already, and why its bytes may
    not be shown as they are (None: they may)."""

    orientation: int
    turned: bool
    reason: str | None


def look(image: Image.Image) -> Seen | Rejected:
    """Decode an opened image and see what it is; Rejected for what is no photo."""
    if problem := not_a_photo(image):
        return problem
    deep = _is_deep(image)
    if deep and "transparency" in image.info:
        return Rejected("transparent_16_bit", "a 16-bit photo with one transparent colour cannot be flattened")
    stored = orientation_of(image) if image.format == "TIFF" else None  # load() turns a TIFF upright
    image.load()
    orientation = stored or orientation_of(image)
    if image.mode == "F" or (image.mode == "I" and not _fits_16_bit(image)):
        return Rejected("unknown_range", "32-bit pixels do not tell which value is white")
    return Seen(orientation, stored is not None, _why_reencode(image, deep, orientation))


def not_a_photo(image: Image.Image) -> Rejected | None:
    """Why an opened image is none, told without decoding it."""
    if image.width * image.height > MAX_PIXELS:
        return Rejected("too_many_pixels", f"{image.width} x {image.height} pixels are over {MAX_PIXELS:,}")
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        return Rejected("animated", f"{image.format} of {image.n_frames} frames")  # type: ignore[attr-defined]
    return None


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, where there is none that the standard knows."""
    found = image.getexif().get(_ORIENTATION, 1)
    return found if found in _UPRIGHT else 1


def upright(image: Image.Image, seen: Seen) -> Image.Image:
    """8-bit RGB as a viewer shows the image."""
    shown = _as_rgb(image)
    if seen.orientation != 1 and not seen.turned:
        shown = shown.transpose(_UPRIGHT[seen.orientation])
    shown.info = {}
    return shown


def _check(image: Image.Image, data: bytes) -> Result:
    seen = look(image)
    if isinstance(seen, Rejected):
        return seen
    kind = _KEPT.get(image.format or "", "png")
    if seen.reason:
        lossy = image.format in ("JPEG", "MPO")
        image = upright(image, seen)
        out = io.BytesIO()
        image.save(out, "JPEG" if lossy else "PNG", **({"quality": 95, "subsampling": 0} if lossy else {}))
        data, kind = out.getvalue(), "jpg" if lossy else "png"
    return {
        "image": data,
        "format": kind,
        "width": image.width,
        "height": image.height,
        "orientation": seen.orientation,
        "reencoded": seen.reason,
    }


def _is_deep(image: Image.Image) -> bool:
    """Whether a channel has more than 8 bits; for PNG and TIFF of 16-bit RGB only the raw mode tells."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return True
    raw = [
        str(part)
        for tile in getattr(image, "tile", [])
        for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))
    ]
    return any("16" in part for part in raw)


def _fits_16_bit(image: Image.Image) -> bool:
    extrema: Any = image.getextrema()
    return bool(extrema[0] >= 0 and extrema[1] <= 65535)


def _why_reencode(image: Image.Image, deep: bool, orientation: int) -> str | None:
    if orientation != 1:
        return "exif_rotated"
    if deep:
        return "16_bit"
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        return image.mode.lower()
    if _see_through(image):
        return "transparent"
    return None if image.format in _KEPT else f"format_{(image.format or '').lower()}"


def _see_through(image: Image.Image) -> bool:
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        lowest: Any = image.getchannel("A").getextrema()[0]
        return bool(lowest < 255)
    return "transparency" in image.info


def _as_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of what a viewer shows: 16 bits scaled down, transparency on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        deepest: Any = image.getextrema()[1]
        top = 65535.0 if deepest > 255 or image.mode.startswith("I;16") else 255.0
        image = image.convert("F").point(lambda value: value * (255.0 / top)).convert("L")
    if _see_through(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return image.convert("RGB")
