"""Pairs as the web has them, and grit recipes for them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image, ImageDraw

CAPTIONS = (
    "A red dog on a table.",
    "Two dogs and a cat in a field of flowers.",
    "A man with a cup of coffee.",
    "a dog and a dog",
)
SIZES = ((64, 48), (48, 64), (80, 80), (64, 48))
SIMILARITY = 0.3125


def photo(number: int) -> bytes:
    width, height = SIZES[number % 4]
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
    image, out = Image.fromarray(pixels), io.BytesIO()
    ImageDraw.Draw(image).ellipse((8, 8, 30 + number, 36), fill=(250, 20 * number % 256, 30))
    image.save(out, "PNG")
    return out.getvalue()


def pairs(folder: Path, count: int = 8) -> Path:
    """A table of pairs as a crawl leaves them: bytes, URLs, licences, a similarity, numbers of their own."""
    rows = [
        {
            "key": f"p{i}",
            "image": photo(i),
            "caption": CAPTIONS[i % 4],
            "url": f"https://example.org/{i}.png",
            "license": "CC-BY-4.0",
            "clip_similarity_vitb32": SIMILARITY + i,
            "id": 1000 + i,
        }
        for i in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "pairs.parquet")
    return folder / "pairs.parquet"


def write(folder: Path, detector: dict[str, Any], **fields: Any) -> Path:
    recipe = {"kind": "grit", "source": {"path": str(folder / "pairs.parquet")}, "detector": detector, **fields}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"output": {"unit": 3}, **recipe}))
    return path
