"""Photos as GLIP was trained on them: 800 pixels on the short side, blue before red, padded to whole windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SHORT, LONG = 800, 1333
"""Pixels that the short side is resized to, unless the long one would then be over the second."""
DIVISOR = 32
_MEAN_BGR = (103.53, 116.28, 123.675)
_STD_BGR = (57.375, 57.12, 58.395)


@dataclass(frozen=True)
class Fitted:
    """Sizes in pixels: of a resized photo, and of the tensor that it is padded to."""

    width: int
    height: int

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width: the next multiples of 32."""
        return -(-self.height // DIVISOR) * DIVISOR, -(-self.width // DIVISOR) * DIVISOR


def fitted(width: int, height: int) -> Fitted:
    """The size that a photo of so many pixels is resized to; sides are rounded as GLIP's own code does.

    That rounds the short side first, so that the long one of a thin strip may be up to twice 1,333.
    """
    short, long = sorted((width, height))
    target = SHORT if long / short * SHORT <= LONG else max(1, round(LONG * short / long))
    longer = min(int(target * long / short), 2 * LONG)
    return Fitted(target, longer) if width < height else Fitted(longer, target)


def resized(image: Image.Image) -> Image.Image:
    """An RGB photo, as a viewer sees it, at the size at which GLIP does."""
    size = fitted(*image.size)
    return image.resize((size.width, size.height), Image.Resampling.BILINEAR)


def prepared(image: Image.Image) -> Tensor:
    """What `resized` returns as 3 x height x width float32, normalised, then padded with 0 on the right and below."""
    size = Fitted(*image.size)
    rgb = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
    mean, std = (rgb.new_tensor(values)[:, None, None] for values in (_MEAN_BGR, _STD_BGR))
    whole = rgb.new_zeros(3, *size.padded)
    whole[:, : size.height, : size.width] = (rgb.flip(0) - mean) / std
    return whole
