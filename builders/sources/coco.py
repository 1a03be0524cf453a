"""COCO-format captions and instances: one input a (photo, caption) pair, with the photo's boxes.

Inputs stand in the order of the captions file's images, then of its annotations. A caption that cannot become a sample
(no such photo, a key twice) is still an input, with its problem in `_problem`, so that it is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from builders import rows
from builders.sources.coco_json import CocoFiles, read_coco, stem, text
from builders.sources.cut import cut, digests_of
from schemas.sources import CocoSource

if TYPE_CHECKING:
    from builders.uri import Place

PIXEL_BOX = pa.struct(
    [("x", pa.float64()), ("y", pa.float64()), ("w", pa.float64()), ("h", pa.float64())]
    + [("category", pa.string()), ("crowd", pa.bool_())]
)
"""A box as annotated: left, top, width, height in pixels of the annotated photo; any number that JSON can hold."""

PHOTO = {
    "image_id": pa.string(),
    "image_file": pa.string(),
    "url": pa.string(),
    "license": pa.string(),
    "_annotated_width": pa.int64(),
    "_annotated_height": pa.int64(),
    "_boxes": pa.list_(PIXEL_BOX),
}
"""What is known of a photo before it is read."""

_CAPTION = {"key": pa.string(), "caption_id": pa.string(), "_caption": pa.string(), "_problem": pa.string()}


@dataclass(frozen=True)
class CocoPairs:
    """The inputs: `captions` a row each, `photos` shared by the captions that name them (column `_photo`)."""

    folder: Place
    captions: pa.Table
    photos: pa.Table
    sizes: tuple[int, ...]
    sha256: Mapping[str, str]
    told: Mapping[str, int | str]
    categories: tuple[str, ...]

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        return {**_CAPTION, **PHOTO}

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
        for name in PHOTO:
            table = table.append_column(name, photos[name].combine_chunks())
        return table.combine_chunks()


def open_coco(source: CocoSource, unit: int) -> CocoPairs:
    """List the inputs of a COCO source, cut into units of at most `unit`. Raises UserError for what cannot be read."""
    files = read_coco(source)
    told_of = {i for item in files.captions if (i := files.photo_of(item)) is not None}
    inputs = _inputs(files)[: source.limit]
    photos = [files.photo_of(item) for item in inputs]
    named = {i for i in photos if i is not None}
    told = {
        "inputs": len(inputs),
        "photos": len(named),
        "photos without caption (no inputs)": len(files.photos) - len(told_of),
        "captioned photos without boxes": sum(1 for i in named if not files.boxes[i]),
        "photos whose file is missing": sum(1 for i in named if files.media[i] is None),
        "boxes of photos that no caption names": files.stray,
        "captions with a problem": sum(1 for item in inputs if item["problem"]),
    }
    return CocoPairs(
        files.folder,
        _captions_table(inputs, photos),
        photos_table(files),
        tuple(cut((0 if i is None else files.media[i] or 0 for i in photos), unit)),
        files.sha256,
        told,
        tuple(sorted(set(files.categories.values()))),
    )


def photos_table(files: CocoFiles) -> pa.Table:
    """A row a photo: the columns of PHOTO, and `_media`, the bytes of its file, null where it is missing."""

    def whole(value: Any) -> int | None:
        return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None

    def known(value: Any) -> str | None:
        return text(value) if value is not None else None

    photos = files.photos
    columns = {
        "image_id": [text(photo["id"]) for photo in photos],
        "image_file": [text(photo["file_name"]) for photo in photos],
        "url": [known(photo.get("coco_url") or photo.get("flickr_url") or photo.get("url")) for photo in photos],
        "license": [known(files.licenses.get(str(photo.get("license")))) for photo in photos],
        "_annotated_width": [whole(photo.get("width")) for photo in photos],
        "_annotated_height": [whole(photo.get("height")) for photo in photos],
        "_boxes": files.boxes,
    }
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in PHOTO.items()})
    return table.append_column("_media", pa.array(files.media, pa.int64()))


def _inputs(files: CocoFiles) -> list[dict[str, Any]]:
    """The captions, each with its key and whatever keeps it from becoming a sample."""
    found = [{**item, "key": f"{stem(item['image_id'])}-{item['caption_id']}"} for item in files.captions]
    keys: Counter[str] = Counter()
    for item in found:
        problem = rows.key_problem(item["key"])
        if problem:
            item["problem"] = f"bad_key: the key {item['key']!r} {problem}"
        elif keys[item["key"]]:
            item["problem"] = f"duplicate_key: an earlier caption has the key {item['key']!r}"
        elif files.photo_of(item) is None:
            item["problem"] = f"unknown_image: no image has the id {item['image_id']!r}"
        elif not isinstance(item["caption"], str):
            item["problem"] = f"no_caption: caption is {item['caption']!r}"
        elif text(item["caption"]) != item["caption"]:
            item["problem"] = "broken_text: the caption holds half of a surrogate pair"
        else:
            item["problem"] = None
        keys[item["key"]] += 1
    return found


def _captions_table(inputs: Sequence[Mapping[str, Any]], photos: Sequence[int | None]) -> pa.Table:
    return pa.table(
        {
            "key": pa.array([text(item["key"]) for item in inputs], pa.string()),
            "caption_id": pa.array([text(item["caption_id"]) for item in inputs], pa.string()),
            "_caption": pa.array(
                [text(c) if isinstance(c := item["caption"], str) else None for item in inputs], pa.string()
            ),
            "_problem": pa.array([text(p) if (p := item["problem"]) else None for item in inputs], pa.string()),
            "_photo": pa.array(photos, pa.int64()),
        }
    )
