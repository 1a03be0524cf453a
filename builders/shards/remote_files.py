"""A dataset's files on an object store: written to the local disk, then put there in one finished upload."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from builders.places.persist import refused
from builders.places.remote import RemotePath
from builders.places.several import each_of_many
from schemas.errors import BuildError


@dataclass(frozen=True)
class RemoteFiles:
    """See builders.shards.store.Files. Where the store refuses, the whole command cannot go on: UserError.

    On Azure, pyarrow makes an empty file before it uploads: there, a file without bytes is one that is not there yet.
    """

    root: RemotePath

    @property
    def begins_empty(self) -> bool:
        return self.root.address.scheme == "az"

    @contextmanager
    def put(self, path: str, check: Callable[[], None]) -> Iterator[IO[bytes]]:
        target = self.root / path
        try:
            with target.written(check) as file:
                yield file
        except PermissionError as error:
            raise refused(error) if error.filename == str(target) else _unwritable(target, error) from None
        except OSError as error:
            raise _unwritable(target, error) from error

    def read(self, path: str) -> bytes:
        with _told():
            data = (self.root / path).read_bytes()
        if self.begins_empty and not data:
            raise FileNotFoundError(2, "No such file yet", f"{self.root / path}")
        return data

    def read_each(self, paths: Sequence[str]) -> Iterator[bytes]:
        return each_of_many(self.root, paths, self.read)

    def open(self, path: str) -> IO[bytes]:
        with _told():
            return (self.root / path).open()

    def exists(self, path: str) -> bool:
        with _told():
            there = (self.root / path).exists()
            return there and not (self.begins_empty and (self.root / path).stat().st_size == 0)

    def times(self, folder: str) -> dict[str, float]:
        with _told():
            found = (self.root / folder).below(recursive=False)
            return {f"{folder}/{path.name}": stat.st_mtime for path, stat in found}

    def list_below(self, folder: str) -> list[str]:
        with _told():
            return sorted(path.relative_to(self.root).as_posix() for path, _ in (self.root / folder).below())

    def delete(self, path: str, check: Callable[[], None]) -> None:
        with _told():
            (self.root / path).unlink(missing_ok=True, check=check)

    def delete_empty(self, folder: str) -> None:
        """There are no folders. On S3, pyarrow leaves an empty object `folder/` where it has deleted a file, which no
        listing of ours tells; it could only remove it together with all that somebody puts there meanwhile."""

    def is_empty(self, but: Sequence[str]) -> bool:
        with _told():
            if any(path.name not in but for path, _ in self.root.below(recursive=False)):
                return False
            return all(path.relative_to(self.root).parts[0] in but for path, _ in self.root.below())

    def sweep(self) -> None:
        """What a killed writer had begun to upload is nowhere to be seen, and its spool had no name."""

    def list(self, folder: str) -> list[str]:
        with _told():
            found = list((self.root / folder).below(recursive=False))
        return sorted(f"{folder}/{path.name}" for path, stat in found if stat.st_size or not self.begins_empty)


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
