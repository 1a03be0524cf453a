"""One place for everything that a dataset writes and reads: a file appears whole or not at all.

Locally that is a temporary file and `os.replace`, on an object store a finished upload. Nothing is renamed or appended
to, so that both can do it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from builders.places.several import each_of_many
from builders.shards.local_files import LocalFiles
from builders.uri import place_of
from schemas.errors import UserError

if TYPE_CHECKING:
    from builders.places.remote import RemotePath
    from builders.uri import Place


class Files(Protocol):
    """What the disk and an object store each do in their own way; by path relative to the root."""

    def put(self, path: str, check: Callable[[], None]) -> AbstractContextManager[IO[bytes]]: ...
    def read(self, path: str) -> bytes: ...
    def read_each(self, paths: Sequence[str]) -> Iterator[bytes]: ...
    def open(self, path: str) -> IO[bytes]: ...
    def exists(self, path: str) -> bool: ...
    def list_below(self, folder: str) -> list[str]: ...
    def times(self, folder: str) -> dict[str, float]: ...
    def delete(self, path: str, check: Callable[[], None]) -> None: ...
    def delete_empty(self, folder: str) -> None: ...
    def is_empty(self, but: Sequence[str]) -> bool: ...
    def sweep(self) -> None: ...
    def list(self, folder: str) -> list[str]: ...


class Store:
    """The files of one dataset, by path relative to its root.

    On an object store every method raises UserError where bucket, region or credentials are wrong, and BuildError where
    the store answers with errors to the end. `check` is called when a file is about to appear or to be deleted, before
    each try; a store that is sent to another process is without it. `field` is what errors call an address that cannot
    be one.
    """

    def __init__(self, uri: str | Place, check: Callable[[], None] = lambda: None, field: str = "--out") -> None:
        self.root: Place = (dataset_place(uri, field) if isinstance(uri, str) else uri).resolve()
        self._check = check
        self._files: Files = LocalFiles(self.root) if isinstance(self.root, Path) else _remote(self.root)

    def __str__(self) -> str:
        return str(self.root)

    def __reduce__(self) -> tuple[type[Store], tuple[Place]]:
        return Store, (self.root,)

    def below(self, folder: str) -> Store:
        """The store of a folder of this one."""
        return Store(self.root / folder, self._check)

    def guarded(self, check: Callable[[], None]) -> Store:
        """The same files, each of which appears or is deleted only after `check`, which may raise."""
        return Store(self.root, check)

    def put(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """A file to write; it appears at `path` when the block ends well, and leaves no trace when it raises.

        Raises BuildError where the disk is full or refuses.
        """
        return self._files.put(path, self._check)

    def put_bytes(self, path: str, data: bytes) -> None:
        with self.put(path) as file:
            file.write(data)

    def read_bytes(self, path: str) -> bytes:
        return self._files.read(path)

    def read_each(self, paths: Sequence[str]) -> Iterator[bytes]:
        """What each of many small files holds, in order; on an object store several are on their way at once."""
        return self._files.read_each(paths)

    def open(self, path: str) -> IO[bytes]:
        """The file at `path`, to read and seek."""
        return self._files.open(path)

    def exists(self, path: str) -> bool:
        return self._files.exists(path)

    def list_below(self, folder: str) -> list[str]:
        """The paths of whatever lies in `folder` and its subfolders, sorted. A link is told and not followed.

        Raises OSError where a folder cannot be looked into.
        """
        return self._files.list_below(folder)

    def times(self, folder: str) -> dict[str, float]:
        """When each file in `folder` was written: seconds since 1970, by the clock of what it lies on."""
        return self._files.times(folder)

    def delete(self, path: str) -> None:
        self._files.delete(path, self._check)

    def delete_each(self, paths: Sequence[str]) -> None:
        """Delete many files, in no order on an object store, where several requests are on their way at once."""
        deque(each_of_many(self.root, paths, self.delete), maxlen=0)

    def delete_empty(self, folder: str) -> None:
        """Remove a folder of the disk if nothing is in it. On S3, an empty object may stay, as `data/`: no file."""
        self._files.delete_empty(folder)

    def is_empty(self, but: Sequence[str] = ()) -> bool:
        """Whether nothing at all lies at the root, whoever wrote it, except what is named `but`."""
        return self._files.is_empty(but)

    def sweep(self) -> None:
        """Remove what writers of this machine left behind when they were killed."""
        self._files.sweep()

    def list(self, folder: str) -> list[str]:
        """The paths of the files in `folder`, sorted; none where there is no such folder."""
        return self._files.list(folder)


def dataset_place(uri: str, field: str = "--out") -> Place:
    """Where a dataset lies. Nothing is looked up there. Raises UserError, which names `field`, where none can lie."""
    if not uri or uri.startswith("package://"):
        raise UserError(f"{field} {uri!r}: a dataset cannot be there; give a folder")
    return place_of(uri, field)


def _remote(root: RemotePath) -> Files:
    from builders.shards.remote_files import RemoteFiles  # pyarrow's file systems

    return RemoteFiles(root)
