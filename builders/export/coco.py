"""The boxes of grounded captions as COCO JSON: `DIR/coco.json` and `DIR/images/`.

An image a caption (captions of one photo share its file), an annotation a box: its category is the head noun of its
noun chunk, in the singular ("a group of dogs" is a dog; "unnamed" where a chunk shows no word), `phrase` the
expression, `score` the detector's. Boxes of nested expressions are there, too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from builders.export.folder import Images, new_folder
from builders.export.grounded import grounded
from builders.grounding.heads import head_noun
from builders.shards.store import Store

FILE = "coco.json"
_UNNAMED = "unnamed"
_DECIMALS = 6
"""Of a pixel: what a coordinate of 0..1 was rounded to before."""


def export(store: Store, folder: Path) -> int:
    """Write the images and boxes of a grit dataset. Returns how many images.

    Categories are numbered from 1 as they come; they alone are held in memory. Raises UserError for a dataset of
    another kind.
    """
    categories: dict[str, int] = {}
    count = annotations = 0
    with new_folder(folder) as place:
        images, boxes = Images(place / "images"), place / "annotations.part"
        with (place / FILE).open("w+", encoding="utf-8") as out, boxes.open("w+", encoding="utf-8") as beside:
            out.write('{\n"info": {"description": "boxes of grounded captions"},\n"licenses": [],\n"images": [\n')
            for one in grounded(store):
                count += 1
                _item(out, _image(count, images.add(one.sample), one.record), first=count == 1)
                for annotation in _annotations(one.record, categories):
                    annotations += 1
                    _item(beside, {"id": annotations, "image_id": count, **annotation}, first=annotations == 1)
            out.write('\n],\n"annotations": [\n')
            beside.seek(0)
            shutil.copyfileobj(beside, out)
            named = [{"id": number, "name": name, "supercategory": ""} for name, number in categories.items()]
            out.write(f'\n],\n"categories": {json.dumps(named, ensure_ascii=False)}\n}}\n')
        boxes.unlink()
    return count


def _item(out: IO[str], item: dict[str, Any], first: bool) -> None:
    out.write(("" if first else ",\n") + json.dumps(item, ensure_ascii=False))


def _image(number: int, name: str, record: dict[str, Any]) -> dict[str, Any]:
    size = {"width": record["width"], "height": record["height"]}
    told = {"key": record["key"], "caption": record["caption"], "coco_url": record["url"] or ""}
    return {"id": number, "file_name": name, **size, **told}


def _annotations(record: dict[str, Any], categories: dict[str, int]) -> Iterator[dict[str, Any]]:
    caption = record["caption"]
    for chunk, expression in zip(record["noun_chunks"], record["ref_exps"], strict=True):
        head = head_noun(caption[chunk[0] : chunk[1]], caption[chunk[1] : expression[1]]) or _UNNAMED
        x, y, w, h = pixels(expression[2:6], record["width"], record["height"])
        yield {
            "category_id": categories.setdefault(head, len(categories) + 1),
            "bbox": [x, y, w, h],
            "area": w * h,
            "iscrowd": 0,
            "phrase": caption[expression[0] : expression[1]],
            "score": expression[6],
        }


def pixels(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    """A box of 0..1 as COCO's [x, y, width, height] in pixels."""
    x1, y1, x2, y2 = (round(v * side, _DECIMALS) for v, side in zip(box, (width, height) * 2, strict=True))
    return x1, y1, round(x2 - x1, _DECIMALS), round(y2 - y1, _DECIMALS)
