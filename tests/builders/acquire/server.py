"""The web in one thread: a server on loopback that gives an image downloader every kind of answer, good and bad.

`with serve({"a.jpg": data}) as site:` and ask for `site.base + "/picture/a.jpg"`. The routes are listed in `WHOLE` of
`answers.py` and in `STREAMED` of `streams.py`; `delay=SECONDS` in the query of any of them holds the answer back. All
methods are answered like GET. HTTP/1.1 is written by hand, so that broken answers can be given byte for byte.

A client that goes away, closes its half of the connection included, ends its answer and nothing else. A fault of the
server itself, or a query that a route cannot read, is raised when the context is left.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import threading
import time
import traceback
from asyncio import AbstractEventLoop, StreamReader, StreamWriter
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY, create_server, socket
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from tests.builders.acquire.answers import Asked, whole
from tests.builders.acquire.certificate import write_self_signed
from tests.builders.acquire.streams import CLOSE, OPEN, STREAMED, Wire

Pictures = Mapping[str, bytes] | Callable[[str], bytes | None]


@dataclass(frozen=True)
class Hit:
    """A request as it came in."""

    path: str
    """With its query, as it was sent."""
    host: str
    """The Host header."""
    started: float
    """When it was read, by `time.monotonic()`; a delay comes after that."""
    connection: int
    """The number of the TCP connection, from 1."""
    headers: Mapping[str, str]
    """Under lower-case names; values that came several times are joined by ", "."""

    @property
    def route(self) -> str:
        """The first part of the path: /picture of /picture/a.jpg?delay=1."""
        return "/" + self.path.partition("?")[0].lstrip("/").partition("/")[0]


@dataclass
class Site:
    """The server as a test sees it, while it runs and afterwards."""

    port: int
    scheme: str = "http"
    certificate: str | None = None
    """Of a TLS server, in PEM: `ssl.create_default_context(cadata=site.certificate)` trusts it."""
    hits: list[Hit] = field(default_factory=list)
    most_at_once: int = 0
    """The greatest number of requests that were being answered at the same moment, delays included. Without a delay, an
    answer that is quickly sent is over before the next request is read."""
    most_by_route: dict[str, int] = field(default_factory=dict)
    """The same for each first part of the path, as `Hit.route` has it."""
    most_by_host: dict[str, int] = field(default_factory=dict)
    """The same for each Host header."""

    @property
    def base(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def url(self, path: str, **query: object) -> str:
        """The address of a route, with the query percent-encoded."""
        return f"{self.base}{path}?{urlencode(query)}" if query else self.base + path


@contextmanager
def serve(pictures: Pictures | None = None) -> Iterator[Site]:
    """Serves until the context is left, which closes all connections, whatever they are waiting for."""
    with create_server(("127.0.0.1", 0), backlog=1024) as listener:
        site = Site(listener.getsockname()[1])
        with _serving(site, pictures, listener, None):
            yield site


@contextmanager
def serve_tls(pictures: Pictures | None = None) -> Iterator[Site]:
    """The same over TLS, with a certificate that nobody signed."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "server.pem")
        certificate = write_self_signed(path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
    with create_server(("127.0.0.1", 0), backlog=1024) as listener:
        site = Site(listener.getsockname()[1], "https", certificate)
        with _serving(site, pictures, listener, context):
            yield site


@contextmanager
def _serving(site: Site, pictures: Pictures | None, listener: socket, tls: ssl.SSLContext | None) -> Iterator[None]:
    look_up = pictures if callable(pictures) else (pictures or {}).get
    loop = asyncio.new_event_loop()
    server = _Server(site, look_up)
    thread = threading.Thread(target=server.run, args=(loop, listener, tls), name="test web server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.stop.set)
        thread.join(5)
        assert not thread.is_alive(), "the test web server does not end"
    assert not server.faults, "\n".join(server.faults)


class _Server:
    """What runs in the thread. One task a connection listens all the time, to know at once when the client leaves; a
    second one answers."""

    def __init__(self, site: Site, pictures: Callable[[str], bytes | None]) -> None:
        self.stop = asyncio.Event()
        self.faults: list[str] = []
        self._site = site
        self._pictures = pictures
        self._numbers = itertools.count(1)
        self._asked: Counter[tuple[str, str]] = Counter()
        self._answering: dict[int, Hit] = {}
        self._connections: set[asyncio.Task[None]] = set()

    def run(self, loop: AbstractEventLoop, listener: socket, tls: ssl.SSLContext | None) -> None:
        loop.set_exception_handler(self._note)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._accept(listener, tls))

    async def _accept(self, listener: socket, tls: ssl.SSLContext | None) -> None:
        """Until the stop. Each connection is a task of ours from its first moment, TLS handshake included, so that
        ending the tasks ends every connection."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        stop = loop.create_task(self.stop.wait())
        while True:
            client = loop.create_task(loop.sock_accept(listener))
            await asyncio.wait({stop, client}, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                break
            task = loop.create_task(self._connected(client.result()[0], tls))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        if client.done():
            client.result()[0].close()
        client.cancel()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, client: socket, tls: ssl.SSLContext | None) -> None:
        number = next(self._numbers)
        loop = asyncio.get_running_loop()
        client.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # asyncio does it only for sockets that it made
        reader = StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, client, ssl=tls)
        except OSError:
            client.close()
            return
        # An answer ends when its last byte is out. (With `high=0`, asyncio's TLS would pause for ever.)
        transport.set_write_buffer_limits(high=1, low=0)
        writer = StreamWriter(transport, protocol, reader, loop)
        heads: asyncio.Queue[bytes] = asyncio.Queue()
        answering = loop.create_task(self._answer_all(number, heads, writer))
        try:
            while True:
                heads.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._answering.pop(number, None)
            answering.cancel()
            transport.abort()

    async def _answer_all(self, number: int, heads: asyncio.Queue[bytes], writer: StreamWriter) -> None:
        try:
            for nth in itertools.count(1):
                if await self._answer(number, nth, await heads.get(), Wire(writer)) is CLOSE:
                    break
        except OSError:
            pass
        except Exception:
            self.faults.append(traceback.format_exc())
        if not writer.is_closing():  # after an abort, TLS would still say goodbye
            writer.close()

    async def _answer(self, number: int, nth: int, head: bytes, wire: Wire) -> bool:
        hit, version = _read(head, number)
        self._begin(hit)
        path, _, query = hit.path.partition("?")
        fields = dict(parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))
        asked = Asked(unquote(path), fields, self._asked[hit.host, hit.path], nth, self._pictures)
        if "delay" in fields:
            await asyncio.sleep(float(fields["delay"]))
        route = hit.route[1:]
        if route in STREAMED:
            then = await STREAMED[route](asked, wire)
        else:
            await wire.send(whole(route, asked).encoded())
            then = OPEN
        self._answering.pop(number, None)
        last = version == "HTTP/1.0" or hit.headers.get("connection", "").lower() == "close"
        return CLOSE if last else then

    def _begin(self, hit: Hit) -> None:
        site = self._site
        self._asked[hit.host, hit.path] += 1
        self._answering[hit.connection] = hit
        now = self._answering.values()
        site.most_at_once = max(site.most_at_once, len(now))
        by_route = sum(one.route == hit.route for one in now)
        site.most_by_route[hit.route] = max(site.most_by_route.get(hit.route, 0), by_route)
        by_host = sum(one.host == hit.host for one in now)
        site.most_by_host[hit.host] = max(site.most_by_host.get(hit.host, 0), by_host)
        site.hits.append(hit)

    def _note(self, loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), OSError):
            self.faults.append(str(context))


def _read(head: bytes, connection: int) -> tuple[Hit, str]:
    """A request, and its version of HTTP."""
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    _, path, version = first.split(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Hit(path, headers.get("host", ""), time.monotonic(), connection, headers), version
