"""A dataset's files on an object store: written to the local disk, then put there in one finished upload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from builders.places.persist import refused
from builders.places.remote import RemotePath
from builders.places.several import each
from schemas.errors import BuildError

_IN_MEMORY = 1000
"""Small files that may have come before they are looked at."""


@dataclass(frozen=True)
class RemoteFiles:
    """See builders.shards.store.Files. Where the store refuses, the whole command cannot go on: UserError."""

    root: RemotePath

    @contextmanager
    def put(self, path: str) -> Iterator[IO[bytes]]:
        target = self.root / path
        try:
            with target.written() as file:
                yield file
        except PermissionError as error:
            raise refused(error) if error.filename == str(target) else _unwritable(target, error) from None
        except OSError as error:
            raise _unwritable(target, error) from error

    def read(self, path: str) -> bytes:
        with _told():
            return (self.root / path).read_bytes()

    def read_each(self, paths: Sequence[str]) -> Iterator[bytes]:
        for start in range(0, len(paths), _IN_MEMORY):
            yield from each(self.root, paths[start : start + _IN_MEMORY], self.read)

    def open(self, path: str) -> IO[bytes]:
        with _told():
            return (self.root / path).open()

    def exists(self, path: str) -> bool:
        with _told():
            return (self.root / path).exists()

    def times(self, folder: str) -> dict[str, float]:
        with _told():
            found = (self.root / folder).below(recursive=False)
            return {f"{folder}/{path.name}": stat.st_mtime for path, stat in found}

    def _here(self) -> list[str]:
        with _told():
            return [path.name for path, _ in self.root.below(recursive=False)]

    def list_below(self, folder: str) -> list[str]:
        with _told():
            return sorted(path.relative_to(self.root).as_posix() for path, _ in (self.root / folder).below())

    def delete(self, path: str) -> None:
        with _told():
            (self.root / path).unlink(missing_ok=True)

    def delete_empty(self, folder: str) -> None:
        """There are no folders."""

    def is_empty(self, but: Sequence[str]) -> bool:
        with _told():
            if any(path.name not in but for path, _ in self.root.below(recursive=False)):
                return False
            return all(path.relative_to(self.root).parts[0] in but for path, _ in self.root.below())

    def sweep(self) -> None:
        """What a killed writer had begun to upload is nowhere to be seen, and its spool had no name."""

    def list(self, folder: str) -> list[str]:
        return sorted(self.times(folder)) if folder != "." else sorted(f"./{name}" for name in self._here())


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise refused(error) from None


def _unwritable(target: RemotePath, error: OSError) -> BuildError:
    """As where the disk under the spool is full."""
    why = error.strerror or error
    return BuildError(f"could not write {target}: {why} (TMPDIR?); mend that and run the same command again")
