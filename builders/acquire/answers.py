"""What became of a request: a body, or why there is none, and whether another try may help."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from dataclasses import dataclass

import aiohttp

from builders.acquire.address import PrivateAddress

BUSY = frozenset({408, 425, 429} | set(range(500, 600)) - {501, 505})
"""Answers after which another try may succeed (RFC 9110, RFC 8470, RFC 6585): 501 and 505 are for good."""


class Refused(Exception):
    """The URL leads to no image that may be had, and will not: rejected. `reason` is counted, `detail` for reading."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass
class Again(Exception):
    """Another try may succeed. `after`: seconds that the server asks for.

    `failed`: what is left of it after the last try is worth a later run (--retry-failed): the server is there, but
    was busy or broke off, or we had no network. Otherwise the URL counts as dead, and is rejected.
    """

    reason: str
    detail: str
    failed: bool
    after: float | None = None


def of_error(error: Exception) -> Refused | Again:
    """What an exception of a request means. Raises it where it is none of the network's."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    cause = getattr(error, "os_error", None) or error
    if isinstance(cause, PrivateAddress):
        return Refused("private_address", str(cause.strerror))
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return Again("timeout", text if str(error) else "the answer took longer than max_seconds", failed=False)
    if isinstance(cause, socket.gaierror):
        return _of_lookup(cause)
    if isinstance(error, aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError):
        return Refused("tls_error", text)
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(cause, OSError):
        if cause.errno in (errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE):
            return Again("no_network", text, failed=True)
        return Again("cannot_connect", text, failed=True)
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError | ConnectionError):
        return Again("connection_cut", text, failed=True)
    if isinstance(error, aiohttp.InvalidURL | UnicodeError):  # UnicodeError: a name that no look-up can spell
        return Refused("bad_url", text)
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.http.HttpProcessingError):
        return Refused("bad_answer", text)
    if isinstance(error, aiohttp.ClientError | OSError):
        return Again("connection_cut", text, failed=True)
    raise error


def _of_lookup(error: socket.gaierror) -> Refused | Again:
    if error.errno == socket.EAI_AGAIN:
        return Again("no_name_server", f"{error.strerror}: is there a network?", failed=True)
    return Refused("no_such_host", str(error.strerror))
