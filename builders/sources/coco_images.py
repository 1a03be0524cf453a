"""COCO-format captions and instances: one input an image, with all of its captions and boxes.

Inputs are the images that have a caption, in the order of the captions file. An image that cannot become a sample (its
key names no file, none of its captions is a text) is still an input, with its problem in `_problem`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from builders import rows
from builders.sources.coco import PHOTO, photos_table
from builders.sources.coco_json import CocoFiles, read_coco, stem, text
from builders.sources.cut import cut, digests_of
from schemas.errors import UserError
from schemas.sources import CocoSource

if TYPE_CHECKING:
    from builders.uri import Place

_IMAGE = {
    "key": pa.string(),
    "_captions": pa.list_(pa.string()),
    "_captions_broken": pa.int32(),
    "_problem": pa.string(),
}


@dataclass(frozen=True)
class CocoImages:
    """The inputs: `images` a row each, with the bytes of their files in `_media`."""

    folder: Place
    images: pa.Table
    sizes: tuple[int, ...]
    sha256: Mapping[str, str]
    told: Mapping[str, int | str]
    categories: tuple[str, ...]

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        return {**_IMAGE, **PHOTO}

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
        """By the names and sizes in bytes of each unit's images."""
        names, media = (self.images[name].to_pylist() for name in ("image_file", "_media"))
        return digests_of(list(zip(names, media, strict=True)), sizes)

    def facts(self) -> Mapping[str, int | str]:
        return self.told

    def read(self, start: int, count: int) -> pa.Table:
        return self.images.slice(start, count).select(list(self.columns)).combine_chunks()


def open_coco_images(source: CocoSource, unit: int) -> CocoImages:
    """List the captioned images of a COCO source, cut into units of at most `unit`.

    Raises UserError for what cannot be read, and where no image has a caption.
    """
    files = read_coco(source)
    captions: dict[int, list[Any]] = {}
    strays = 0
    for item in files.captions:
        if (i := files.photo_of(item)) is None:
            strays += 1
        else:
            captions.setdefault(i, []).append(item["caption"])
    if not captions:
        raise UserError(f"source.captions: {source.captions}: no caption names one of its images")
    inputs = _inputs(files, captions)[: source.limit]
    chosen = list(captions)[: source.limit]
    told = {
        "inputs": len(inputs),
        "captions": sum(len(item["_captions"]) for item in inputs),
        "photos without caption (no inputs)": len(files.photos) - len(captions),
        "captions of unknown photos (no inputs)": strays,
        "captioned photos without boxes": sum(1 for i in chosen if not files.boxes[i]),
        "photos whose file is missing": sum(1 for i in chosen if files.media[i] is None),
        "boxes of photos that no caption names": files.stray,
        "captions left out": sum(item["_captions_broken"] for item in inputs),
        "photos with a problem": sum(1 for item in inputs if item["_problem"]),
    }
    images = pa.table({name: pa.array([item[name] for item in inputs], kind) for name, kind in _IMAGE.items()})
    photos = photos_table(files).take(pa.array(chosen, pa.int64()))
    for name in photos.column_names:
        images = images.append_column(name, photos[name].combine_chunks())
    return CocoImages(
        files.folder,
        images,
        tuple(cut((files.media[i] or 0 for i in chosen), unit)),
        files.sha256,
        told,
        tuple(sorted(set(files.categories.values()))),
    )


def _inputs(files: CocoFiles, captions: Mapping[int, Sequence[Any]]) -> list[dict[str, Any]]:
    """The images at these positions, with their captions that are whole texts, and what keeps them from a sample."""
    found: list[dict[str, Any]] = []
    keys: set[str] = set()
    for i, told in captions.items():
        key = stem(files.photos[i]["id"])
        whole = [caption for caption in told if isinstance(caption, str) and text(caption) == caption]
        problem = None
        if bad := rows.key_problem(key):
            problem = f"bad_key: the key {key!r} {bad}"
        elif key in keys:
            problem = f"duplicate_key: an earlier image has the key {key!r}"
        elif not whole:
            problem = f"no_caption: none of its captions ({len(told)}) is a whole text"
        keys.add(key)
        broken = len(told) - len(whole)
        found.append({"key": text(key), "_captions": whole, "_captions_broken": broken, "_problem": problem})
    return found
