"""What identifies a model on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from builders.uri import relative

if TYPE_CHECKING:
    from builders.uri import Place


def digest_of(model: Place | tuple[Place, ...]) -> str:
    """SHA-256 in hex of a single file, over its bytes; of a folder or of several files, over all names and bytes."""
    if isinstance(model, tuple):
        return _file_digest(model[0]).hex() if len(model) == 1 else _named((path.name, path) for path in sorted(model))
    if model.is_file():
        return _file_digest(model).hex()
    files = sorted(path for path in model.rglob("*") if path.is_file())
    return _named((relative(path, model), path) for path in files)


def _named(files: Iterable[tuple[str, Place]]) -> str:
    whole = hashlib.sha256()
    for name, path in files:
        whole.update(name.encode() + b"\0")
        whole.update(_file_digest(path))
    return whole.hexdigest()


def _file_digest(file: Place) -> bytes:
    whole = hashlib.sha256()
    with file.open("rb") as opened:
        while part := opened.read(1 << 20):  # weights have gigabytes
            whole.update(part)
    return whole.digest()
