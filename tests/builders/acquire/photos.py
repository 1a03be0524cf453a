"""Photos to resize, and what came of it."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from builders.acquire.img2dataset_parts import resizer_class
from builders.acquire.resize import Resize, Resizing
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


def opened(record: Record) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(record["image"]))


def theirs(body: bytes, **options: Any) -> bytes:
    """What img2dataset itself makes of it."""
    told = {name: math.inf if value is None else value for name, value in {**PLAIN, **options}.items()}
    found: bytes = resizer_class()(**told)(io.BytesIO(body))[0]
    return found


def different(one: Image.Image, other: Image.Image) -> float:
    a, b = (np.asarray(image.convert("RGB"), dtype=float) for image in (one, other))
    return float(np.abs(a - b).mean()) if a.shape == b.shape else math.inf
