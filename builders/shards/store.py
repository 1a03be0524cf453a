"""One place for everything that a dataset writes and reads: a file appears whole or not at all.

Assumes neither rename across folders nor append of whatever lies beneath, so that an object store can take the
place of the local disk: locally a temporary file and `os.replace`, there a finished upload.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from builders.uri import local_path
from schemas.errors import BuildError, UserError

_TEMPORARY = ".tmp"


class Store:
    """The files of one dataset, by path relative to its root."""

    def __init__(self, uri: str | Path) -> None:
        if not str(uri) or str(uri).startswith("package://"):
            raise UserError(f"--out {str(uri)!r}: a dataset cannot be there; give a folder")
        self.root = local_path(str(uri), "--out").resolve()

    def __str__(self) -> str:
        return str(self.root)

    @contextmanager
    def put(self, path: str) -> Iterator[IO[bytes]]:
        """A file to write; it appears at `path` when the block ends well, and leaves no trace when it raises.

        Raises BuildError where the disk is full or refuses.
        """
        target = self.root / path
        temporary = self.root / _TEMPORARY / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with _opened(temporary) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise BuildError(
                f"could not write {target}: {error.strerror or error}; mend that and run the same command again"
            ) from error
        finally:
            with suppress(OSError):  # where nothing could be written, there is nothing to remove
                temporary.unlink(missing_ok=True)

    def put_bytes(self, path: str, data: bytes) -> None:
        with self.put(path) as file:
            file.write(data)

    def read_bytes(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def open(self, path: str) -> IO[bytes]:
        """The file at `path`, to read and seek."""
        return (self.root / path).open("rb")

    def exists(self, path: str) -> bool:
        return (self.root / path).exists()

    def list_below(self, folder: str) -> list[str]:
        """The paths of whatever lies in `folder` and its subfolders, sorted. A link is told and not followed.

        Raises OSError where a folder cannot be looked into.
        """
        found = []
        for base, folders, files in os.walk(self.root / folder, onerror=_refuse):
            links = [name for name in folders if Path(base, name).is_symlink()]
            found += [Path(base, name).relative_to(self.root).as_posix() for name in files + links]
        return sorted(found)

    def list(self, folder: str) -> list[str]:
        """The paths of the files in `folder`, sorted; none where there is no such folder."""
        try:
            entries = list(os.scandir(self.root / folder))
        except FileNotFoundError:
            return []
        return sorted(f"{folder}/{entry.name}" for entry in entries if entry.is_file())

    def delete(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)

    def delete_empty(self, folder: str) -> None:
        """Remove a folder if nothing is in it."""
        with suppress(OSError):
            (self.root / folder).rmdir()

    def is_empty(self, but: Sequence[str] = ()) -> bool:
        """Whether nothing at all lies at the root, whoever wrote it, except what is named `but`."""
        if self.root.exists() and not self.root.is_dir():
            raise UserError(f"--out {self}: is a file; give a folder")
        return not self.root.exists() or all(path.name in but for path in self.root.iterdir())

    def sweep(self) -> None:
        """Remove what writers of this machine left behind when they were killed."""
        folder = self.root / _TEMPORARY
        for file in list(folder.iterdir()) if folder.exists() else ():
            host, pid, _ = file.name.rsplit("-", 2) if file.name.count("-") >= 2 else ("", "", "")
            if host == socket.gethostname() and pid.isdecimal() and not _alive(int(pid)):
                file.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: somebody is writing
            folder.rmdir()


def _opened(path: Path) -> IO[bytes]:
    """A new file; its folder may be swept away in the moment before."""
    for _ in range(100):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return path.open("wb")
    return path.open("wb")


def _refuse(error: OSError) -> None:
    """For `os.walk`, which goes on in silence where a folder cannot be read: only one that is not there is empty."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
