"""Paths and URIs of inputs. Local files, and files that an installed package brings along (`package://skimage/data`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from urllib.parse import unquote, urlsplit

from schemas.errors import UserError


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
    raise UserError(f"{field}: {uri!r}: only local paths, file:// and package:// are known")


def shipped(relative: str) -> Path:
    """The path of a file that comes with gristmill, as `models/caption_parser/pipeline`."""
    return Path(__file__).resolve().parent.parent / relative
