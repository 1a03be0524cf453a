"""What identifies a model on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path


def folder_digest(folder: Path) -> str:
    """SHA-256 in hex over the names and bytes of all files in a folder; of a single file, over its bytes."""
    if folder.is_file():
        return _file_digest(folder).hex()
    whole = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(file.relative_to(folder).as_posix().encode() + b"\0")
        whole.update(_file_digest(file))
    return whole.hexdigest()


def _file_digest(file: Path) -> bytes:
    with file.open("rb") as opened:  # weights have gigabytes
        return hashlib.file_digest(opened, "sha256").digest()
