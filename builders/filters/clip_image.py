"""Photos for CLIP: decoded, resized and cropped on CPU workers, exactly as open_clip's own evaluation transform does.

The columns hold uint8: open_clip converts to float and normalises after its last geometric step, so that can wait for
the GPU without changing a bit, at half of float16's and a quarter of float32's bytes (224 x 224: 147 KiB).
No torch here: a worker that only prepares photos does not load it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from PIL import Image, ImageOps

from builders.sources.images import MAX_PIXELS, decoded
from builders.step import Record, Rejected, Result, Services

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
"""open_clip's defaults (open_clip/constants.py), from OpenAI's CLIP."""


@dataclass(frozen=True)
class Preprocess:
    """How a model sees a photo: open_clip's `PreprocessCfg`. `size` is (height, width) in pixels."""

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = OPENAI_MEAN
    std: tuple[float, float, float] = OPENAI_STD
    interpolation: Literal["bicubic", "bilinear", "random"] = "bicubic"
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    fill_color: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of a prepared photo: height x width x RGB."""
        return self.size[0] * self.size[1] * 3

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) that a photo is resized to, before it is cropped or padded to `size`."""
        high, wide = self.size
        if self.resize_mode == "squash":
            return wide, high
        if self.resize_mode == "shortest" and high == wide:  # torchvision's Resize: the long side is rounded down
            short, long = sorted((width, height))
            longer = int(wide * long / short)
            return (wide, longer) if width <= height else (longer, wide)
        ratios = (height / high, width / wide)  # open_clip's ResizeKeepRatio: both sides are rounded to even
        ratio = max(ratios) if self.resize_mode == "longest" else min(ratios)
        return round(width / ratio), round(height / ratio)

    def filter(self) -> Image.Resampling:
        """What resizes. open_clip forgets the setting where `shortest` meets a size that is not square."""
        forgotten = self.resize_mode == "shortest" and self.size[0] != self.size[1]
        bilinear = self.interpolation == "bilinear" and not forgotten
        return Image.Resampling.BILINEAR if bilinear else Image.Resampling.BICUBIC

    def __call__(self, image: Image.Image, resized: tuple[int, int]) -> Image.Image:
        """The photo, resized to `resized`, then cropped or padded about its centre to `size`, as RGB."""
        if image.size != resized:
            image = image.resize(resized, self.filter())
        high, wide = self.size
        missing = max(0, wide - image.width), max(0, high - image.height)
        if any(missing):
            across, down = missing
            bands = len(image.getbands())
            fill = self.fill_color if bands == 1 else (self.fill_color,) * bands
            border = (across // 2, down // 2, (across + 1) // 2, (down + 1) // 2)
            image = ImageOps.expand(image, border, fill)
        if image.size != (wide, high):
            left, top = round((image.width - wide) / 2), round((image.height - high) / 2)
            image = image.crop((left, top, left + wide, top + high))
        return image.convert("RGB")


@dataclass
class PrepareImage:
    """Adds `_pixels`: uint8, height x width x RGB, as the model's preprocessing wants them.

    `draft` lets libjpeg decode at 1/2, 1/4 or 1/8 where that still leaves `draft` times the size that the photo is
    resized to: 0 is off, and then pixels equal open_clip's own, bit by bit; 1 is fastest, and changes most; 2 is the
    gap at which Pillow's own thumbnails do it.

    `suffix` tells apart, in column and name, what is prepared for models that see a photo differently.
    """

    preprocess: Preprocess
    draft: int = 0
    column: str = "image"
    suffix: str = ""

    @property
    def name(self) -> str:
        return f"prepare_image{self.suffix}"

    @property
    def reads(self) -> tuple[str]:
        return (self.column,)

    @property
    def adds(self) -> dict[str, pa.DataType]:
        return {f"_pixels{self.suffix}": pa.large_binary()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._prepare(record[self.column]) for record in records]

    def _prepare(self, data: bytes) -> Result:
        pixels = prepared(data, self.preprocess, self.draft)
        return pixels if isinstance(pixels, Rejected) else {f"_pixels{self.suffix}": pixels}


def prepared(
    data: bytes,
    preprocess: Preprocess,
    draft: int = 0,
    change: Callable[[Image.Image], Image.Image] | None = None,
) -> bytes | Rejected:
    """A photo's pixels as the model sees them, height x width x RGB, or why there are none.

    `change` is done to the decoded photo first; `draft` as in PrepareImage.
    """
    return decoded(data, lambda image: _pixels(image, preprocess, draft, change))


def _pixels(
    image: Image.Image, preprocess: Preprocess, draft: int, change: Callable[[Image.Image], Image.Image] | None
) -> bytes | Rejected:
    resized = preprocess.resized(*image.size)
    if math.prod(image.size) > MAX_PIXELS:
        return Rejected("too_many_pixels", f"{image.width} x {image.height} pixels are over {MAX_PIXELS:,}")
    if not 0 < math.prod(resized) <= MAX_PIXELS:  # 10,000 x 1 pixels would become 2,240,000 x 224
        what = " x ".join(map(str, resized))
        return Rejected("too_elongated", f"{image.width} x {image.height} pixels would become {what}")
    if draft and image.format in ("JPEG", "MPO"):
        image.draft(None, (resized[0] * draft, resized[1] * draft))
    return preprocess(change(image) if change else image, resized).tobytes()
