"""What identifies a model on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest_of(model: Path | tuple[Path, ...]) -> str:
    """SHA-256 in hex of a single file, over its bytes; of a folder or of several files, over all names and bytes."""
    if isinstance(model, tuple):
        return _file_digest(model[0]).hex() if len(model) == 1 else _named((path.name, path) for path in sorted(model))
    if model.is_file():
        return _file_digest(model).hex()
    files = sorted(path for path in model.rglob("*") if path.is_file())
    return _named((path.relative_to(model).as_posix(), path) for path in files)


def _named(files: Iterable[tuple[str, Path]]) -> str:
    whole = hashlib.sha256()
    for name, path in files:
        whole.update(name.encode() + b"\0")
        whole.update(_file_digest(path))
    return whole.hexdigest()


def _file_digest(file: Path) -> bytes:
    with file.open("rb") as opened:  # weights have gigabytes
        return hashlib.file_digest(opened, "sha256").digest()
