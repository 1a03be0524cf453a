"""A folder of images with sidecars: `name.txt`, `name.json`, or one TSV of file names and captions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from builders.places.several import each
from builders.sources.pairs import Listed, Pairs, decoded, finish, key_of, regular, sample, text
from builders.sources.pairs_tar import IMAGE, TEXT_MAX
from builders.step import Record, Rejected
from builders.uri import place_of
from schemas.errors import UserError
from schemas.pairs import PairsSource, named

if TYPE_CHECKING:
    from builders.uri import Place


@dataclass(frozen=True)
class LoadFolder:
    """Reads the sidecars; the images are read by ReadPairImage."""

    folder: Place
    fields: Mapping[str, tuple[str, ...]]

    def __call__(self, listed: pa.Table) -> list[Record]:
        root = self.folder.resolve()
        return list(each(root, listed.to_pylist(), partial(self._record, root)))

    def _record(self, root: Place, row: dict[str, Any]) -> Record:
        record: Record = {"image_file": row["file"]}
        if row["_problem"]:
            return record
        stem = os.path.splitext(row["file"])[0]  # noqa: PTH122  with_suffix("") and "+ .txt" part at other dots
        sidecars: dict[str, bytes | None] = {"txt": None, "json": None}
        for kind in sidecars:
            if not row[kind]:
                continue
            try:
                data = regular(root, f"{stem}.{kind}")
            except OSError as error:
                return {**record, "_problem": f"bad_sidecar: {stem}.{kind}: {error.strerror}"}
            if isinstance(data, Rejected):
                return {**record, "_problem": f"bad_sidecar: {data.detail}"}
            if len(data) > TEXT_MAX:
                return {**record, "_problem": f"text_too_large: {stem}.{kind} has over {TEXT_MAX:,} bytes"}
            sidecars[kind] = data
        caption = row["caption"].encode() if row["caption"] is not None else sidecars["txt"]
        return {**record, **sample(caption, sidecars["json"], self.fields)}


def open_folder(source: PairsSource, folder: Place, unit: int) -> Pairs:
    """List a folder's images and those of its folders, by path. The key is the path, as key_of makes it.

    Where `source.captions` or `source.caption` says where captions stand, `.txt` is not read.
    """
    files, links = _walk(folder)
    captions, sha256 = _captions(source)
    images = sorted(name for name in files if name.rpartition(".")[2].lower() in IMAGE)[: source.limit]
    stems = [name.rpartition(".")[0] for name in images]
    beside = {
        "txt": [source.captions is None and source.caption is None and f"{stem}.txt" in files for stem in stems],
        "json": [f"{stem}.json" in files for stem in stems],
    }
    named_files = [
        [name, *(f"{stem}.{kind}" for kind in beside if beside[kind][i])]
        for i, (name, stem) in enumerate(zip(images, stems, strict=True))
    ]
    listed_files = [[(text(name), files[name]) for name in names] for names in named_files]
    whole = hashlib.sha256("\n".join("\0".join(names) for names in named_files).encode("utf-8", "surrogateescape"))
    listed = Listed(
        keys=[key_of(stem) for stem in stems],
        columns={
            "file": pa.array([text(name) for name in images], pa.string()),
            "caption": pa.array([captions.get(name) for name in images], pa.string()),
            **{kind: pa.array(there, pa.bool_()) for kind, there in beside.items()},
        },
        problems=[_problem(source, name, captions) for name in images],
        media=[files[name] or 0 for name in images],
        files=listed_files,
        sha256={"source.path": whole.hexdigest(), **sha256},
        mend="rename one of the files",
        told={
            **({"linked folders (not entered)": links} if links else {}),
            **({"captions without image (no inputs)": len(captions.keys() - files)} if captions else {}),
        },
    )
    fields = {name: named(source, name) for name in ("caption", "url", "license", "text_boxes")}
    return finish(listed, folder, LoadFolder(folder, fields), unit, {})


def _problem(source: PairsSource, name: str, captions: Mapping[str, str]) -> str | None:
    if text(name) != name:
        return "bad_image_path: the file's name is not UTF-8"
    return "no_caption: source.captions has none for it" if source.captions and name not in captions else None


def _walk(folder: Place) -> tuple[dict[str, int | None], int]:
    """Bytes (None: missing) of everything below `folder` that is no folder, by relative path; and folders linked to."""
    if not isinstance(folder, Path):
        return {path.relative_to(folder).as_posix(): stat.st_size for path, stat in folder.below()}, 0
    files: dict[str, int | None] = {}
    links = 0
    for base, entry in _entries(folder):
        if entry.is_symlink() and entry.is_dir():
            links += 1
            continue
        try:
            files[base + entry.name] = entry.stat().st_size
        except OSError:
            files[base + entry.name] = None
    return files, links


def _entries(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below `folder` that is no folder itself, with the relative path of the folder that it lies in."""
    left = [""]
    while left:
        base = left.pop()
        with os.scandir(folder / base) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    left.append(f"{base}{entry.name}/")
                else:
                    yield base, entry


def _captions(source: PairsSource) -> tuple[dict[str, str], dict[str, str]]:
    """File name -> caption of `source.captions`, and its digest."""
    if source.captions is None:
        return {}, {}
    path = place_of(source.captions, "source.captions")
    if not path.is_file():
        raise UserError(f"source.captions: {path} is no file")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"source.captions: {path}: {error.strerror or error}") from None
    told = decoded(raw)
    if "_problem" in told:
        raise UserError(f"source.captions: {path}: {told['_problem'].partition(': ')[2]}")
    captions: dict[str, str] = {}
    for number, line in enumerate(told["_caption"].split("\n"), 1):
        name, tab, caption = line.rstrip("\r").partition("\t")
        if not line.strip():
            continue
        if not tab:
            raise UserError(f"source.captions: {path}, line {number}: write it as file name, tab, caption")
        if name.strip() in captions:
            raise UserError(f"source.captions: {path}, line {number}: {name.strip()!r} has a caption already")
        captions[name.strip()] = caption
    return captions, {"source.captions": hashlib.sha256(raw).hexdigest()}
