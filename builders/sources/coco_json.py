"""COCO's two files as read and checked: https://cocodataset.org/#format-data.

What the format demands and is not there is refused in one line. What one photo, caption or box gets wrong alone is
handed on, for its own record to be counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.places.sizes import Sizes
from builders.sources.json_file import load_json
from builders.uri import place_of
from schemas.errors import UserError
from schemas.sources import CocoSource

if TYPE_CHECKING:
    from builders.uri import Place

Id = int | str


@dataclass(frozen=True)
class CocoFiles:
    """A captions file and an instances file. All lists but `captions` stand in the order of the captions file's images.

    `captions` are those of the known photos by photo, then of the others, each in the order of the file.
    """

    folder: Place
    photos: list[dict[str, Any]]
    order: Mapping[Id, int]
    """The position of each photo by its id."""
    captions: list[dict[str, Any]]
    categories: Mapping[Id, str]
    boxes: list[list[dict[str, Any]]]
    stray: int
    """How many boxes belong to no photo of the captions file."""
    licenses: Mapping[str, Any]
    media: list[int | None]
    """Bytes of each photo's file; None where it is missing."""
    sha256: Mapping[str, str]

    def photo_of(self, caption: Mapping[str, Any]) -> int | None:
        """The position of a caption's photo; None where no photo has that id."""
        return self.order.get(caption["image_id"])


def read_coco(source: CocoSource) -> CocoFiles:
    """Read and check the files of a COCO source. Raises UserError for what cannot be read."""
    folder = place_of(source.images, "source.images")
    if not folder.is_dir():
        raise UserError(f"source.images: {folder} is not a folder")
    captions_path = place_of(source.captions, "source.captions")
    instances_path = place_of(source.instances, "source.instances")
    captioned, captions_sha = load_json(captions_path, "source.captions")
    boxed, instances_sha = load_json(instances_path, "source.instances")
    photos = _photos(captioned, f"source.captions: {captions_path}")
    order = {photo["id"]: i for i, photo in enumerate(photos)}
    captions = _captions(captioned, order, f"source.captions: {captions_path}")
    if not captions:
        raise UserError(f"source.captions: {captions_path}: holds no caption, so there is nothing to build")
    categories = _categories(boxed, f"source.instances: {instances_path}")
    boxes, stray = _boxes(boxed, categories, order, f"source.instances: {instances_path}")
    return CocoFiles(
        folder,
        photos,
        order,
        captions,
        categories,
        boxes,
        stray,
        {str(item.get("id")): item.get("name") or item.get("url") for item in _dicts(captioned.get("licenses"))},
        _media_sizes(folder, photos),
        {"source.captions": captions_sha, "source.instances": instances_sha},
    )


def stem(image_id: Id) -> str:
    """How a key begins: the id in twelve digits, as COCO names its files; an id that is a text as it is."""
    return f"{image_id:012d}" if isinstance(image_id, int) and image_id >= 0 else str(image_id)


def text(value: Any) -> str:
    """Text that Arrow can hold: a lone surrogate becomes "?"."""
    return str(value).encode("utf-8", "replace").decode()


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


def _id(item: Mapping[str, Any], name: str, where: str) -> Id:
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UserError(f"{where}: {name} is {value!r}, but must be a number or a text")
    return value


def _photos(captioned: Any, where: str) -> list[dict[str, Any]]:
    photos = _list(captioned, "images", where)
    seen: dict[Id, int] = {}
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


def _captions(captioned: Any, order: Mapping[Id, int], where: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for i, item in enumerate(_list(captioned, "annotations", where)):
        at = f"{where}: annotations[{i}]"
        image_id, caption_id = _id(item, "image_id", at), _id(item, "id", at)
        found.append({"image_id": image_id, "caption_id": caption_id, "caption": item.get("caption")})
    found.sort(key=lambda item: order.get(item["image_id"], len(order)))
    return found


def _categories(boxed: Any, where: str) -> dict[Id, str]:
    names: dict[Id, str] = {}
    for i, category in enumerate(_list(boxed, "categories", where)):
        number = _id(category, "id", f"{where}: categories[{i}]")
        if not isinstance(category.get("name"), str):
            raise UserError(f"{where}: categories[{i}] has no name")
        if number in names:
            raise UserError(f"{where}: categories[{i}] has the id {number!r}, as {names[number]!r} before it")
        names[number] = text(category["name"])
    return names


def _boxes(
    boxed: Any, names: Mapping[Id, str], order: Mapping[Id, int], where: str
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


def _media_sizes(folder: Place, photos: Sequence[Mapping[str, Any]]) -> list[int | None]:
    sizes = Sizes(folder)
    return [sizes.of(photo["file_name"]) for photo in photos]
