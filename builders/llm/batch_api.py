"""The calls of the Batch API, each tried until it is answered or asking on is of no use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, TypeVar

import httpx2
import openai

from builders.llm.batch_files import no_room
from builders.llm.outcomes import Sent, Tell, of_answer, told
from schemas.errors import BuildError
from schemas.llm import OpenAiLlm

MARK = "gristmill"
"""Where a batch carries the mark of its request file, in its metadata."""
PAGE = 100
"""Batches a page of the list: the most that the API gives."""
BACKOFF, LONGEST_BACKOFF = 1.0, 60.0
"""Seconds before the second try; twice as many before each further one."""
PATIENCE = 600.0
"""Seconds for which a call is tried again once the server has answered any: a batch takes hours, a network is gone for
minutes. Before the first answer it is `llm.retries`."""
_RAW = "x-stainless-raw-response"
"""What the openai package leaves in a request for itself, to know that its answer is wanted as it is."""
_KEPT = frozenset({"host", "content-type", "content-length", "transfer-encoding", "accept", _RAW})

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Batch:
    """A batch as the server tells it. `mark`: of its request file. `output`, `errors`: files that it left."""

    id: str
    status: str
    mark: str | None = None
    done: int = 0
    failed: int = 0
    output: str | None = None
    errors: str | None = None
    problems: tuple[tuple[str, str], ...] = ()
    """Code and message of what was wrong with the whole."""

    @property
    def ended(self) -> bool:
        return self.status in ("completed", "failed", "expired", "cancelled")

    @property
    def void(self) -> bool:
        """Whether it came to nothing and never will: then its file may be submitted again."""
        return self.status in ("failed", "cancelled") and not (self.done or self.output)


class Missing(BuildError):
    """The server has no such batch or file (404)."""


class Unsure(Exception):
    """A call broke off, and nobody knows whether the server did what it was asked."""


class Api:
    """What the pass asks of the server. Every call raises BuildError, in the server's words, where it gives up."""

    def __init__(self, key: str | None, settings: OpenAiLlm, sleep: Callable[[float], None]) -> None:
        self._client, self._retries, self._sleep = _connect(settings, key), settings.retries, sleep
        self.tell: Tell = partial(told, key=key, model=settings.model)
        self._answered = False

    def close(self) -> None:
        self._client.close()

    def upload(self, name: str, open_file: Callable[[], IO[bytes]]) -> str:
        def send() -> Any:
            with open_file() as file:
                return self._client.files.with_raw_response.create(file=(name, file), purpose="batch")

        return _text(_content(self._until_answered(send)).get("id"), "a file")

    def create(self, file: str, endpoint: Any, mark: str) -> Batch:
        """Once: raises Unsure where it cannot be known whether there is a batch now."""

        def send() -> Any:
            return self._client.batches.with_raw_response.create(
                input_file_id=file, endpoint=endpoint, completion_window="24h", metadata={MARK: mark}
            )

        return _of(_content(self._until_answered(send, once=True)))

    def get(self, batch: str) -> Batch:
        return _of(_content(self._until_answered(lambda: self._client.batches.with_raw_response.retrieve(batch))))

    def all(self) -> Iterator[Batch]:
        """Every batch of the account, the newest first."""
        last, seen = "", set[str]()

        def ask() -> Any:
            return self._client.batches.with_raw_response.list(limit=PAGE, after=last or openai.omit)

        while True:
            page = _content(self._until_answered(ask))
            if not isinstance(page.get("data"), list):
                raise _no_batches("a list of batches")
            new = [batch for batch in map(_of, page["data"]) if batch.id not in seen]
            yield from new
            if not new or page.get("has_more") is False:
                return
            seen.update(batch.id for batch in new)
            last = new[-1].id

    def download(self, file: str, into: IO[bytes], most: int) -> None:
        """The first `most` bytes of a file."""

        def receive() -> None:
            into.seek(0)
            into.truncate()
            with self._client.files.with_streaming_response.content(file) as answer:
                for part in answer.iter_bytes():
                    into.write(part[: most - into.tell()])
                    if into.tell() >= most:
                        break
            into.seek(0)

        try:
            self._until_answered(receive)
        except OSError as error:
            raise no_room(error) from error

    def _until_answered(self, call: Callable[[], Answer], once: bool = False) -> Answer:
        """`once`: what may have been done must not be repeated."""
        tries, waited = 0, 0.0
        while True:
            try:
                answer = call()
            except (openai.APIError, httpx2.RequestError, httpx2.StreamError) as error:
                sent = self._refusal(error)
            else:
                self._answered = True
                return answer
            if not sent.retry:
                raise (Missing if sent.status == 404 else BuildError)(f"llm: {sent.detail}")
            if once and sent.outcome != "rate_limited":
                raise Unsure(sent.detail)
            if tries >= self._retries and (not self._answered or waited >= PATIENCE):
                raise BuildError(
                    f"llm.base_url: the Batch API does not answer: {sent.detail}; run the same command again to go on"
                )
            wait = sent.after if sent.after is not None else min(BACKOFF * 2.0 ** min(tries, 10), LONGEST_BACKOFF)
            self._sleep(wait)
            tries, waited = tries + 1, waited + wait

    def _refusal(self, error: Exception) -> Sent:
        """What an error of the package means, in the terms of one request to a model."""
        if isinstance(error, openai.APIStatusError):
            self._answered = True
            answer = error.response
            return of_answer(answer.status_code, dict(answer.headers), answer.content, self.tell)
        cause = error.__cause__ or error
        return Sent(
            "no_connection", detail=self.tell(f"{type(cause).__name__}: {cause}".removesuffix(": ")), retry=True
        )


def _connect(settings: OpenAiLlm, key: str | None) -> openai.OpenAI:
    """The endpoint that the recipe names, and nothing that the environment says of it.

    Redirects are not followed, and repeated tries are `Api`'s, which knows what may be repeated.
    """
    headers = {"User-Agent": f"gristmill (openai {openai.__version__})", "Accept-Encoding": "identity"}
    if key:
        headers["Authorization"] = f"Bearer {key}"

    def pin(request: httpx2.Request) -> None:
        kept = {name: value for name, value in request.headers.items() if name.lower() in _KEPT}
        request.headers = httpx2.Headers({**kept, **headers})

    return openai.OpenAI(
        api_key=key or "none",
        admin_api_key="",
        organization="",
        project="",
        webhook_secret="",
        base_url=settings.base_url,
        timeout=settings.timeout,
        max_retries=0,
        http_client=openai.DefaultHttpxClient(follow_redirects=False, event_hooks={"request": [pin]}),
    )


def _content(raw: Any) -> dict[str, Any]:
    """What the server tells. The package's own reading of it checks nothing, and breaks on a page of a web site."""
    try:
        told = json.loads(raw.http_response.content)
    except (ValueError, RecursionError):
        told = None
    return told if isinstance(told, dict) else {}


def _of(told: Any) -> Batch:
    told = told if isinstance(told, dict) else {}
    counts, problems = told.get("request_counts"), told.get("errors")
    counts = counts if isinstance(counts, dict) else {}
    problems = problems.get("data") if isinstance(problems, dict) else None
    metadata = told.get("metadata")
    return Batch(
        id=_text(told.get("id"), "a batch"),
        status=_text(told.get("status"), "a batch"),
        mark=metadata.get(MARK) if isinstance(metadata, dict) else None,
        done=_count(counts.get("completed")),
        failed=_count(counts.get("failed")),
        output=_id(told.get("output_file_id")),
        errors=_id(told.get("error_file_id")),
        problems=tuple(
            (str(problem.get("code")), str(problem.get("message")))
            for problem in problems or ()
            if isinstance(problem, dict)
        ),
    )


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object, what: str) -> str:
    """Raises BuildError where an endpoint answers something else altogether, as pages of a web site do."""
    if isinstance(value, str) and value and value.isprintable():
        return value[:200]
    raise _no_batches(what)


def _no_batches(what: str) -> BuildError:
    return BuildError(f"llm.base_url: what the endpoint answers is not {what}: has it a Batch API?")
