"""The routes of the test server that are given byte for byte: slow, endless, broken off, lying, or no HTTP at all.

Each tells with its result whether the connection stays open for a next request. One that would never end is cancelled
when its client goes away. `STREAMED` names them all.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from asyncio import StreamWriter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.builders.acquire import bodies
from tests.builders.acquire.answers import Answer, Asked, head, picture

BLOCK = 1 << 16
OPEN, CLOSE = True, False


@dataclass(frozen=True)
class Wire:
    """The way to one client."""

    writer: StreamWriter

    async def send(self, data: bytes) -> None:
        """Returns when the system has taken all of it, which waits for the client to read. Lets others go first, for
        a client that keeps up never makes `drain` wait, nor does one that has left a TLS connection."""
        await asyncio.sleep(0)
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """RST in place of FIN."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def _silent(asked: Asked, wire: Wire) -> bool:
    await asyncio.Event().wait()
    return CLOSE


async def _slow(asked: Asked, wire: Wire) -> bool:
    """One byte of the picture every 1/rate seconds: at the default rate it takes longer than any test."""
    await wire.send(picture().head())
    for byte in bodies.picture():
        await wire.send(bytes([byte]))
        await asyncio.sleep(1 / float(asked.query.get("rate", 10)))
    return OPEN


async def _headers_slow(asked: Asked, wire: Wire) -> bool:
    await wire.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await wire.send(b"X-Patience: please\r\n")
        await asyncio.sleep(0.2)


async def _endless(asked: Asked, wire: Wire) -> bool:
    await wire.send(head(200, ("Content-Type", "image/jpeg"), ("Transfer-Encoding", "chunked")))
    data = bodies.picture()
    while True:
        await wire.send(b"%x\r\n%b\r\n" % (len(data), data))
        data = bytes(BLOCK)


async def _short(asked: Asked, wire: Wire) -> bool:
    """Half of the picture under the length of the whole, then FIN."""
    await wire.send(picture().head() + bodies.picture()[: len(bodies.picture()) // 2])
    return CLOSE


async def _long(asked: Asked, wire: Wire) -> bool:
    """The whole picture under the length of its half. The connection stays open: a client that uses it again finds the
    rest where it expects an answer."""
    await wire.send(picture().head(len(bodies.picture()) // 2) + bodies.picture())
    return OPEN


async def _huge(asked: Asked, wire: Wire) -> bool:
    """`bytes` announced and sent: a picture, and zeros after it."""
    left = asked.number("bytes", 100 * bodies.MEGABYTE)
    await wire.send(Answer(b"").head(left))
    data = bodies.picture()
    while left > 0:
        await wire.send(data[:left])
        left -= len(data)
        data = bytes(BLOCK)
    return OPEN


async def _huge_lie(asked: Asked, wire: Wire) -> bool:
    """`bytes` announced; nothing comes, and the connection stays as it is."""
    await wire.send(Answer(b"").head(asked.number("bytes", 100 * bodies.MEGABYTE)))
    return await _silent(asked, wire)


async def _cut(asked: Asked, wire: Wire) -> bool:
    """What a client sees when a server ends keep-alive: the second request of a connection is met with FIN."""
    if asked.nth > 1:
        return CLOSE
    await wire.send(picture().encoded())
    return OPEN


async def _reset(asked: Asked, wire: Wire) -> bool:
    await wire.send(picture().head() + bodies.picture()[: len(bodies.picture()) // 2])
    wire.reset()
    return CLOSE


async def _garbage(asked: Asked, wire: Wire) -> bool:
    await wire.send(random.Random(1).randbytes(4096))
    return CLOSE


async def _header_bomb(asked: Asked, wire: Wire) -> bool:
    await wire.send(picture(("X-Bomb", "x" * bodies.MEGABYTE)).encoded())
    return OPEN


async def _many_headers(asked: Asked, wire: Wire) -> bool:
    await wire.send(picture(*((f"X-Header-{number}", "x") for number in range(20_000))).encoded())
    return OPEN


STREAMED: Mapping[str, Callable[[Asked, Wire], Awaitable[bool]]] = {
    "silent": _silent,
    "slow": _slow,
    "headers-slow": _headers_slow,
    "endless": _endless,
    "short": _short,
    "long": _long,
    "huge": _huge,
    "huge-lie": _huge_lie,
    "cut": _cut,
    "reset": _reset,
    "garbage": _garbage,
    "header-bomb": _header_bomb,
    "many-headers": _many_headers,
}
"""By the first part of the path."""
