"""A COCO folder of one photo, one caption and one box, any of which a test replaces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builders.sources.coco import CocoPairs, open_coco
from schemas.errors import UserError
from schemas.sources import CocoSource

PHOTO = {"id": 1, "file_name": "1.jpg", "width": 100, "height": 200}
CAPTION = {"id": 7, "image_id": 1, "caption": "a dog"}
BOX = {"id": 3, "image_id": 1, "category_id": 18, "bbox": [10, 20, 30, 40], "iscrowd": 0}
DOG = {"id": 18, "name": "dog"}


class Coco:
    """A folder that a COCO source reads; what a test gives replaces one photo, one caption, one box."""

    def __init__(self, folder: Path) -> None:
        self.images, self.captions, self.instances = folder / "images", folder / "captions.json", folder / "boxes.json"
        self.images.mkdir()
        (self.images / "1.jpg").write_bytes(b"x" * 10)
        self.write()

    def write(
        self,
        photos: Any = (PHOTO,),
        captions: Any = (CAPTION,),
        boxes: Any = (BOX,),
        categories: Any = (DOG,),
        **more: Any,
    ) -> Coco:
        self.captions.write_text(json.dumps({"images": photos, "annotations": captions, **more}))
        self.instances.write_text(json.dumps({"images": photos, "annotations": boxes, "categories": categories}))
        return self

    def source(self, limit: int | None = None) -> CocoSource:
        paths = (str(path) for path in (self.images, self.captions, self.instances))
        return CocoSource(**dict(zip(("images", "captions", "instances"), paths, strict=True)), limit=limit)

    def open(self, unit: int = 1000, limit: int | None = None) -> CocoPairs:
        return open_coco(self.source(limit), unit)

    def rows(self) -> list[dict[str, Any]]:
        pairs = self.open()
        return pairs.read(0, pairs.captions.num_rows).to_pylist()

    def refused(self) -> str:
        with pytest.raises(UserError) as error:
            self.open()
        return str(error.value)
