"""One URL to the bytes behind it: over HTTP(S), bounded, and never from an address that is not public.

This is ours and not img2dataset's, whose fetch is a plain `urllib.request.urlopen(url, timeout=…)`: its timeout holds
for each read, so a body of a byte a second lasts for ever; it reads whole bodies, whatever their size; it resolves a
name, connects and follows redirects by itself, so no address can be checked before it is asked; it opens a connection
for each URL, and nothing limits those to one host. So requests are made by aiohttp, whose sockets we open
(`address.open_public`), whose redirects we follow, and whose bodies we read in parts. What img2dataset's rules say of
an answer (X-Robots-Tag) is asked of img2dataset.
"""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import re
import time
import zlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from builders.acquire.address import is_public, open_public
from builders.acquire.answers import BUSY, Again, Refused, of_error
from builders.acquire.img2dataset_parts import opted_out

REDIRECTS = 10
"""As many as urllib, and so img2dataset, follows."""
URL_MAX = 8_000
"""Characters; longer URLs are no addresses (data: URLs, pasted pages)."""
HEAD_MAX = 16_384
"""Bytes of one header line."""

Turn = Callable[[str], AbstractAsyncContextManager[None]]
"""Around one request: waits until it may run at a host. An exception that leaves it means that there is no body."""


@dataclass(frozen=True)
class Manners:
    """What is asked and taken: see schemas.fetch.Fetch, whose fields these are. `agent`: the User-Agent."""

    agent: str
    token: str | None
    opt_out: frozenset[str]
    max_bytes: int
    timeout: float
    max_seconds: float
    allow_private: bool


def open_session(manners: Manners, reuse: bool = True) -> aiohttp.ClientSession:
    """A session without cookies, proxies or decompression, whose sockets reach public addresses only.

    `reuse` of connections saves time; another try had better have its own, since the kept one may be what is broken.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        force_close=not reuse,
        socket_factory=None if manners.allow_private else open_public,
        ttl_dns_cache=60,
        dns_cache_max_size=10_000,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": manners.agent, "Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=None, connect=manners.timeout, sock_read=manners.timeout),
        max_line_size=HEAD_MAX,
        max_field_size=HEAD_MAX,
    )


async def fetch(session: aiohttp.ClientSession, url: str, manners: Manners, turn: Turn) -> bytes:
    """The body that `url` leads to. Raises Refused, or Again, after `max_seconds` of its requests at most."""
    at, left = _parsed(url), manners.max_seconds
    for _ in range(REDIRECTS + 1):
        try:
            async with turn(str(at.host).rstrip(".")):
                began = time.monotonic()
                try:
                    async with asyncio.timeout(left):
                        return await _ask(session, at, manners)
                except (Refused, Again, _Elsewhere):
                    raise
                except Exception as error:
                    raise of_error(error) from None
                finally:
                    left -= time.monotonic() - began
        except _Elsewhere as redirect:
            at = _joined(at, redirect.location)
    raise Refused("too_many_redirects", f"more than {REDIRECTS}")


class _Elsewhere(Exception):
    """A redirect. `location`: where it leads, as the server wrote it."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


async def _ask(session: aiohttp.ClientSession, url: URL, manners: Manners) -> bytes:
    if not manners.allow_private and _is_private_literal(url):
        raise Refused("private_address", f"{url.host} is no public address")
    async with session.get(url, allow_redirects=False) as answer:
        redirects = answer.status in (301, 302, 303, 307, 308)
        if answer.status != 200 and not redirects:  # error pages often opt out, of themselves
            raise _of_status(answer)
        tags = answer.headers.getall("X-Robots-Tag", [])
        if tags and manners.opt_out and opted_out(tags, manners.token, manners.opt_out):
            raise Refused("opted_out", "; ".join(tags)[:200])
        if redirects:
            raise _Elsewhere(answer.headers.get("Location", ""))
        if answer.content_length is not None and answer.content_length > manners.max_bytes:
            raise Refused("too_large", f"{answer.content_length:,} bytes are announced")
        return await _body(answer, manners.max_bytes)


async def _body(answer: aiohttp.ClientResponse, most: int) -> bytes:
    unpack = _unpacker(answer.headers.get("Content-Encoding", ""))
    parts: list[bytes] = []
    size = 0
    try:
        async for part in answer.content.iter_any():
            parts.append(unpack.decompress(part, most + 1 - size) if unpack else part)
            size += len(parts[-1])
            if size > most:
                raise Refused("too_large", f"more than {most:,} bytes")
    except zlib.error as error:
        raise Refused("bad_answer", f"cannot be unpacked: {error}") from None
    if not size:
        raise Refused("empty_answer")
    if unpack and not unpack.eof:
        raise Refused("bad_answer", "its compressed body ends too early")
    return b"".join(parts)


def _unpacker(encoding: str) -> zlib._Decompress | None:
    """What unpacks a body that is compressed though we asked for none: gzip, zlib or nothing."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: either head
    raise Refused("bad_answer", f"Content-Encoding {name[:40]!r}, asked for none")


def _of_status(answer: aiohttp.ClientResponse) -> Refused | Again:
    reason, detail = f"http_{answer.status}", answer.reason or ""
    if answer.status in BUSY:
        return Again(reason, detail, failed=True, after=_seconds(answer.headers.get("Retry-After", "")))
    return Refused(reason, detail)


def _seconds(retry_after: str) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    text = retry_after.strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
    return max(0.0, (date - datetime.datetime.now(datetime.UTC)).total_seconds())


def _parsed(url: str) -> URL:
    text = url.strip()
    if len(text) > URL_MAX:
        raise Refused("bad_url", f"{len(text):,} characters")
    try:
        parsed = _url(text)
        host = parsed.host
    except (ValueError, UnicodeError) as error:
        raise Refused("bad_url", str(error)[:200]) from None
    if parsed.scheme not in ("http", "https") or not host:
        raise Refused("bad_url", f"{text[:100]!r} is no http or https URL")
    return parsed.with_user(None).with_fragment(None)


_WRITTEN = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
"""What a URL may consist of (RFC 3986)."""


def _url(text: str) -> URL:
    """As it is written, if it is written right: to signatures, say, %2C is not the comma that yarl makes of it."""
    return URL(text, encoded=bool(_WRITTEN.fullmatch(text)))


def _joined(at: URL, location: str) -> URL:
    if not location:
        raise Refused("bad_redirect", "it names no place")
    try:
        return _parsed(str(at.join(_url(location))))
    except (ValueError, UnicodeError) as error:
        raise Refused("bad_redirect", str(error)[:200]) from None
    except Refused as refused:
        raise Refused("bad_redirect", refused.detail) from None


def _is_private_literal(url: URL) -> bool:
    """Whether the URL itself names a private address: told without opening a socket, and also for a kept connection."""
    host = (url.host or "").rstrip(".")
    is_address = ":" in host or host.replace(".", "").isdecimal()
    return is_address and not is_public(host)
