"""Which source reads the pairs at a path."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from builders.sources.pairs import Pairs
from builders.sources.pairs_folder import open_folder
from builders.sources.pairs_index import task_samples, with_index
from builders.sources.pairs_parquet import open_parquet
from builders.sources.pairs_table import TableSource
from builders.sources.pairs_tar import IMAGE, open_tars
from builders.sources.pairs_text import open_text
from builders.sources.urls import open_urls
from builders.uri import place_of
from schemas.errors import UserError
from schemas.pairs import PairsKind, UrlsSource

if TYPE_CHECKING:
    from builders.uri import Place

_BY_NAME: dict[str, PairsKind] = {
    ".tar": "webdataset",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    **{f".{extension}": "folder" for extension in IMAGE},
}
_PACKED = (".gz", ".tgz", ".zst", ".bz2", ".xz", ".zip")
_TABLES = ("parquet", "jsonl", "csv")
_LISTS = "a Parquet, JSONL, CSV or TSV file"
_OF_KIND = {"images": _TABLES, "image": _TABLES, "key": _TABLES, "captions": ("folder",)}
"""Fields that only some kinds have."""


def open_pairs(source: TableSource, unit: int, index: bool = False) -> Pairs:
    """List the inputs at `source.path`, in units of at most `unit`. Raises UserError for what cannot be read.

    `index`: of a dataset that gristmill built, the columns of its index travel as well.
    """
    path = place_of(source.path, "source.path")
    try:
        pairs = _open(source, path, unit)
        if index and _is_dataset(path):
            pairs = with_index(pairs, path / "index")
    except OSError as error:
        raise UserError(f"source.path: {error.filename or path}: {error.strerror or error}") from None
    if not pairs.listing.num_rows:
        raise UserError(f"source.path: {path} holds no pair, so there is nothing to build")
    return pairs


def _open(source: TableSource, path: Place, unit: int) -> Pairs:
    if not path.exists():
        raise UserError(f"source.path: {path} is not there")
    if not path.is_dir() and not path.is_file():
        raise UserError(f"source.path: {path} is neither a file nor a folder")
    passed: frozenset[str] = frozenset()
    if _is_dataset(path):
        passed, path = task_samples(path / "index"), path / "data"
    kind = source.kind if source.kind and source.kind != "urls" else _detect(path, isinstance(source, UrlsSource))
    if isinstance(source, UrlsSource):
        if kind not in _TABLES:
            raise UserError(f"source.path: {path} is no list of URLs; give {_LISTS}")
        return open_urls(source, _files(path, kind), kind, unit)
    for field, kinds in _OF_KIND.items():
        if getattr(source, field) is not None and kind not in kinds:
            raise UserError(f"source.{field}: a source of kind {kind} has no such field; leave it out")
    if kind == "folder":
        if not path.is_dir():
            raise UserError(f"source.path: {path} is not a folder")
        return open_folder(source, path, unit)
    files = _files(path, kind)
    if kind == "webdataset":
        return open_tars(source, files, unit, passed)
    return open_parquet(source, files, unit) if kind == "parquet" else open_text(source, files, kind, unit)


def _is_dataset(path: Place) -> bool:
    """Whether it is a dataset that gristmill built and finished."""
    return all((path / name).exists() for name in ("manifest.json", "units", "data"))


def _detect(path: Place, urls: bool) -> PairsKind:
    """The kind that the files' names tell. For a list of `urls`, source.kind is taken: it mends nothing."""
    names = [path.name] if path.is_file() else sorted(entry.name for entry in path.iterdir())
    suffixes = {PurePath(name).suffix.lower() for name in names}
    kinds = sorted({_BY_NAME[suffix] for suffix in suffixes if suffix in _BY_NAME})
    if len(kinds) > 1:
        mend = "give one of its files" if urls else "give source.kind"
        raise UserError(f"source.path: {path} holds several kinds ({', '.join(kinds)}); {mend}")
    if kinds and (path.is_dir() or kinds[0] != "folder"):
        return kinds[0]
    packed = sorted(suffixes.intersection(_PACKED))
    if packed:
        raise UserError(f"source.path: {path} is packed ({packed[0]}), so it cannot be read at offsets; unpack it")
    if path.is_dir() and any(file.suffix.lower().lstrip(".") in IMAGE for file in path.rglob("*")):
        return "folder"
    if urls:
        told = "holds no list of URLs" if path.is_dir() else "is of no known kind"
        raise UserError(f"source.path: {path} {told}; give {_LISTS}")
    told = "holds neither tars, tables nor images" if path.is_dir() else "is of no known kind"
    raise UserError(f"source.path: {path} {told}; give source.kind or another path")


def _files(path: Place, kind: PairsKind) -> list[Place]:
    """The files of a kind in a folder, by name; one that is given by itself may have any name."""
    if path.is_file():
        return [path]
    found = sorted(p for p in path.iterdir() if _BY_NAME.get(p.suffix.lower()) == kind)
    if not found:
        raise UserError(f"source.path: {path} holds no {kind} file")
    odd = next((p for p in found if not p.is_file()), None)
    if odd:
        raise UserError(f"source.path: {odd} is no regular file")
    return found
