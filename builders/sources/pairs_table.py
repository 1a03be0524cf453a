"""What all tables of pairs have in common: which column is which, and what a row tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from builders.places.sizes import Sizes
from builders.sources.pairs import IMAGES, Shape, as_boxes, as_caption, outside, text
from builders.step import Record
from builders.uri import place_of
from schemas.errors import UserError
from schemas.pairs import USUAL, PairsSource, UrlsSource, named

if TYPE_CHECKING:
    from builders.uri import Place

TableSource = PairsSource | UrlsSource
KEY_MEND = "set source.key to another column, or leave it out"


def _url_problem(record: Record) -> str | None:
    if record.get("_caption") is None:
        return "no_caption: there is none"
    return None if record.get("url") else "no_url: there is none"


URLS = Shape({name: pa.string() for name in ("key", "_caption", "_problem", "url", "license", "_sha256")}, _url_problem)
"""Pairs whose images are elsewhere. `_sha256`: what the list says of the image's bytes, in hex."""


def shape_of(source: TableSource) -> Shape:
    return URLS if isinstance(source, UrlsSource) else IMAGES


def carried(name: str) -> str:
    """The name under which a table's further column travels; no step's column begins so."""
    return f"source_{name}"


def roles_of(source: TableSource, names: Sequence[str], path: Place) -> dict[str, str]:
    """Which column is which. Raises UserError where one that is named or needed is not there."""
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise UserError(f"source.path: {path}: two columns are named {twice!r}; rename one")
    roles: dict[str, str] = {}
    needed = ("caption", "url") if isinstance(source, UrlsSource) else ("caption", "image")
    for role in (role for role in USUAL if role in type(source).model_fields):
        wanted = named(source, role)
        hit = next((name for name in wanted if name in names), None)
        if hit is not None:
            roles[role] = hit
        elif getattr(source, role) or role in needed:
            shown = ", ".join(names[:20]) or "none"
            mend = f"set source.{role}"
            if isinstance(source, UrlsSource) and not source.columns and path.suffix.lower() in (".csv", ".tsv"):
                mend += ", or source.columns where its first line holds no names"
            raise UserError(f"source.{role}: {path.name} has no column {wanted[0]!r}; {mend}; it has: {shown}")
    return roles


def pair_of(row: Mapping[str, Any], roles: Mapping[str, str]) -> Record:
    """The columns of PAIR, or of a URL's pair, that a table's row tells, `key` aside."""
    image: Any = row.get(roles["image"]) if "image" in roles else None
    data, path = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, image)
    told = {"url": "url", "license": "license", "_sha256": "sha256"}
    record: Record = {name: text(row.get(roles[role])) if role in roles else None for name, role in told.items()}
    record["_bytes"] = data if isinstance(data, bytes) else None
    record["image_file"] = text(path) if isinstance(path, str) else None
    if "text_boxes" in roles:
        record |= as_boxes(row.get(roles["text_boxes"]))
    record |= as_caption(row.get(roles["caption"]))
    if image is not None and not isinstance(image, dict | str | bytes):
        record["_problem"] = f"no_image: it is {repr(image)[:80]}"
    return record


def folder_of(source: TableSource, path: Place) -> Place:
    """Where the paths of images start from."""
    if isinstance(source, UrlsSource) or not source.images:
        return path.parent
    folder = place_of(source.images, "source.images")
    if not folder.is_dir():
        raise UserError(f"source.images: {folder} is not a folder")
    return folder


def files_of(folder: Place, names: Sequence[str | None]) -> list[tuple[str, int | None] | None]:
    """Name and size in bytes (None: missing) of each file that a row names."""
    there = Sizes(folder)
    sizes: dict[str, int | None] = {}
    for name in names:
        if name and name not in sizes:
            sizes[name] = None if outside(name) else there.of(name)
    return [(name, sizes[name]) if name else None for name in names]
