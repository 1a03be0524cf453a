"""A detector behind an endpoint: photo, caption and spans as JSON, boxes and scores back (docs/detector_http.md).

So a model in a container of its own serves the same DAG. The endpoint is the recipe's own, so that its address may be
private; what it answers is a stranger's all the same: bounded in size and time, and checked.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import aiohttp
import pyarrow as pa
from yarl import URL

from builders.acquire.answers import BUSY
from builders.grounding.boxes import Detection, clip
from builders.grounding.detect import Found, Query
from builders.llm.outcomes import seconds_to_wait, told
from builders.step import Failed, Rejected, Services
from schemas.errors import BuildError, UserError

ANSWER_MAX = 4_000_000
"""Bytes of an answer: some 40,000 boxes."""
BACKOFF, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the second try, doubled each time; and the longest that we wait, whatever Retry-After says."""
_KEEP = 4.0
"""Seconds for which an idle connection is kept. uvicorn closes its own after 5: one used just then fails."""


@dataclass
class HttpDetector:
    """Asks `url` about each pair, `concurrency` at once, each within `timeout` seconds, `retries` further times where
    that may help. `api_key_env`: the variable of the worker's environment whose value is sent as a bearer token.

    A pair that gets no answer fails: rate_limited, server_error, timeout, no_connection, garbled, bad_request. What
    would befall all of them raises BuildError.
    """

    url: str
    api_key_env: str | None = None
    concurrency: int = 8
    timeout: float = 60.0
    retries: int = 4
    where: str = "detector"
    reads: ClassVar = ("image",)
    adds: ClassVar[dict[str, pa.DataType]] = {}
    _key: str | None = field(default=None, repr=False)

    def setup(self, services: Services) -> None:
        """Raises UserError for what is no address, and for a key that is not there."""
        if not _is_address(self.url):
            raise UserError(
                f"{self.where}.url: must be an address without a password, as http://host:8000/detect; "
                f"a key belongs into the variable that {self.where}.api_key_env names"
            )
        if self.api_key_env:
            self._key = os.environ.get(self.api_key_env, "").strip()
            if not (self._key and self._key.isascii() and self._key.isprintable()):
                raise UserError(f"{self.where}.api_key_env: {self.api_key_env} holds no key where the worker runs")

    def detect(self, queries: Sequence[Query]) -> list[Found | Rejected]:
        return asyncio.run(self._all(queries))

    async def _all(self, queries: Sequence[Query]) -> list[Found | Rejected]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        connector = aiohttp.TCPConnector(limit=self.concurrency, keepalive_timeout=_KEEP)
        async with aiohttp.ClientSession(
            connector=connector,
            headers=headers,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # aiohttp's own five minutes; `timeout` is ours
        ) as session:
            asking = _Asking(self, session, asyncio.Semaphore(self.concurrency))
            tasks = [asyncio.create_task(asking.ask(query)) for query in queries]
            try:
                return await asyncio.gather(*tasks)
            finally:  # one that is refused for all ends the others
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def tell(self, text: str) -> str:
        return told(text, self._key, "")


@dataclass
class _Asking:
    """One call's requests. `until`: when the endpoint wants to be asked again, on the loop's clock."""

    detector: HttpDetector
    session: aiohttp.ClientSession
    turn: asyncio.Semaphore
    until: float = 0.0

    async def ask(self, query: Query) -> Found | Rejected:
        loop = asyncio.get_running_loop()
        async with self.turn:
            for attempt in range(self.detector.retries + 1):
                while (left := self.until - loop.time()) > 0:
                    await asyncio.sleep(left)
                answer, wait = await self._try(query)
                if wait is None or wait > LONGEST_WAIT or attempt == self.detector.retries:
                    return answer
                pause = min(wait or BACKOFF * 2**attempt, LONGEST_WAIT)
                if isinstance(answer, Failed) and answer.reason == "rate_limited":  # for all, not for this one alone
                    self.until = max(self.until, loop.time() + pause)
                else:
                    await asyncio.sleep(pause)
        raise AssertionError("a loop of at least one try returns")

    async def _try(self, query: Query) -> tuple[Found | Rejected, float | None]:
        """What became of one request; and, where another may help, the seconds that the endpoint asks for, or 0."""
        tell, seconds = self.detector.tell, self.detector.timeout
        try:
            async with asyncio.timeout(seconds):
                status, headers, body = await self._post(_body(query))
        except TimeoutError:
            return Failed("timeout", f"no whole answer within {seconds:g} s ({self.detector.where}.timeout)"), 0.0
        except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as error:
            return Failed("garbled", tell(str(error))), 0.0
        except (aiohttp.ClientError, OSError) as error:
            return Failed("no_connection", tell(str(error) or type(error).__name__)), 0.0
        if status == 200:
            found = _found(body, len(query.spans))
            return found, 0.0 if isinstance(found, Failed) else None
        said = tell(f"{status}: {body[:1000].decode('utf-8', 'replace')}")
        if status in BUSY:
            return Failed("rate_limited" if status == 429 else "server_error", said), seconds_to_wait(headers) or 0.0
        self._refused(status, said)
        return Failed("bad_request", said), None

    async def _post(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        async with self.session.post(self.detector.url, data=body, allow_redirects=False) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, headers, await _read(answer)

    def _refused(self, status: int, said: str) -> None:
        """Raises BuildError where the answer would be the same for every photo."""
        where, url = self.detector.where, self.detector.url
        if status in (401, 403):
            raise BuildError(
                f"{where}.api_key_env: {url} refuses us ({said}); name the variable that holds a valid key"
            )
        if status in (404, 405, 410, 501) or 300 <= status < 400:
            raise BuildError(f"{where}.url: {url} is not where a detector answers ({said}); mend the address")


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise aiohttp.ClientPayloadError("compressed, though asked for identity")
    parts = []
    size = 0
    async for part in answer.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > ANSWER_MAX:
            raise aiohttp.ClientPayloadError(f"an answer of more than {ANSWER_MAX:,} bytes")
    return b"".join(parts)


def _body(query: Query) -> bytes:
    image = base64.b64encode(query.image or b"").decode()
    return json.dumps(
        {"image": image, "caption": query.caption, "spans": [list(span) for span in query.spans]}
    ).encode()


def _found(body: bytes, spans: int) -> Found | Failed:
    """The boxes of an answer; Failed where it is not what the contract says."""
    try:
        answers = json.loads(body)["spans"]
        if len(answers) != spans:
            raise ValueError(f"{len(answers)} spans are answered, {spans} were asked for")
        return Found([one for span, answer in enumerate(answers) for one in _detections(span, answer)])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        return Failed("garbled", f"{type(error).__name__}: {error}"[:300])


def _detections(span: int, answer: Any) -> list[Detection]:
    boxes, scores = answer["boxes"], answer["scores"]
    if len(boxes) != len(scores):
        raise ValueError(f"span {span} has {len(boxes)} boxes and {len(scores)} scores")
    found = []
    for box, score in zip(boxes, scores, strict=True):
        x1, y1, x2, y2 = (float(value) for value in box)
        if not (0 <= score <= 1 and math.isfinite(x1 + y1 + x2 + y2)):
            raise ValueError(f"span {span} has box {box} with score {score}")
        if (clipped := clip((x1, y1, x2, y2))) is not None:
            found.append(Detection(span, clipped, float(score)))
    return found


def _is_address(text: str) -> bool:
    try:
        url = URL(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.host) and not (url.user or url.password)
