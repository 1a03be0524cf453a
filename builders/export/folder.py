"""The folder that an export writes: files that appear whole, and images that are written once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders.export.samples import Sample
from schemas.errors import BuildError, UserError

_UNFINISHED = ".part"


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A place to write into; what lies there moves to `folder` when the block ends well, folders first.

    So a reader who finds the list finds its images. Nothing is left when the block raises. Raises UserError where
    `folder` is there and not empty, BuildError where the disk is full or refuses.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"export: {folder} is not an empty folder; give another")
    made = not folder.exists()
    unfinished = folder / _UNFINISHED
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        for path in sorted(unfinished.iterdir(), key=lambda path: (path.is_file(), path.name)):
            path.replace(folder / path.name)
        unfinished.rmdir()
    except BaseException as error:
        shutil.rmtree(folder if made else unfinished, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        told = f"could not write {folder}: {error.strerror or error}"
        raise BuildError(f"export: {told}; mend that and run the same command again") from error


class Images:
    """Writes the samples' images into `folder`; samples of one photo that follow each other share its file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._last: tuple[str, bytes] | None = None

    def add(self, sample: Sample) -> str:
        """The name of the file that holds the sample's image: its parent's key, or its own where that is taken."""
        extension, image = image_of(sample)
        if self._last and self._last[1] == image and self._last[0].endswith(f".{extension}"):
            return self._last[0]
        name = f"{sample.parent}.{extension}"
        if (self._folder / name).exists():
            name = f"{sample.key}.{extension}"
        (self._folder / name).write_bytes(image)
        self._last = name, image
        return name


def image_of(sample: Sample) -> tuple[str, bytes]:
    """A sample's image: the extension that tells its format, and its bytes."""
    (extension,) = sample.parts.keys() - {"json", "txt"}
    return extension, sample.parts[extension]
