"""The log of a job until its end, over connections that may break."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

import aiohttp

from schemas.errors import BuildError

_AGAIN_S = 1.0
"""Before the log of a job that goes on, or a server that does not answer, is asked again."""
_TRIES = 60
"""Questions in a row that may stay without an answer: a minute, in which a forwarded port or a tunnel comes back."""


class Watched(Protocol):
    """What is needed of Ray's JobSubmissionClient to see how a job does."""

    def tail_job_logs(self, job_id: str) -> Any: ...

    def get_job_info(self, job_id: str) -> Any: ...


def follow(jobs: Watched, name: str, say: Callable[[str], None], where: str = "") -> int:
    """Tells the driver's log until the job has ended. Returns the exit code of the build.

    A connection that breaks is made again: the job does not mind. `where`: what Ray's own commands want to know beside
    the job's name, for the errors. Raises BuildError where the server answers no more, the job was stopped, or could
    not start.
    """
    told = unanswered = 0
    while True:
        told, whole = asyncio.run(_tail(jobs, name, told, say))
        info = _asked(jobs, name)
        unanswered = 0 if info else unanswered + 1
        if info and info.status.is_terminal():
            break
        if unanswered == _TRIES:
            raise BuildError(
                f"the job server does not answer any more, but the job {name} may go on; its log, when the server is "
                f"back: ray job logs --follow {name}{where}"
            )
        time.sleep(_AGAIN_S)
    if not whole:
        asyncio.run(_tail(jobs, name, told, say))
    if info.status == "SUCCEEDED":
        return 0
    if info.status == "STOPPED":
        raise BuildError(f"the job {name} was stopped; what is committed stays. Submit the same again to go on")
    if info.driver_exit_code is None:
        raise BuildError(f"the job {name} did not run: {' '.join(str(info.message).split())[:500]}")
    return int(info.driver_exit_code)


def _asked(jobs: Watched, name: str) -> Any:
    """What the server knows of the job; None where it does not answer, or with an error."""
    from ray.exceptions import RayError

    try:
        return jobs.get_job_info(name)
    except (RayError, RuntimeError, OSError, ValueError):  # no token, an error page, no connection, half an answer
        return None


async def _tail(jobs: Watched, name: str, told: int, say: Callable[[str], None]) -> tuple[int, bool]:
    """Tells the log from character `told` on: the server begins anew with each connection. Returns how far it got, and
    whether the server ended it."""
    seen = 0
    try:
        async for text in jobs.tail_job_logs(name):
            seen += len(text)
            if seen > told:
                say(text[max(0, len(text) - (seen - told)) :])
                told = seen
    except (RuntimeError, OSError, aiohttp.ClientError):
        return told, False
    return told, True
