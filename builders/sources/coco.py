"""COCO-format captions and instances: one input a (photo, caption) pair, with the photo's boxes.

Format: https://cocodataset.org/#format-data. Inputs stand in the order of the captions file's images, then of its
annotations. A caption that cannot become a sample (no such photo, a key twice) is still an input, with its problem in
`_problem`, so that it is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from builders import rows
from builders.sources.cut import cut, digests_of
from builders.sources.json_file import load_json
from builders.uri import local_path
from schemas.errors import UserError
from schemas.sources import CocoSource

PIXEL_BOX = pa.struct(
    [("x", pa.float64()), ("y", pa.float64()), ("w", pa.float64()), ("h", pa.float64())]
    + [("category", pa.string()), ("crowd", pa.bool_())]
)
"""A box as annotated: left, top, width, height in pixels of the annotated photo; any number that JSON can hold."""

_PHOTO = {
    "image_id": pa.string(),
    "image_file": pa.string(),
    "url": pa.string(),
    "license": pa.string(),
    "_annotated_width": pa.int64(),
    "_annotated_height": pa.int64(),
    "_boxes": pa.list_(PIXEL_BOX),
}
_CAPTION = {"key": pa.string(), "caption_id": pa.string(), "_caption": pa.string(), "_problem": pa.string()}


@dataclass(frozen=True)
class CocoPairs:
    """The inputs: `captions` a row each, `photos` shared by the captions that name them (column `_photo`)."""

    folder: Path
    captions: pa.Table
    photos: pa.Table
    sizes: tuple[int, ...]
    sha256: Mapping[str, str]
    told: Mapping[str, int | str]
    categories: tuple[str, ...]

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        return {**_CAPTION, **_PHOTO}

    @property
    def synonyms(self) -> Mapping[str, Sequence[str]]:
        """Further words for the categories: COCO's own are in the words table."""
        return {}

    @property
    def unit_sizes(self) -> Sequence[int]:
        return self.sizes

    @property
    def digests(self) -> Mapping[str, str]:
        return self.sha256

    def payloads(self, sizes: Sequence[int]) -> Sequence[str]:
        """By the names and sizes in bytes of each unit's photos."""
        names, media = (self.photos[name].to_pylist() for name in ("image_file", "_media"))
        listed = [i if i is None else (names[i], media[i]) for i in self.captions["_photo"].to_pylist()]
        return digests_of(listed, sizes)

    def facts(self) -> Mapping[str, int | str]:
        return self.told

    def read(self, start: int, count: int) -> pa.Table:
        part = self.captions.slice(start, count)
        photos = self.photos.take(part["_photo"])
        table = part.drop_columns(["_photo"])
        for name in _PHOTO:
            table = table.append_column(name, photos[name].combine_chunks())
        return table.combine_chunks()


def open_coco(source: CocoSource, unit: int) -> CocoPairs:
    """List the inputs of a COCO source, cut into units of at most `unit`. Raises UserError for what cannot be read."""
    folder = local_path(source.images, "source.images")
    if not folder.is_dir():
        raise UserError(f"source.images: {folder} is not a folder")
    captions_path = local_path(source.captions, "source.captions")
    instances_path = local_path(source.instances, "source.instances")
    captioned, captions_sha = load_json(captions_path, "source.captions")
    boxed, instances_sha = load_json(instances_path, "source.instances")
    photos = _photos(captioned, f"source.captions: {captions_path}")
    order = {photo["id"]: i for i, photo in enumerate(photos)}
    inputs = _inputs(captioned, order, f"source.captions: {captions_path}")
    if not inputs:
        raise UserError(f"source.captions: {captions_path}: holds no caption, so there is nothing to build")
    told_of = {item["image_id"] for item in inputs if item["image_id"] in order}
    inputs = inputs[: source.limit]
    named = {order[item["image_id"]] for item in inputs if item["image_id"] in order}
    categories = _categories(boxed, f"source.instances: {instances_path}")
    boxes, stray = _boxes(boxed, categories, order, f"source.instances: {instances_path}")
    licenses = {str(item.get("id")): item.get("name") or item.get("url") for item in _dicts(captioned.get("licenses"))}
    media = _media_sizes(folder, photos)
    sizes = [media[i] or 0 if (i := order.get(item["image_id"])) is not None else 0 for item in inputs]
    told = {
        "inputs": len(inputs),
        "photos": len({item["image_id"] for item in inputs if item["image_id"] in order}),
        "photos without caption (no inputs)": len(photos) - len(told_of),
        "captioned photos without boxes": sum(1 for i in named if not boxes[i]),
        "photos whose file is missing": sum(1 for i in named if media[i] is None),
        "boxes of photos that no caption names": stray,
        "captions with a problem": sum(1 for item in inputs if item["problem"]),
    }
    return CocoPairs(
        folder,
        _captions_table(inputs, order),
        _photos_table(photos, boxes, licenses, media),
        tuple(cut(sizes, unit)),
        {"source.captions": captions_sha, "source.instances": instances_sha},
        told,
        tuple(sorted(set(categories.values()))),
    )


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _list(data: Any, name: str, where: str) -> list[dict[str, Any]]:
    """A list of objects that the format demands."""
    value = data.get(name) if isinstance(data, dict) else None
    if not isinstance(value, list):
        raise UserError(f"{where}: has no list {name!r}; is it COCO format?")
    for i, item in enumerate(value):
        if not isinstance(item, dict):
            raise UserError(f"{where}: {name}[{i}] is not an object")
    return value


def _id(item: Mapping[str, Any], name: str, where: str) -> int | str:
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UserError(f"{where}: {name} is {value!r}, but must be a number or a text")
    return value


def _photos(captioned: Any, where: str) -> list[dict[str, Any]]:
    photos = _list(captioned, "images", where)
    seen: dict[int | str, int] = {}
    for i, photo in enumerate(photos):
        number = _id(photo, "id", f"{where}: images[{i}]")
        if number in seen:
            raise UserError(f"{where}: images[{seen[number]}] and images[{i}] have one id, {number!r}")
        seen[number] = i
        name = photo.get("file_name")
        if not isinstance(name, str) or not name or "\0" in name:
            raise UserError(f"{where}: images[{i}] (id {number!r}) has no file_name")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError(f"{where}: images[{i}]: file_name {name!r} leaves source.images")
    return photos


def _inputs(captioned: Any, order: Mapping[int | str, int], where: str) -> list[dict[str, Any]]:
    """The captions, by photo, each with its key and whatever keeps it from becoming a sample."""
    found: list[dict[str, Any]] = []
    keys: Counter[str] = Counter()
    for i, item in enumerate(_list(captioned, "annotations", where)):
        at = f"{where}: annotations[{i}]"
        image_id, caption_id = _id(item, "image_id", at), _id(item, "id", at)
        stem = f"{image_id:012d}" if isinstance(image_id, int) and image_id >= 0 else str(image_id)
        key = f"{stem}-{caption_id}"
        found.append({"image_id": image_id, "caption_id": caption_id, "key": key, "caption": item.get("caption")})
    found.sort(key=lambda item: order.get(item["image_id"], len(order)))
    for item in found:
        problem = rows.key_problem(item["key"])
        if problem:
            item["problem"] = f"bad_key: the key {item['key']!r} {problem}"
        elif keys[item["key"]]:
            item["problem"] = f"duplicate_key: an earlier caption has the key {item['key']!r}"
        elif item["image_id"] not in order:
            item["problem"] = f"unknown_image: no image has the id {item['image_id']!r}"
        elif not isinstance(item["caption"], str):
            item["problem"] = f"no_caption: caption is {item['caption']!r}"
        elif _text(item["caption"]) != item["caption"]:
            item["problem"] = "broken_text: the caption holds half of a surrogate pair"
        else:
            item["problem"] = None
        keys[item["key"]] += 1
    return found


def _categories(boxed: Any, where: str) -> dict[int | str, str]:
    names: dict[int | str, str] = {}
    for i, category in enumerate(_list(boxed, "categories", where)):
        number = _id(category, "id", f"{where}: categories[{i}]")
        if not isinstance(category.get("name"), str):
            raise UserError(f"{where}: categories[{i}] has no name")
        if number in names:
            raise UserError(f"{where}: categories[{i}] has the id {number!r}, as {names[number]!r} before it")
        names[number] = _text(category["name"])
    return names


def _boxes(
    boxed: Any, names: Mapping[int | str, str], order: Mapping[int | str, int], where: str
) -> tuple[list[list[dict[str, Any]]], int]:
    """The boxes of each photo in file order, and how many belong to no photo."""
    boxes: list[list[dict[str, Any]]] = [[] for _ in order]
    stray = 0
    for i, item in enumerate(_list(boxed, "annotations", where)):
        at = f"{where}: annotations[{i}]"
        category = _id(item, "category_id", at)
        if category not in names:
            raise UserError(f"{at}: no category has the id {category!r}")
        photo = order.get(_id(item, "image_id", at))
        if photo is None:
            stray += 1
            continue
        x, y, w, h = _numbers(item.get("bbox"))
        boxes[photo].append(
            {"x": x, "y": y, "w": w, "h": h, "category": names[category], "crowd": item.get("iscrowd") in (1, "1")}
        )
    return boxes, stray


def _numbers(bbox: Any) -> tuple[float, float, float, float]:
    """Four numbers; NaN where there are none, which the steps count as an invalid box."""
    if isinstance(bbox, list) and len(bbox) == 4:
        try:
            x, y, w, h = (float("nan") if isinstance(v, bool | str) else float(v) for v in bbox)
            return x, y, w, h
        except (TypeError, ValueError, OverflowError):
            pass
    return (float("nan"),) * 4


def _media_sizes(folder: Path, photos: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """Bytes of each photo's file; None where it is missing."""
    sizes: list[int | None] = []
    for photo in photos:
        try:
            sizes.append((folder / photo["file_name"]).stat().st_size)
        except (OSError, ValueError):  # ValueError: a name that no file can have
            sizes.append(None)
    return sizes


def _text(value: Any) -> str:
    """Text that Arrow can hold: a lone surrogate becomes "?"."""
    return str(value).encode("utf-8", "replace").decode()


def _captions_table(inputs: Sequence[Mapping[str, Any]], order: Mapping[int | str, int]) -> pa.Table:
    return pa.table(
        {
            "key": pa.array([_text(item["key"]) for item in inputs], pa.string()),
            "caption_id": pa.array([_text(item["caption_id"]) for item in inputs], pa.string()),
            "_caption": pa.array([_text(c) if isinstance(c := item["caption"], str) else None for item in inputs]).cast(
                pa.string()
            ),
            "_problem": pa.array([_text(p) if (p := item["problem"]) else None for item in inputs], pa.string()),
            "_photo": pa.array([order.get(item["image_id"]) for item in inputs], pa.int64()),
        }
    )


def _photos_table(
    photos: Sequence[Mapping[str, Any]], boxes: Sequence[Any], licenses: Mapping[str, Any], media: Sequence[int | None]
) -> pa.Table:
    def whole(value: Any) -> int | None:
        return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None

    def text(value: Any) -> str | None:
        return _text(value) if value is not None else None

    columns = {
        "image_id": [_text(photo["id"]) for photo in photos],
        "image_file": [_text(photo["file_name"]) for photo in photos],
        "url": [text(photo.get("coco_url") or photo.get("flickr_url") or photo.get("url")) for photo in photos],
        "license": [text(licenses.get(str(photo.get("license")))) for photo in photos],
        "_annotated_width": [whole(photo.get("width")) for photo in photos],
        "_annotated_height": [whole(photo.get("height")) for photo in photos],
        "_boxes": boxes,
    }
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in _PHOTO.items()})
    return table.append_column("_media", pa.array(media, pa.int64()))
