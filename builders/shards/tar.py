"""A deterministic tar writer: plain ustar, fixed owner, mode and time, members in the order given.

The same members give the same bytes on any machine. Written for this because `webdataset.TarWriter` goes through
`tarfile`, at less than half the speed (see benchmarks/), and tells no offsets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

BLOCK = 512
NAME_MAX = 100
"""Bytes of a member's name in a plain ustar header."""


_MODE_OWNER = b"0000644\0" + b"0000000\0" * 2
_MTIME = b"\0" + b"00000000000\0"
_TAIL = (b"0" + b"\0" * 100 + b"ustar\00000").ljust(BLOCK - 156, b"\0")
_CONSTANT_SUM = sum(_MODE_OWNER) + sum(_MTIME) + sum(_TAIL) + 8 * ord(" ")
_ZEROS = b"\0" * BLOCK
_SMALL = 1 << 16
"""Bytes up to which a payload is copied, to go out in one piece with what stands before it."""


class Sha256Writer:
    """Passes bytes on to a file, counts and hashes them."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


@dataclass(frozen=True)
class Member:
    """Where one member's payload lies in the tar: `offset` and `size` in bytes."""

    name: str
    offset: int
    size: int


def header(name: bytes, size: int) -> bytes:
    """The ustar header block of a regular file (POSIX.1-1988: mode 0644, owner 0, mtime 0)."""
    if len(name) > NAME_MAX:
        raise ValueError(f"member name of {len(name)} bytes is longer than {NAME_MAX}: {name!r}")
    if size >= 8**11:
        raise ValueError(f"member of {size} bytes is too large for a plain ustar header")
    digits = b"%011o" % size
    checksum = _CONSTANT_SUM + sum(name) + sum(digits)
    return b"".join((name.ljust(NAME_MAX, b"\0"), _MODE_OWNER, digits, _MTIME, b"%06o\0 " % checksum, _TAIL))


class TarWriter:
    """Streams members into `file` (anything with `write`)."""

    def __init__(self, file: Sha256Writer) -> None:
        self._file = file
        self._small: list[bytes | memoryview] = []
        self._waiting = 0
        self.offset = file.size
        """Where the next member's header starts, in bytes."""

    def add(self, name: str, data: bytes | memoryview) -> Member:
        """Append one regular file."""
        size = len(data)
        head, offset = header(name.encode("utf-8"), size), self.offset + BLOCK
        padding = -size % BLOCK
        if size <= _SMALL:
            self._wait(head, data, _ZEROS[:padding])
        else:
            self._wait(head)
            self._flush()
            self._file.write(data)
            self._wait(_ZEROS[:padding])
        self.offset = offset + size + padding
        return Member(name, offset, size)

    def close(self) -> None:
        """Write the end-of-archive mark: two empty blocks."""
        self._wait(_ZEROS, _ZEROS)
        self._flush()

    def _wait(self, *parts: bytes | memoryview) -> None:
        self._small += parts
        self._waiting += sum(map(len, parts))
        if self._waiting > _SMALL:
            self._flush()

    def _flush(self) -> None:
        self._file.write(b"".join(self._small))
        self._small, self._waiting = [], 0


def read_members(tar: IO[bytes], key: str, members: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """What a sample's members hold, by extension, from the places that the index tells; less where a tar is cut."""
    parts = {}
    for member in members:
        tar.seek(member["offset"])
        parts[member["name"].removeprefix(f"{key}.")] = tar.read(member["size"])
    return parts
