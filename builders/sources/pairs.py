"""Pairs that are on disk: one Source over a listing, whatever holds them, and the step that reads their images.

Listing reads no payload: tar headers, file names and sizes, Parquet footers and its columns of keys and paths; JSONL
and CSV hold no images and are read whole. An input that cannot become a sample is still one, with its problem in
`_problem`, so that it is counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pyarrow as pa

from builders import rows
from builders.places.several import each
from builders.sources.cut import cut, digests_of
from builders.sources.images import MAX_BYTES, ReadImage, check_image
from builders.step import Record, Rejected, Result, Services
from schemas.errors import BuildError

if TYPE_CHECKING:
    from builders.uri import Place

TEXT_BOXES = pa.list_(pa.list_(pa.float64()))
"""Regions of text as a detector found them: [x1, y1, x2, y2] in pixels of the photo as a viewer sees it."""
BOXES_MAX = 100_000
"""Characters of regions that stand as JSON in a text."""

PAIR = {
    "key": pa.string(),
    "_caption": pa.string(),
    "_problem": pa.string(),
    "_bytes": pa.large_binary(),
    "image_file": pa.string(),
    "url": pa.string(),
    "license": pa.string(),
    "_text_boxes": TEXT_BOXES,
}
"""Columns of every pair. `_bytes` is null where `image_file`, relative to the source's folder, is read later."""


class Load(Protocol):
    """Reads what the listing left: a record each, with any of PAIR and of the further columns. Picklable."""

    def __call__(self, listed: pa.Table) -> list[Record]: ...


@dataclass(frozen=True)
class Shape:
    """What kind of pairs: their columns, and what is wrong with a record (None: nothing)."""

    columns: Mapping[str, pa.DataType]
    problem: Callable[[Record], str | None]


class Listing(Protocol):
    """A row an input, in a pa.Table or made when it is asked for. `slice` ends where the rows do. Picklable."""

    @property
    def num_rows(self) -> int: ...
    @property
    def column_names(self) -> Sequence[str]: ...
    def slice(self, start: int, count: int) -> pa.Table: ...


@dataclass(frozen=True)
class Pairs:
    """The inputs: `listing` a row each (`key`, `_problem`, and what `load` needs). `folder` holds the image files.

    `survey` looks at some of them for `facts`, which a build that goes on does not need.
    """

    folder: Place
    listing: Listing
    load: Load
    sizes: tuple[int, ...]
    sha256: Mapping[str, str]
    told: Mapping[str, int | str]
    extra: Mapping[str, pa.DataType]
    shape: Shape
    survey: Callable[[Pairs], Mapping[str, int | str]] | None = None

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        return {**self.shape.columns, **self.extra}

    @property
    def unit_sizes(self) -> Sequence[int]:
        return self.sizes

    @property
    def digests(self) -> Mapping[str, str]:
        return self.sha256

    def payloads(self, sizes: Sequence[int]) -> Sequence[str]:
        """By the names and sizes in bytes of each unit's files, where the images are files."""
        if "_files" not in self.listing.column_names:
            return [""] * len(sizes)
        return digests_of(rows_of(self.listing)["_files"].to_pylist(), sizes)

    def facts(self) -> Mapping[str, int | str]:
        return {**self.told, **(self.survey(self) if self.survey else {})}

    def read(self, start: int, count: int) -> pa.Table:
        listed = self.listing.slice(start, count)
        found = self.load(listed)
        for record, key, problem in zip(found, listed["key"].to_pylist(), listed["_problem"].to_pylist(), strict=True):
            record["key"] = key
            record["_problem"] = text(problem or record.get("_problem") or self.shape.problem(record))
            if record["_problem"]:
                record["_bytes"] = None
        return pa.table(
            {name: pa.array([record.get(name) for record in found], kind) for name, kind in self.columns.items()}
        )


def rows_of(listing: Listing) -> pa.Table:
    """All of its rows."""
    return listing.slice(0, listing.num_rows)


def _image_problem(record: Record) -> str | None:
    caption, data, file = (record.get(name) for name in ("_caption", "_bytes", "image_file"))
    if caption is None:
        return "no_caption: there is none"
    if data is not None:
        return f"image_too_large: over {MAX_BYTES:,} bytes" if len(data) > MAX_BYTES else None
    return outside(file) if file else "no_image: there is neither path nor bytes"


IMAGES = Shape(PAIR, _image_problem)


def outside(file: str) -> str | None:
    """The problem of a path that data names and that leaves the folder of images."""
    if "\0" in file or "://" in file:
        return f"bad_image_path: {file!r} is no local path"
    if Path(file).is_absolute() or ".." in Path(file).parts:
        return f"bad_image_path: {file!r} leaves the folder of images"
    return None


@dataclass(frozen=True)
class Listed:
    """What a kind of source found. Lists and `columns` have one entry an input.

    `media` are the image's bytes, as far as known. `files` are the payload files of each input, by name and size in
    bytes (None: missing); None where digests alone identify the inputs. `mend` says what helps against repeated keys.
    """

    keys: Sequence[str | None]
    columns: Mapping[str, pa.Array]
    problems: Sequence[str | None]
    media: Iterable[int]
    files: Sequence[Any] | None
    sha256: Mapping[str, str]
    told: Mapping[str, int | str]
    mend: str


def finish(
    listed: Listed,
    folder: Place,
    load: Load,
    unit: int,
    extra: Mapping[str, pa.DataType] | None = None,
    shape: Shape = IMAGES,
) -> Pairs:
    """The source, with bad and repeated keys marked, cut into units of at most `unit`."""
    keys = [text(key) for key in listed.keys]
    problems = [text(a or b) for a, b in zip(listed.problems, key_problems(keys, listed.mend), strict=True)]
    unique = pa.array(unique_keys(keys), pa.string())
    table = pa.table({**listed.columns, "key": unique, "_problem": pa.array(problems, pa.string())})
    sizes = tuple(cut(listed.media, unit))
    if listed.files is not None:
        table = table.append_column("_files", pa.array([json.dumps(file) for file in listed.files], pa.string()))
    told = {"inputs": len(keys), **listed.told, "inputs with a problem": sum(1 for p in problems if p)}
    return Pairs(folder, table, load, sizes, listed.sha256, told, extra or {}, shape)


def key_problems(keys: Sequence[str | None], mend: str) -> list[str | None]:
    """What is wrong with each key; of several equal ones the first is right, and the others are told `mend`."""
    seen: set[str] = set()
    problems: list[str | None] = []
    for key in keys:
        bad = rows.key_problem(key) if key else "empty"
        if not key or bad:
            problems.append(f"bad_key: the key {key!r} {bad}" if key else "bad_key: there is none")
        else:
            problems.append(f"duplicate_key: an earlier input has the key {key!r}; {mend}" if key in seen else None)
            seen.add(key)
    return problems


def unique_keys(keys: Sequence[str | None]) -> list[str]:
    """The keys, with one by its number for an input that has none or that of an earlier one.

    What a unit came to before is found by its inputs' keys: with two of a key, no failed record of it could be retried.
    """
    given = set(keys)
    seen: set[str] = set()
    unique: list[str] = []
    for number, key in enumerate(keys):
        own = key
        if not own or own in seen:
            own = f"row-{number:09d}"
            while own in given:
                own += "x"
        seen.add(own)
        unique.append(own)
    return unique


def key_of(name: str) -> str:
    """The key of a file: its path, with "_" for whatever a key cannot hold, but none in front.

    A hash of the path ends a key that would be too long, or is all of one that nothing is left of.
    """
    if not rows.key_problem(name):
        return name
    key = "".join("_" if c != "_" and rows.key_problem(c) else c for c in name).lstrip("_")
    if key and not rows.key_problem(key):
        return key
    short = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    start = key.encode()[: rows.KEY_MAX - 1 - len(short)].decode(errors="ignore")
    return f"{start}-{short}" if start else short


def text(value: Any) -> str | None:
    """Text that Arrow can hold: a lone surrogate becomes "?". None stays."""
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def as_caption(value: Any) -> Record:
    """`_caption` of what data gives as one, or the `_problem` of it."""
    if isinstance(value, str):
        told = text(value)
        return (
            {"_caption": told} if told == value else {"_problem": "broken_text: the caption holds what is no character"}
        )
    shown = repr(value)
    return {"_problem": f"no_caption: it is {shown[:80]}" if value is not None else "no_caption: there is none"}


def decoded(data: bytes) -> Record:
    """`_caption` of a text file's bytes, or the `_problem` of them."""
    try:
        return {"_caption": data.decode("utf-8-sig")}
    except UnicodeDecodeError as error:
        return {"_problem": f"broken_text: the caption is not UTF-8 at byte {error.start}"}


def told_by(data: bytes | None, fields: Mapping[str, Sequence[str]]) -> Record:
    """What a sample's JSON tells: `url`, `license` and, as "caption", the caption; or the `_problem` of it."""
    if data is None:
        return {}
    try:
        told = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return {"_problem": f"bad_json: {type(error).__name__}: {error}"}
    if not isinstance(told, dict):
        return {"_problem": "bad_json: not an object"}
    return {
        what: next((told[name] for name in names if told.get(name) is not None), None) for what, names in fields.items()
    }


def sample(caption: bytes | None, data: bytes | None, fields: Mapping[str, Sequence[str]]) -> Record:
    """A record's text columns from its text file and its JSON, either of which may be missing (None)."""
    told = told_by(data, fields)
    if "_problem" in told:
        return told
    found = decoded(caption) if caption is not None else as_caption(told.get("caption"))
    return {
        **as_boxes(told.get("text_boxes")),
        "url": text(told.get("url")),
        "license": text(told.get("license")),
        **found,
    }


def as_boxes(value: Any) -> Record:
    """`_text_boxes` of what data gives as regions of text (CSV: as JSON in a cell), or the `_problem` of it."""
    if value is None:
        return {"_text_boxes": None}
    try:
        told = json.loads(value) if isinstance(value, str) and len(value) <= BOXES_MAX else value
        boxes = [[float(number) for number in box] for box in told]
        if all(len(box) == 4 for box in boxes):
            return {"_text_boxes": boxes}
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass
    return {"_problem": f"bad_text_boxes: {repr(value)[:80]} is no list of [x1, y1, x2, y2]"}


def check_unchanged(files: Sequence[Place], sizes: Sequence[int]) -> None:
    """Raises BuildError where a file that holds inputs is gone, or has another size (bytes) than when it was listed."""
    for path, size in zip(files, sizes, strict=True):
        try:
            now = path.stat().st_size
        except OSError as error:
            raise BuildError(f"source.path: {path}: {error.strerror}; put it back, and run the same again") from None
        if now != size:
            raise BuildError(f"source.path: {path} has changed since it was listed: {size:,} bytes, now {now:,}")


@dataclass
class ReadPairImage:
    """Adds the pair's image, from `_bytes` or else from the file that `image_file` names: the columns of ReadImage.

    A missing file raises FileNotFoundError, as in ReadImage, so that the record fails and can be tried again.
    """

    folder: Place
    name: ClassVar = "read_image"
    reads: ClassVar = ("_bytes", "image_file")
    adds: ClassVar = ReadImage.adds

    def setup(self, services: Services) -> None:
        self._root = self.folder.resolve()

    def __call__(self, records: list[Record]) -> list[Result]:
        files = list(dict.fromkeys(record["image_file"] for record in records if record["_bytes"] is None))
        found = each(self._root, files, partial(regular, self._root))
        of_file = {file: check_image(data) for file, data in zip(files, found, strict=True)}
        return [
            of_file[record["image_file"]] if record["_bytes"] is None else check_image(record["_bytes"])
            for record in records
        ]


def regular(root: Place, file: str) -> bytes | Rejected:
    """The bytes of a file in the folder `root` (resolved): neither a pipe, which would block, nor a link out of it."""
    path = root / file
    if isinstance(path, Path) and isinstance(root, Path):  # on an object store there are files alone
        if not path.resolve().is_relative_to(root):
            return Rejected("bad_image_path", f"{file} links out of the folder of images")
        if path.exists() and not path.is_file():
            return Rejected("not_a_file", f"{file} is no regular file")
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    return data if len(data) <= MAX_BYTES else Rejected("image_too_large", f"{file} has over {MAX_BYTES:,} bytes")
