"""The sizes of files that data names: each asked for on a disk, all listed at once on an object store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builders.uri import Place


class Sizes:
    """Of the files in a folder and its folders, by relative path."""

    def __init__(self, folder: Place) -> None:
        self._folder = folder

    def of(self, name: str) -> int | None:
        """Bytes of a file; None where it is missing."""
        if not isinstance(self._folder, Path):
            return self._listed.get(str((self._folder / name).relative_to(self._folder)))
        try:
            return (self._folder / name).stat().st_size
        except (OSError, ValueError):  # ValueError: a name that no file can have
            return None

    def first(self, names: Sequence[str]) -> str | None:
        """The first of several names that is a file."""
        if not isinstance(self._folder, Path):
            return next((name for name in names if self.of(name) is not None), None)
        return next((name for name in names if _is_file(self._folder / name)), None)

    @cached_property
    def _listed(self) -> Mapping[str, int]:
        assert not isinstance(self._folder, Path)
        return {str(path.relative_to(self._folder)): stat.st_size for path, stat in self._folder.below()}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
