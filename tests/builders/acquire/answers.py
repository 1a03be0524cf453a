"""The routes of the test server that answer in whole and as HTTP wants it, whatever the answer says or holds.

A percent-encoded query drives them; `WHOLE` names them all. `streams.py` has the routes that break off, dawdle or lie.
"""

from __future__ import annotations

import gzip
import math
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

from tests.builders.acquire import bodies


@dataclass(frozen=True)
class Asked:
    """A request, as routes look at it."""

    path: str
    """Percent-decoded, without the query."""
    query: Mapping[str, str]
    times: int
    """How often this exact URL (Host header, path and query) was asked for, this time included."""
    nth: int
    """The place of this request among those of its connection, from 1."""
    pictures: Callable[[str], bytes | None]

    @property
    def rest(self) -> str:
        """The path after its first part: NAME of /picture/NAME."""
        return self.path.lstrip("/").partition("/")[2]

    def number(self, name: str, default: int) -> int:
        return int(self.query.get(name, default))


@dataclass(frozen=True)
class Answer:
    """An HTTP answer with a right Content-Length."""

    body: bytes
    kind: str = "image/jpeg"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    def head(self, length: int | None = None) -> bytes:
        """Status line and headers, with another Content-Length where one is given."""
        fields = [("Content-Type", self.kind), ("Content-Length", str(len(self.body) if length is None else length))]
        if self._bare:
            fields = []
        return head(self.status, *fields, *self.headers)

    def encoded(self) -> bytes:
        return self.head() + (b"" if self._bare else self.body)

    @property
    def _bare(self) -> bool:
        """Of these, HTTP allows no body."""
        return self.status in (204, 304) or self.status < 200


def head(status: int, *headers: tuple[str, str]) -> bytes:
    """Status line, headers and the empty line. Bytes that are not UTF-8 pass through as they were asked for."""
    known = status in {one.value for one in HTTPStatus}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase if known else 'Whatever'}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def page(status: int, *headers: tuple[str, str]) -> Answer:
    html = f"<!doctype html><title>{status}</title><p>This is not a picture, this is {status}."
    return Answer(html.encode(), "text/html; charset=utf-8", status, headers)


def picture(*headers: tuple[str, str]) -> Answer:
    return Answer(bodies.picture(), headers=headers)


def _named(asked: Asked) -> Answer:
    data = asked.pictures(asked.rest)
    return page(404) if data is None else Answer(data, bodies.content_type(data))


def _busy(asked: Asked) -> Answer:
    """429, or `status`, to the first `times` requests. `after` goes into Retry-After as it is; `date` makes it the HTTP
    date one to two seconds ahead (dates hold no fractions), and an empty one leaves the header out."""
    if asked.times > asked.number("times", 2):
        return picture()
    after = asked.query.get("after", "1")
    if after == "date":
        after = formatdate(math.ceil(time.time()) + 1, usegmt=True)
    return page(asked.number("status", 429), *([("Retry-After", after)] if after else []))


def _flaky(asked: Asked) -> Answer:
    return page(asked.number("status", 500)) if asked.times <= asked.number("times", 1) else picture()


def _to(location: str, status: int = 302) -> Answer:
    return page(status, ("Location", location))


def _hops(asked: Asked) -> Answer:
    left = asked.number("n", 3)
    return _to(f"/hops?n={left - 1}") if left else picture()


def _compressed(encoding: str, body: bytes) -> Answer:
    return Answer(body, headers=(("Content-Encoding", encoding),))


def _deflate(asked: Asked) -> Answer:
    """`raw` leaves out zlib's frame: wrong by the RFC, and sent by real servers."""
    deflate = zlib.compressobj(wbits=-15 if "raw" in asked.query else 15)
    return _compressed("deflate", deflate.compress(bodies.picture()) + deflate.flush())


WHOLE: Mapping[str, Callable[[Asked], Answer]] = {
    "picture": _named,
    "gone": lambda asked: page(404),
    "status": lambda asked: page(int(asked.rest)),
    "busy": _busy,
    "flaky": _flaky,
    "loop": lambda asked: _to(f"/loop?n={asked.number('n', 0) + 1}"),
    "hops": _hops,
    "to": lambda asked: _to(asked.query["url"], asked.number("status", 302)),
    "optout": lambda asked: picture(*(("X-Robots-Tag", one) for one in asked.query["value"].split("|"))),
    "html": lambda asked: page(200),
    "empty": lambda asked: Answer(b""),
    "wrong-type": lambda asked: Answer(bodies.picture(), "text/plain"),
    "not-a-picture": lambda asked: Answer(b"This says that it is a JPEG, and it is a line of text.\n"),
    "broken-picture": lambda asked: Answer(bodies.picture()[: len(bodies.picture()) // 2]),
    "gzip": lambda asked: _compressed("gzip", gzip.compress(bodies.picture(), mtime=0)),
    "deflate": _deflate,
    "gzip-bomb": lambda asked: _compressed("gzip", bodies.gzip_bomb(asked.number("megabytes", 200))),
    "encoding": lambda asked: picture(("Content-Encoding", asked.query.get("name", "br"))),
    "bomb": lambda asked: Answer(bodies.png_bomb(), "image/png"),
    "cookie": lambda asked: picture(("Set-Cookie", "crumb=1; Path=/; HttpOnly")),
    "auth": lambda asked: page(401, ("WWW-Authenticate", 'Basic realm="mill"')),
}
"""By the first part of the path. /encoding sends the picture as it is, whatever encoding it names; /to?url=
takes any text, an empty one too, and `status`."""


def whole(route: str, asked: Asked) -> Answer:
    """What a route answers; a path that is no route is not found."""
    return WHOLE[route](asked) if route in WHOLE else page(404)
