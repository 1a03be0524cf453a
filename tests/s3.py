"""A real S3 server on loopback (moto's), and a proxy before it that does to requests what clouds do on bad days."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

FAULTS = ("500", "503", "reset", "timeout", "truncate")
KEYS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "of no worth",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""The environment of who uses the server, beside AWS_ENDPOINT_URL."""

_SERVE = """
import sys, threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
_ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>injected</Message></Error>"

_CODES = {"301": b"PermanentRedirect", "403": b"AccessDenied", "500": b"InternalError", "503": b"SlowDown"}

Fault = Callable[[str, str], str | None]
"""What happens to a request, by method and path: one of FAULTS, "301", "403", or None."""


@dataclass
class Proxy:
    """Counts and harms what passes. `fault` may be exchanged at any time."""

    upstream: int
    fault: Fault = lambda method, path: None
    port: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    """Requests by method."""
    done: Counter[str] = field(default_factory=Counter)
    """Faults by kind."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calm(self) -> None:
        """No faults from now on, and nothing counted."""
        self.fault = lambda method, path: None
        self.seen.clear()
        self.done.clear()

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        tasks: set[asyncio.Task[None]] = set()

        async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await self._pass(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                tasks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(one, "127.0.0.1", 0, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path = head.split(b" ", 2)[:2]
        told = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        self.seen[method.decode()] += 1
        kind = self.fault(method.decode(), path.decode())
        if kind:
            self.done[kind] += 1
        if kind == "reset":
            return
        if told.get(b"expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await _body(reader, told)
        if kind == "timeout":
            await reader.read()  # until the other side gives up
            return
        if kind in _CODES:
            code = _CODES[kind]
            error = _ERROR % code
            writer.write(
                f"HTTP/1.1 {kind} {code.decode()}\r\nContent-Type: application/xml\r\n"
                f"Content-Length: {len(error)}\r\nConnection: close\r\n\r\n".encode()
                + (b"" if method == b"HEAD" else error)
            )
        else:
            answer = await self._ask(head, body)
            if kind == "truncate":
                start = answer.index(b"\r\n\r\n") + 4
                answer = answer[: start + (len(answer) - start) // 2]
            writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith((b"expect:", b"connection:"))]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            writer.write(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


async def _body(reader: asyncio.StreamReader, told: dict[bytes, bytes]) -> bytes:
    if b"chunked" in told.get(b"transfer-encoding", b""):
        body = b""
        while not body.endswith(b"0\r\n\r\n"):
            body += await reader.readuntil(b"\r\n")
            body += await reader.readexactly(int(body.rsplit(b"\r\n", 2)[-2].split(b";")[0], 16) + 2)
        return body
    return await reader.readexactly(int(told.get(b"content-length", b"0")))


def sometimes(share: float, seed: int = 0, kinds: tuple[str, ...] = FAULTS) -> Fault:
    """A fault at random, for a share of the requests."""
    dice = random.Random(seed)
    return lambda method, path: dice.choice(kinds) if dice.random() < share else None


@dataclass(frozen=True)
class S3:
    """The server, and how it is reached: directly, or through the proxy."""

    port: int
    proxy: Proxy

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bucket(self) -> str:
        """A new bucket."""
        name = f"tests-{uuid.uuid4().hex[:12]}"
        made = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        urllib.request.urlopen(made, timeout=30).close()
        return name


@contextlib.contextmanager
def serving() -> Iterator[S3]:
    """The server, in a process of its own, and the proxy."""
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdin and server.stdout
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()
    try:
        port = int(server.stdout.readline())
        proxy = Proxy(port)
        thread = threading.Thread(target=loop.run_until_complete, args=(proxy.serve(ready, stop),))
        thread.start()
        try:
            ready.wait(30)
            yield S3(port, proxy)
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(30)
            loop.close()
    finally:
        server.stdin.close()
        server.kill()
        server.wait(30)
        server.stdout.close()
