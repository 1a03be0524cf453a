"""A path on an object store, with what of pathlib.Path the readers use."""

from __future__ import annotations

import fnmatch
import io
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pa_fs

from builders.places.address import Address
from builders.places.filesystem import filesystem
from builders.places.patient import Patient
from builders.places.persist import persist, refused, unasked
from schemas.errors import UserError

AHEAD = 8 << 20
"""Bytes that are asked for at once, at least: what a request takes to begin (30 ms) brings some megabytes, too."""
_seen: set[tuple[Address, str]] = set()
"""The buckets that are known to be there: of a missing one, a store says of each key alone that it is not there."""


@dataclass(frozen=True)
class Stat:
    """Bytes, and seconds since 1970 by the store's clock."""

    st_size: int
    st_mtime: float


@dataclass(frozen=True, order=True)
class RemotePath:
    """`path` begins with the bucket. Folders are what the names of files make them: there is none without a file.

    Methods raise what those of pathlib.Path do, and besides UserError and BuildError as builders.places.persist tells;
    UserError too where the store does not let us ask what lies there.
    """

    path: str
    address: Address
    told: pa_fs.FileType | None = field(default=None, compare=False, repr=False)
    """What a listing told that it is, which is not asked again."""

    def __str__(self) -> str:
        return self.address.uri(self.path)

    def __truediv__(self, below: str) -> RemotePath:
        parts = [part for part in str(below).split("/") if part not in ("", ".")]
        return RemotePath("/".join([self.path, *parts]), self.address)

    @property
    def bucket(self) -> str:
        return self.path.partition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix

    @property
    def parent(self) -> RemotePath:
        return RemotePath(self.path.rpartition("/")[0] or self.path, self.address)

    @property
    def filesystem(self) -> pa_fs.FileSystem:
        return filesystem(self.address, self.bucket)

    def resolve(self) -> RemotePath:
        """Itself: there are no links."""
        return self

    def relative_to(self, other: RemotePath) -> PurePosixPath:
        return PurePosixPath(self.path).relative_to(other.path)

    def exists(self) -> bool:
        return bool(self._info().type != pa_fs.FileType.NotFound)

    def is_file(self) -> bool:
        return bool((self.told or self._info().type) == pa_fs.FileType.File)

    def is_dir(self) -> bool:
        return bool((self.told or self._info().type) == pa_fs.FileType.Directory)

    def stat(self) -> Stat:
        info = self._info()
        if info.type == pa_fs.FileType.NotFound:
            raise FileNotFoundError(2, "No such file", str(self))
        return _stat(info)

    def _info(self) -> pa_fs.FileInfo:
        info = self._told_of(self.path)
        if info.type == pa_fs.FileType.NotFound:
            self._check_bucket()
        else:
            _seen.add((self.address, self.bucket))
        return info

    def _told_of(self, what: str | pa_fs.FileSelector) -> Any:
        """What the store tells of a path, or of all in a folder. Who may not even ask has nothing to go on with."""
        try:
            return persist(str(self), lambda: self.filesystem.get_file_info(what))
        except PermissionError as error:
            raise refused(error) from None

    def _check_bucket(self) -> None:
        """Raises UserError where the bucket itself is missing."""
        if (self.address, self.bucket) in _seen:
            return
        try:
            found = persist(str(self), lambda: self.filesystem.get_file_info(self.bucket)).type
        except PermissionError:  # who may read its files need not be allowed to ask for it
            found = None
        if found == pa_fs.FileType.NotFound:
            raise self._no_bucket()
        _seen.add((self.address, self.bucket))

    def _no_bucket(self) -> UserError:
        return UserError(f"{self}: there is no such bucket; make it, or mend the address")

    def iterdir(self) -> Iterator[RemotePath]:
        """What lies in the folder. One request tells of 1,000."""
        for info in self._select(recursive=False, missing=False):
            yield RemotePath(info.path.rstrip("/"), self.address, info.type)

    def rglob(self, pattern: str) -> Iterator[RemotePath]:
        """Files below the folder whose names match."""
        for path, _ in self.below():
            if fnmatch.fnmatchcase(path.name, pattern):
                yield path

    def below(self, *, recursive: bool = True, missing: bool = True) -> Iterator[tuple[RemotePath, Stat]]:
        """All files in the folder, and of its folders, with what is known of them; `missing`: there may be none."""
        for info in self._select(recursive, missing):
            if info.type == pa_fs.FileType.File:
                yield RemotePath(info.path, self.address, info.type), _stat(info)

    def _select(self, recursive: bool, missing: bool) -> list[pa_fs.FileInfo]:
        selector = pa_fs.FileSelector(self.path, allow_not_found=missing, recursive=recursive)
        found: list[pa_fs.FileInfo] = self._told_of(selector)
        if not found:
            self._check_bucket()
        return found

    def open(self, mode: str = "rb") -> BinaryIO:
        """To read and seek, in ranges of AHEAD bytes."""
        raw: Any = _Ranges(self)
        return io.BufferedReader(raw, AHEAD)

    def read_bytes(self) -> bytes:
        return persist(str(self), self._read)

    def _read(self) -> bytes:
        with self.filesystem.open_input_file(self.path) as file:
            size = file.size()
            data: bytes = file.read()
        if len(data) != size:
            raise OSError(f"{len(data)} of {size} bytes came")
        return data

    def write_bytes(self, data: bytes | mmap.mmap, check: Callable[[], None] = unasked) -> None:
        """Put the whole file there, or nothing. `check`, which may raise, is asked before each try.

        A stream of pyarrow's that is closed while an exception is on its way makes a file of what came before; so it is
        handed everything in one call, which Python cannot interrupt.
        """
        buffer = pa.py_buffer(data)

        def send() -> None:
            stream = self.filesystem.open_output_stream(self.path)
            stream.write(buffer)
            stream.close()

        try:
            persist(str(self), send, check=check)
        except FileNotFoundError:  # what Google says of a bucket
            raise self._no_bucket() from None

    @contextmanager
    def written(self, check: Callable[[], None] = unasked) -> Iterator[IO[bytes]]:
        """A file to write, on this machine's disk (TMPDIR), which is put there whole when the block ends well."""
        with tempfile.TemporaryFile() as spool:
            yield spool
            spool.flush()
            size = os.fstat(spool.fileno()).st_size
            self.write_bytes(mmap.mmap(spool.fileno(), size, access=mmap.ACCESS_READ) if size else b"", check)

    def dataset(self, paths: Sequence[str]) -> ds.Dataset:
        """The Parquet files at `paths`, below it, as one table that is read when it is looked at."""
        files = [(self / path).path for path in paths]
        return ds.dataset(files, filesystem=pa_fs.PyFileSystem(Patient(self)), format="parquet")

    def at(self, path: str) -> RemotePath:
        """Another path of the same store, its bucket first."""
        return RemotePath(path, self.address)

    def ranges(self) -> io.RawIOBase:
        """To read and seek, each read a request of its own."""
        return _Ranges(self)

    def unlink(self, missing_ok: bool = False, check: Callable[[], None] = unasked) -> None:
        try:
            persist(str(self), lambda: self.filesystem.delete_file(self.path), check=check)
        except FileNotFoundError:
            if not missing_ok:
                raise


class _Ranges(io.RawIOBase):
    """A file of a store, whose size is asked for once; each range is asked for until it has come."""

    def __init__(self, path: RemotePath) -> None:
        self._path, self._at = path, 0
        self._file = persist(str(path), lambda: path.filesystem.open_input_file(path.path))
        self._size = self._file.size()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, out: Any) -> int:
        count: int = max(0, min(len(out), self._size - self._at))
        if count:
            data = persist(str(self._path), lambda: self._range(count))
            out[:count] = data
            self._at += count
        return count

    def readall(self) -> bytes:
        """The rest, in one range: the base class asks for 8 KiB at a time."""
        rest = bytearray(max(0, self._size - self._at))
        self.readinto(rest)
        return bytes(rest)

    def _range(self, count: int) -> bytes:
        data: bytes = self._file.read_at(count, self._at)
        if len(data) != count:
            raise OSError(f"{len(data)} of {count} bytes came")
        return data

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _stat(info: pa_fs.FileInfo) -> Stat:
    return Stat(info.size or 0, (info.mtime_ns or 0) / 1e9)
