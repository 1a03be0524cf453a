"""A dataset's files on the local disk: written to a temporary file, then `os.replace`."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from schemas.errors import BuildError, UserError

_TEMPORARY = ".tmp"


@dataclass(frozen=True)
class LocalFiles:
    """See builders.shards.store.Files."""

    root: Path

    @contextmanager
    def put(self, path: str, check: Callable[[], None]) -> Iterator[IO[bytes]]:
        target = self.root / path
        temporary = self.root / _TEMPORARY / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with _opened(temporary) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            check()
            temporary.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise BuildError(
                f"could not write {target}: {error.strerror or error}; mend that and run the same command again"
            ) from error
        finally:
            with suppress(OSError):  # where nothing could be written, there is nothing to remove
                temporary.unlink(missing_ok=True)

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def read_each(self, paths: Sequence[str]) -> Iterator[bytes]:
        return map(self.read, paths)

    def open(self, path: str) -> IO[bytes]:
        return (self.root / path).open("rb")

    def exists(self, path: str) -> bool:
        return (self.root / path).exists()

    def times(self, folder: str) -> dict[str, float]:
        found = {}
        for path in self.list(folder):
            with suppress(FileNotFoundError):  # gone since
                found[path] = (self.root / path).stat().st_mtime
        return found

    def list_below(self, folder: str) -> list[str]:
        found = []
        for base, folders, files in os.walk(self.root / folder, onerror=_refuse):
            links = [name for name in folders if Path(base, name).is_symlink()]
            found += [Path(base, name).relative_to(self.root).as_posix() for name in files + links]
        return sorted(found)

    def delete(self, path: str, check: Callable[[], None]) -> None:
        check()
        (self.root / path).unlink(missing_ok=True)

    def delete_empty(self, folder: str) -> None:
        with suppress(OSError):
            (self.root / folder).rmdir()

    def is_empty(self, but: Sequence[str]) -> bool:
        if self.root.exists() and not self.root.is_dir():
            raise UserError(f"{self.root}: is a file; give a folder")
        return not self.root.exists() or all(path.name in but for path in self.root.iterdir())

    def sweep(self) -> None:
        folder = self.root / _TEMPORARY
        for file in list(folder.iterdir()) if folder.exists() else ():
            host, pid, _ = file.name.rsplit("-", 2) if file.name.count("-") >= 2 else ("", "", "")
            if host == socket.gethostname() and pid.isdecimal() and not _alive(int(pid)):
                file.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: somebody is writing
            folder.rmdir()

    def list(self, folder: str) -> list[str]:
        try:
            entries = list(os.scandir(self.root / folder))
        except FileNotFoundError:
            return []
        return sorted(f"{folder}/{entry.name}" for entry in entries if entry.is_file())


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
