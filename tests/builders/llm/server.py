"""An OpenAI-compatible API in one thread, on loopback, that does what a script says: answers, limits, faults.

`with serve(script) as api:` and ask `api.base_url`. The script is asked about each request (`Seen`) and gives a `Reply`
(`replies.py`); it runs in the server's thread, and decides by what came and how often. Requests may come from any
process. HTTP/1.1 is written by hand, so that broken answers can be given byte for byte.

A client that goes away ends its request and nothing else. A fault of the server or the script is raised when the
context is left.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from socket import create_server, socket
from typing import Any

from tests.builders.llm.replies import Reply

END = b"\r\n\r\n"


@dataclass
class Seen:
    """A request as it came in."""

    path: str
    """With the base's: /v1/chat/completions."""
    headers: dict[str, str]
    """Under lower-case names."""
    raw: bytes
    """The body as it was sent."""
    times: int
    """How often this path and body have come, this time included."""
    number: int
    """Its place among all requests, from 1."""
    connection: int
    """The number of the TCP connection, from 1."""
    at: float
    """When its last byte was read, by `time.monotonic()`."""
    answered: bool = False
    """Whether the last byte of the reply has been handed to the system."""

    @property
    def body(self) -> Any:
        """Parsed."""
        return json.loads(self.raw)

    @property
    def prompt(self) -> Any:
        """The content of the last message."""
        return self.body["messages"][-1]["content"]


Script = Callable[[Seen], Reply]


@dataclass
class Api:
    """The server as a test sees it, while it runs and afterwards. The server's thread appends, whoever likes reads."""

    port: int
    requests: list[Seen] = field(default_factory=list)
    most: int = 0
    """The greatest number of requests that waited for their last byte at the same moment. Without a delay, a request is
    answered before the next one is read."""
    most_connections: int = 0
    """The greatest number of connections that were open at the same moment."""
    connections: int = 0
    """That are open."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def serve(script: Script) -> Iterator[Api]:
    """Serves until the context is left, which closes all connections, whatever they are waiting for."""
    with create_server(("127.0.0.1", 0), backlog=1024) as listener:
        api = Api(listener.getsockname()[1])
        server = _Server(api, script)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=server.run, args=(loop, listener), name="test API", daemon=True)
        thread.start()
        try:
            yield api
        finally:
            loop.call_soon_threadsafe(server.stop.set)
            thread.join(5)
            assert not thread.is_alive(), "the test API does not end"
    assert not server.faults, "\n".join(server.faults)


class _Server:
    """What runs in the thread."""

    def __init__(self, api: Api, script: Script) -> None:
        self.api = api
        self.script = script
        self.stop = asyncio.Event()
        self.faults: list[str] = []
        self.connections: set[_Connection] = set()
        self.numbers = itertools.count(1)
        self.times: Counter[tuple[str, bytes]] = Counter()
        self.waiting = 0

    def run(self, loop: asyncio.AbstractEventLoop, listener: socket) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self, next(self.numbers)), sock=listener, backlog=1024)
        await self.stop.wait()
        server.close()
        answering = [one.task for one in self.connections if one.task]
        for one in list(self.connections):
            one.transport.abort()
        await asyncio.gather(*answering, return_exceptions=True)
        await asyncio.sleep(0)  # in which the transports close their sockets


class _Connection(asyncio.Protocol):
    """One request after the other. Loses its connection: whatever it was answering ends."""

    transport: asyncio.Transport

    def __init__(self, server: _Server, number: int) -> None:
        self._server, self._number = server, number
        self._unread = bytearray()
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.connections.add(self)
        self._count()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._count()
        if self.task:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if not self._unread[:1].isalpha():
            self.transport.abort()  # no HTTP: a TLS handshake, say
        elif self.task is None:
            self._next()

    def _count(self) -> None:
        api, now = self._server.api, len(self._server.connections)
        api.connections, api.most_connections = now, max(api.most_connections, now)

    def _next(self) -> None:
        """Begin to answer, if a whole request is there."""
        try:
            seen = self._read()
            if seen:
                self.task = asyncio.get_running_loop().create_task(self._answer(seen))
                self.task.add_done_callback(self._done)
        except Exception:
            self._server.faults.append(traceback.format_exc())
            self.transport.abort()

    def _read(self) -> Seen | None:
        head, end, rest = self._unread.partition(END)
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return None
        self._unread = rest[length:]
        path, raw, server = first.split(" ")[1], bytes(rest[:length]), self._server
        server.times[path, raw] += 1
        nth = len(server.api.requests) + 1
        seen = Seen(path, headers, raw, server.times[path, raw], nth, self._number, time.monotonic())
        server.api.requests.append(seen)
        return seen

    async def _answer(self, seen: Seen) -> None:
        server = self._server
        server.waiting += 1
        server.api.most = max(server.api.most, server.waiting)
        try:
            await self._send(server.script(seen))
            seen.answered = True
        finally:
            server.waiting -= 1

    async def _send(self, reply: Reply) -> None:
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.silent:
            if not reply.closes:
                await asyncio.Event().wait()
            self.transport.abort()
            return
        if reply.raw is not None:
            self.transport.write(reply.raw)
            self.transport.close()
            return
        length = len(reply.body) if reply.announced is None else reply.announced
        headers = (*reply.headers, ("Content-Length", str(length)))
        known = reply.status in {one.value for one in HTTPStatus}
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase if known else 'Whatever'}"]
        lines += [f"{name}: {value}" for name, value in headers]
        head = "\r\n".join(lines).encode("utf-8", "surrogateescape") + END
        if reply.pause:
            self.transport.write(head)
            for byte in reply.body:
                self.transport.write(bytes([byte]))
                await asyncio.sleep(reply.pause)
        else:
            self.transport.write(head + reply.body)
        if reply.announced is not None or reply.closes:
            self.transport.close()

    def _done(self, task: asyncio.Task[None]) -> None:
        self.task = None
        if task.cancelled():
            return
        if error := task.exception():
            self._server.faults.append("".join(traceback.format_exception(error)))
            self.transport.abort()
        elif self._unread and not self.transport.is_closing():
            self._next()
