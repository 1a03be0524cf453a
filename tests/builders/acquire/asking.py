"""Asks for one URL, as a download does, and tells what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from builders.acquire.answers import Again, Refused
from builders.acquire.client import Manners, fetch, open_session
from tests.builders.acquire import bodies

MANNERS = Manners(
    agent="mill/1.0 (tests)",
    token="mill",
    opt_out=frozenset({"noai", "noindex"}),
    max_bytes=2_000_000,
    timeout=10.0,
    max_seconds=20.0,
    allow_private=True,
)
HURRIED = replace(MANNERS, timeout=0.3, max_seconds=0.5)
PUBLIC_ONLY = replace(MANNERS, allow_private=False)
PICTURE = "the picture"
PNG = b"\x89PNG\r\n\x1a\n and more"


@dataclass
class Turns:
    """What a fetch asks leave for; all of it is given."""

    hosts: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def __call__(self, host: str) -> AsyncIterator[None]:
        self.hosts.append(host)
        yield


def got(url: str, manners: Manners = MANNERS, turns: Turns | None = None) -> bytes | Refused | Again:
    async def main() -> bytes | Refused | Again:
        async with open_session(manners) as session:
            try:
                return await fetch(session, url, manners, turns or Turns())
            except (Refused, Again) as why:
                return why

    return asyncio.run(main())


def told(found: bytes | Refused | Again) -> str:
    """An outcome in words, as it counts after the last try."""
    if isinstance(found, bytes):
        return PICTURE if found == bodies.picture() else f"{len(found)} bytes"
    kind = "failed" if isinstance(found, Again) and found.failed else "rejected"
    return f"{kind}: {found.reason}" + (", try again" if isinstance(found, Again) else "")
