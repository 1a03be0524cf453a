"""A fetched body to the image that a sample holds: checked by us, resized by img2dataset's own code.

Checked first, because img2dataset's decoder (OpenCV) fills the missing part of a cut JPEG with grey, and shows a photo
that EXIF turns as it was stored. What EXIF turns, and what is no 8-bit grey or RGB, is handed to it as an upright RGB
BMP: its own flattening of RGBA takes 70 bytes a pixel, and a BMP is never kept as the sample's bytes. What would grow
into a decompression bomb is not handed to it at all. Sizes in pixels are those that a viewer sees.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass
from typing import Any

from PIL import Image

from builders.acquire.img2dataset_parts import resizer_class
from builders.sources.images import MAX_PIXELS, check_image, decoded, look, not_a_photo, orientation_of, upright
from builders.sources.pairs import text
from builders.step import Record, Rejected

_END_OF_JPEG = b"\xff\xd9"
_TAIL = 1024
"""Bytes at the end of a whole JPEG in which its end stands: some programs append a little."""
_REASONS = {
    "image too small": "too_small",
    "image area too large": "too_large_area",
    "aspect ratio too large": "too_long",
    "Image decoding error": "broken_image",
}
"""Ours for img2dataset's."""
_MAX_SIDE = {"jpg": 65_500, "webp": 16_383, "png": 1_000_000}
"""Pixels of a side that OpenCV encodes."""
_EXIF_MAX = 1000
"""Characters of one EXIF value that are kept."""
_EXIF_READS, _EXIF_BYTES = 20_000, 1_000_000
"""Reads, and bytes read, for one photo's EXIF: photos of the web needed up to 72 and 4430."""
_EXIF_TAGS, _EXIF_JSON = 1000, 64_000
"""Tags, and characters of JSON, beyond which EXIF is none."""


@dataclass(frozen=True)
class Resizing:
    """The fields of schemas.fetch.Fetch that img2dataset's Resizer takes, under its names."""

    image_size: int
    resize_mode: str
    resize_only_if_bigger: bool
    upscale_interpolation: str
    downscale_interpolation: str
    encode_quality: int
    encode_format: str
    skip_reencode: bool
    disable_all_reencoding: bool
    min_image_size: int
    max_image_area: float | None
    max_aspect_ratio: float | None


class Resize:
    """Makes samples' images of bodies. Not for several threads: img2dataset's code moves the process's stdout aside."""

    def __init__(self, how: Resizing) -> None:
        options = {name: math.inf if value is None else value for name, value in vars(how).items()}
        self._how, self._resizer = how, resizer_class()(**options)

    def __call__(self, body: bytes) -> Record | Rejected:
        """`image`, `format`, `width`, `height`, `orientation`, `reencoded`, `original_width`, `original_height`."""
        if self._how.disable_all_reencoding:
            found = check_image(body)
            if isinstance(found, dict):
                found |= {"original_width": found["width"], "original_height": found["height"]}
            return found if isinstance(found, dict | Rejected) else Rejected("not_an_image")
        seen = decoded(body, lambda image: _prepared(image, body, self._how))
        if isinstance(seen, Rejected):
            return seen
        data, orientation = seen
        resized, width, height, wide, high, error = self._resizer(io.BytesIO(data))
        if error is not None:
            return Rejected(_REASONS.get(error, "broken_image"), error[:200])
        return {
            "image": resized,
            "format": self._how.encode_format,
            "width": width,
            "height": height,
            "orientation": orientation,
            "reencoded": None if resized == body else "resized",
            "original_width": wide,
            "original_height": high,
        }


def _prepared(image: Image.Image, body: bytes, how: Resizing) -> tuple[bytes, int] | Rejected:
    """Bytes that img2dataset can resize, and the EXIF orientation."""
    found = _shown_right(image, body)
    return found if isinstance(found, Rejected) else _outgrown(image.size, how) or found


def _outgrown(size: tuple[int, int], how: Resizing) -> Rejected | None:
    """Why an image of this size cannot be resized: scaled by its shorter side, a line of pixels becomes a bomb.

    None for what img2dataset rejects by its bounds, which it does before it scales.
    """
    short, long = sorted(size)
    area, aspect = how.max_image_area or math.inf, how.max_aspect_ratio or math.inf
    if short < how.min_image_size or short * long > area or long / short > aspect:
        return None
    side = short if how.resize_mode in ("keep_ratio", "center_crop") else long
    if how.resize_mode != "no" and (side > how.image_size or not how.resize_only_if_bigger):
        short, long = (max(1, round(pixels * how.image_size / side)) for pixels in (short, long))
    if short * long > MAX_PIXELS:
        return Rejected("too_many_pixels", f"resized to {long} x {short} pixels, over {MAX_PIXELS:,}")
    if long > _MAX_SIDE[how.encode_format] and how.resize_mode != "center_crop":
        return Rejected("too_many_pixels", f"resized to {long} pixels, which no {how.encode_format} has")
    return None


def _shown_right(image: Image.Image, body: bytes) -> tuple[bytes, int] | Rejected:
    """Bytes that OpenCV shows right, and the EXIF orientation."""
    if image.format == "JPEG" and image.mode in ("L", "RGB") and _END_OF_JPEG in body[-_TAIL:]:
        problem, orientation = not_a_photo(image), orientation_of(image)
        if problem or orientation == 1:
            return problem or (body, 1)
    seen = look(image)
    if isinstance(seen, Rejected):
        return seen
    if image.mode in ("L", "RGB") and seen.reason is None:
        return body, seen.orientation
    out = io.BytesIO()
    upright(image, seen).save(out, "BMP")
    return out.getvalue(), seen.orientation


class _Bounded(io.BytesIO):
    """Bytes that end with an error where a reader goes round in them, as entries that share one table make it."""

    _reads = _bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._reads, self._bytes = self._reads + 1, self._bytes + len(data)
        if self._reads > _EXIF_READS or self._bytes > _EXIF_BYTES:
            raise ValueError("more reads than a photo's EXIF takes")
        return data


def exif_json(body: bytes) -> str | None:
    """The EXIF tags as img2dataset stores them: a JSON object of texts; None where they cannot be read, or are more
    than a camera writes."""
    import exifread

    try:
        tags: dict[str, Any] = exifread.process_file(_Bounded(body), details=False)
        told = {name: str(value).strip()[:_EXIF_MAX] for name, value in tags.items() if value is not None}
        found = text(json.dumps(told)) if len(told) <= _EXIF_TAGS else None
    except Exception:  # a stranger's bytes: exifread raises whatever it runs into, and the photo is good without
        return None
    return found if found is None or len(found) <= _EXIF_JSON else None
