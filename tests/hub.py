"""The hub's cache on this machine, empty, and files that were fetched to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Hub = Callable[[str, str], None]
"""Puts a file of a repository there, as if it had been fetched."""

_COMMIT = "0" * 40


def put(cache: Path, repository: str, name: str) -> None:
    folder = cache / f"models--{repository.replace('/', '--')}"
    for part in ("refs", f"snapshots/{_COMMIT}"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(_COMMIT)
    (folder / "snapshots" / _COMMIT / name).write_bytes(b"")
