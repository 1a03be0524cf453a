"""A dataset in COCO format, drawn on the spot, where a test can spoil what it wants to spoil."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import yaml
from PIL import Image, ImageDraw

CATEGORIES = ("person", "dog", "bench")
SCENES = (
    ("A dog sits on a bench.", ("dog", "bench")),
    ("A man with a hat walks a small dog.", ("person", "dog")),
    ("Two dogs wait beside the old bench.", ("dog", "dog", "bench")),
)


def picture(number: int, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> Image.Image:
    """A picture that no other number has."""
    image = Image.new("RGB", size, (number * 37 % 256, number * 59 % 256, number * 83 % 256))
    ImageDraw.Draw(image).rectangle((4, 4, 20 + number % 20, 30), fill=(255, number % 256, 0))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


class Coco:
    """A folder with photos, captions.json, instances.json and recipe.yaml; nothing is written before `save`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self.photos: list[dict[str, Any]] = []
        self.captions: list[dict[str, Any]] = []
        self.boxes: list[dict[str, Any]] = []
        self.recipe: dict[str, Any] = {
            "kind": "grit",
            "source": {
                "kind": "coco",
                "images": "photos",
                "captions": "captions.json",
                "instances": "instances.json",
            },
            "output": {"unit": 4},
        }

    def photo(
        self, data: bytes | None = b"", suffix: str = "jpg", size: tuple[int, int] = (64, 48), **fields: Any
    ) -> int:
        """Add a photo: `data` as it lies on the disk, None for none, by default a good JPEG. Returns its id."""
        number = len(self.photos) + 1
        name = f"{number:06d}.{suffix}"
        if data is not None:
            self.files[name] = data or encoded(picture(number, size))
        self.photos.append({"id": number, "file_name": name, "width": size[0], "height": size[1], **fields})
        return number

    def caption(self, photo: Any, text: Any, **fields: Any) -> str:
        """Add a caption. Returns the key that its input will have."""
        number = len(self.captions) + 1
        item = {"id": number, "image_id": photo, "caption": text, **fields}
        self.captions.append(item)
        return f"{item['image_id']:012d}-{item['id']}" if isinstance(item["image_id"], int) else ""

    def box(self, photo: int, category: str, *bbox: Any, crowd: int = 0) -> None:
        """Add a box: left, top, width and height in pixels."""
        number = CATEGORIES.index(category) + 1
        item = {"id": len(self.boxes) + 1, "image_id": photo, "category_id": number, "iscrowd": crowd}
        self.boxes.append({**item, "bbox": list(bbox)})

    def pair(self, data: bytes | None = b"", **photo: Any) -> str:
        """Add a good input: a photo with a caption and the boxes that the caption names. Returns its key."""
        text, things = SCENES[len(self.photos) % len(SCENES)]
        number = self.photo(data, **photo)
        for i, thing in enumerate(things):
            self.box(number, thing, 2 + 11 * i, 4, 9, 30)
        return self.caption(number, text)

    def save(self) -> Path:
        """Write everything. Returns the path of the recipe."""
        photos = self.folder / "photos"
        photos.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (photos / name).write_bytes(data)
        categories = [{"id": i + 1, "name": name} for i, name in enumerate(CATEGORIES)]
        (self.folder / "captions.json").write_text(json.dumps({"images": self.photos, "annotations": self.captions}))
        instances = {"images": self.photos, "annotations": self.boxes, "categories": categories}
        (self.folder / "instances.json").write_text(json.dumps(instances))
        recipe = self.folder / "recipe.yaml"
        recipe.write_text(yaml.safe_dump(self.recipe))
        return recipe


def good_pairs(folder: Path, count: int, unit: int = 4, size: tuple[int, int] = (64, 48)) -> Coco:
    """A dataset of `count` good pairs."""
    coco = Coco(folder)
    coco.recipe["output"]["unit"] = unit
    for _ in range(count):
        coco.pair(size=size)
    return coco
