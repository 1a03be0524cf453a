"""Where pairs lie that are on disk already."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from schemas.fields import Fields, location

PairsKind = Literal["webdataset", "folder", "parquet", "jsonl", "csv"]


class PairsSource(Fields):
    """(image, caption) pairs on disk: tars, a folder with sidecars, or a table with paths or bytes."""

    kind: PairsKind | None = Field(None, description="told by the files' names where it is not given; csv: TSV too")
    path: str = location(
        description="a file, or a folder of tars, tables or images; or a dataset that gristmill built",
    )
    images: str | None = location(
        None,
        description="tables: folder that image paths start from; the table's own where not given",
    )
    captions: str | None = location(
        None,
        description="folder: a TSV of file name and caption, in place of sidecars",
    )
    caption: str | None = Field(None, description="column, or JSON field in place of .txt, of the caption")
    image: str | None = Field(None, description="tables: column of the image: a path, bytes, or struct{bytes, path}")
    key: str | None = Field(None, description="tables: column of the key; numbered where there is none")
    text_boxes: str | None = Field(
        None,
        description="column or JSON field of text regions: a list of [x1, y1, x2, y2] in pixels, for clip.mask_text",
    )
    url: str | None = Field(None, description="column or JSON field of the URL")
    license: str | None = Field(None, description="column or JSON field of the licence")
    limit: int | None = Field(None, ge=1, description="take only the first inputs; --limit sets it")


class UrlsSource(Fields):
    """A list of image URLs with captions: Parquet, JSONL, CSV or TSV. Its other columns travel into the index."""

    kind: Literal["urls"]
    path: str = location(description="a file, or a folder of them")
    columns: list[str] | None = Field(
        None, min_length=2, description="CSV, TSV: the columns' names, where no first line holds them (CC3M, CC12M)"
    )
    url: str | None = Field(None, description="column of the URL")
    caption: str | None = Field(None, description="column of the caption")
    key: str | None = Field(None, description="column of the key; numbered where there is none")
    license: str | None = Field(None, description="column of the licence")
    sha256: str | None = Field(None, description="column of the SHA-256 in hex that the fetched bytes must have")
    limit: int | None = Field(None, ge=1, description="take only the first inputs; --limit sets it")


USUAL: dict[str, tuple[str, ...]] = {
    "caption": ("caption", "text", "TEXT", "Caption"),
    "image": ("image", "image_file", "image_path", "file_name", "filename", "path", "jpg"),
    "key": ("key", "__key__"),
    "url": ("url", "URL", "image_url"),
    "license": ("license", "LICENSE", "licence"),
    "sha256": ("sha256",),
    "text_boxes": (),
}
"""Names that are looked for, in order, where a column is not given."""


def named(source: PairsSource | UrlsSource, what: str) -> tuple[str, ...]:
    """The names under which a column is looked for: the one given, or the usual ones."""
    given: Any = getattr(source, what)
    return (given,) if given else USUAL[what]
