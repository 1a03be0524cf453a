"""Paths and URIs of inputs: local files, files that an installed package brings along (`package://skimage/data`), and
files on object stores (`s3://bucket/folder`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from builders.places.address import is_remote, parse
from schemas.errors import UserError
from schemas.storage import SCHEMES

if TYPE_CHECKING:
    from builders.places.remote import RemotePath

    Place = Path | RemotePath
    """Where a file or a folder lies."""


def place_of(uri: str, field: str) -> Place:
    """Where a path or URI leads to. `field` names it in errors (UserError)."""
    if not is_remote(uri):
        return local_path(uri, field)
    from builders.places.remote import RemotePath  # pyarrow's file systems, for those who have such an address alone

    address, path = parse(uri, field)
    return RemotePath(path, address)


def relative(path: Place, folder: Place) -> str:
    """The path from a folder to what lies below it, with "/" between its parts."""
    if isinstance(path, Path) and isinstance(folder, Path):
        return path.relative_to(folder).as_posix()
    assert not isinstance(path, Path) and not isinstance(folder, Path)
    return path.relative_to(folder).as_posix()


def local_path(uri: str, field: str) -> Path:
    """The local path that a path, `file://` or `package://` URI means. `field` names it in errors (UserError)."""
    if "://" not in uri:
        return Path(uri).expanduser()
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if parts.scheme == "package":
        spec = importlib.util.find_spec(parts.netloc) if parts.netloc.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            raise UserError(f"{field}: the package {parts.netloc!r} is not installed; pip install it, or give a folder")
        return Path(next(iter(spec.submodule_search_locations)), *parts.path.strip("/").split("/"))
    shown = f"{parts.scheme}://…" if {"@", "?"} & set(uri) else uri  # what may hold a password is not told again
    if is_remote(uri):
        raise UserError(f"{field}: {shown}: must be on the local disk; copy it there")
    raise UserError(f"{field}: {shown}: only local paths, file://, package:// and {_KNOWN} are known")


_KNOWN = ", ".join(f"{scheme}://" for scheme in SCHEMES)


def shipped(relative: str) -> Path:
    """The path of a file that comes with gristmill, as `models/caption_parser/pipeline`."""
    return Path(__file__).resolve().parent.parent / relative
