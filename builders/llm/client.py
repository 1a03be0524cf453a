"""One attempt at a request, over the openai package, against any endpoint that speaks OpenAI's API.

The package's own tries, redirects and patience are off: when to ask again is for whoever asks. Its lowest call,
`post` with bytes, over its aiohttp transport: `chat.completions.create` over httpx took three times the CPU with 256
at once (2.0 against 0.65 ms a request) and thirteen times with 2,000, for objects that nobody looks at.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from functools import partial

import aiohttp
import httpx2
import openai
from yarl import URL

from builders.llm.outcomes import HIDDEN, Sent, of_answer, of_speech, told
from builders.llm.request import SPEECH, Request
from schemas.errors import UserError

__all__ = ["Client", "Sent"]

ANSWER_MAX = 16_000_000
"""Bytes of an answer: speech of 4,096 characters, OpenAI's limit, is five minutes, as WAV of 24 kHz 14 MB."""
_KEY_CHARS = 8
"""Shorter keys, as local servers take, stand in any audio by chance."""
KEEP = 4.0
"""Seconds for which an idle connection is kept. Servers on uvicorn (vLLM and others) close theirs after 5: one that is
used just then fails."""


class Client:
    """Belongs to one event loop. `timeout`: seconds for one whole answer; `connections`: as many requests at once;
    `part`: of the recipe, whose fields errors name.

    Without a `key`, none is sent. Raises UserError where no header can hold the key, or the address is none. The
    environment's proxies and certificates are used; what it says to the openai package (OPENAI_BASE_URL, OPENAI_ORG_ID,
    …) is not.
    """

    def __init__(self, base_url: str, key: str | None, timeout: float, connections: int, part: str = "llm") -> None:
        self._key, self._timeout, self._part = _checked(key, part), timeout, part
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # an answer is small, and what is packed has no bound
            "User-Agent": f"gristmill (openai {openai.__version__})",
        }
        if self._key:
            self._headers["Authorization"] = f"Bearer {self._key}"
        limits = httpx2.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=KEEP
        )
        if not _is_url(base_url):
            raise UserError(f"{part}.base_url: {base_url} is no address: write one as https://api.openai.com/v1")
        # Where one of these is None, the package looks into the environment.
        self._api = openai.AsyncOpenAI(
            api_key=self._key or "none",
            admin_api_key="",
            organization="",
            project="",
            webhook_secret="",
            base_url=base_url,
            timeout=None,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(
                limits=limits,
                timeout=None,
                follow_redirects=False,
                event_hooks={"request": [self._pin], "response": [_bound]},
            ),
        )

    async def send(self, request: Request) -> Sent:
        """What became of it; never raises for what a server or the network does."""
        tell = partial(told, key=self._key, model=request.model)
        content = json.dumps(request.body, allow_nan=False).encode()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._api.post(request.path, cast_to=httpx2.Response, content=content)
        except openai.APIStatusError as error:
            answer = error.response
        except TimeoutError:
            late = f"no whole answer within {self._timeout:g} s ({self._part}.timeout)"
            return Sent("timeout", detail=late, retry=True)
        except _Garbled as error:
            return Sent("garbled", error.status, detail=tell(str(error)), retry=True)
        except (openai.APIConnectionError, httpx2.HTTPError, aiohttp.ClientError, OSError, UnicodeError) as error:
            best = _best(error)
            outcome = "garbled" if isinstance(best, aiohttp.ClientResponseError) else "no_connection"  # it is no HTTP
            return Sent(outcome, detail=tell(_words(best)), retry=True)
        read = of_speech if request.path == SPEECH else of_answer
        return self._without_key(read(answer.status_code, dict(answer.headers), answer.content, tell))

    def _without_key(self, sent: Sent) -> Sent:
        """What a server repeats of the key stays out of the ledger."""
        if not self._key:
            return sent
        names = ["model", "request_id", "finish_reason"]
        if sent.media is None:
            names.append("text")
        elif len(self._key) >= _KEY_CHARS and self._key.encode() in sent.media:
            return Sent("garbled", sent.status, detail=f"{sent.status}: audio that holds the key", retry=True)
        told = {name: getattr(sent, name) for name in names}
        echoed = {name: text.replace(self._key, HIDDEN) for name, text in told.items() if text and self._key in text}
        return replace(sent, **echoed) if echoed else sent

    async def close(self) -> None:
        await self._api.close()

    async def _pin(self, request: httpx2.Request) -> None:
        """These headers and no others: the package adds what OPENAI_CUSTOM_HEADERS says, cookies, and the machine."""
        spoken = {"Accept": "*/*"} if request.url.path.endswith(f"/{SPEECH}") else {}
        request.headers = httpx2.Headers(self._headers | spoken)


def _checked(key: str | None, part: str) -> str | None:
    key = key.strip() if key else None
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise UserError(f"{part}.api_key_env: the key in that variable has characters that no key has: set it anew")
    return key or None


def _is_url(text: str) -> bool:
    try:
        return bool(URL(text).host)
    except ValueError:
        return False


class _Garbled(Exception):
    """An answer began, and cannot be read to its end."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status


async def _bound(answer: httpx2.Response) -> None:
    """Before the body is read."""
    encoding = answer.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise _Garbled(answer.status_code, f"Content-Encoding {encoding!r}, asked for none")
    assert isinstance(answer.stream, httpx2.AsyncByteStream)
    answer.stream = _Bounded(answer.stream, answer.status_code)


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with _Garbled where it breaks off or has more than ANSWER_MAX bytes."""

    def __init__(self, body: httpx2.AsyncByteStream, status: int) -> None:
        self._body, self._status = body, status

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts, size = aiter(self._body), 0
        try:
            async for part in parts:
                size += len(part)
                if size > ANSWER_MAX:
                    raise _Garbled(self._status, f"an answer of more than {ANSWER_MAX:,} bytes")
                yield part
        except (httpx2.HTTPError, aiohttp.ClientError, OSError):
            raise _Garbled(self._status, "its body breaks off") from None
        finally:
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()

    async def aclose(self) -> None:
        await self._body.aclose()


def _best(error: BaseException) -> BaseException:
    """Of the layer that knows most: aiohttp's, under httpx's, under the package's."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    return next((one for one in chain if isinstance(one, aiohttp.ClientError)), chain[-1])


def _words(error: BaseException) -> str:
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return f"{type(error).__name__}: {text}".removesuffix(": ")
