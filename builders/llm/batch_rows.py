"""The rows of the files that a batch leaves, each of them an answer or why there is none."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Iterator, Sequence
from typing import IO

from builders.llm.batch_api import Api, Batch, Missing
from builders.llm.batch_files import scratch
from builders.llm.money import cost
from builders.llm.outcomes import Sent, Tell, of_answer
from builders.llm.request import Entry, Purpose
from schemas.llm import OpenAiLlm

ROW_BYTES = 1 << 20
"""What the rows of a file may come to on average; what lies beyond is not read."""
LONGEST_ROW = 16 << 20
"""Bytes of one row; longer ones are no answers."""
EXPIRED, CANCELLED, LOST = "batch_expired", "batch_cancelled", "batch_lost"
"""Outcomes that are the Batch API's own: no time was left; somebody cancelled it; no row of it can be read."""
_OF_STATUS = {"expired": EXPIRED, "cancelled": CANCELLED}
_IDS = uuid.UUID("5f0c1f5e-6b0e-4c43-9d0a-7a4f3f3f5b0e")


class Harvest:
    """What a batch that has ended left of the requests in its file."""

    def __init__(self, api: Api, batch: Batch, hashes: Sequence[str]) -> None:
        self._api, self._batch, self._hashes = api, batch, hashes
        self._unreadable = self._strange = 0
        self._gone = False

    def rows(self) -> Iterator[tuple[str, Sent]]:
        """Of each request its hash and what became of it, once, also of those that no row tells of."""
        left = dict.fromkeys(self._hashes)
        for name in filter(None, (self._batch.output, self._batch.errors)):
            with scratch() as file:
                try:
                    self._api.download(name, file, (len(self._hashes) + 64) * ROW_BYTES)
                except Missing:  # it was kept for some weeks, and nobody came
                    self._gone = True
                for row in read_rows(file, self._api.tell):
                    if row is None:
                        self._unreadable += 1
                    elif row[0] not in left:
                        self._strange += 1
                    else:
                        del left[row[0]]
                        yield row
        outcome = _OF_STATUS.get(self._batch.status, LOST)
        for key in left:
            yield key, failed(outcome, f"batch {self._batch.id} is {self._batch.status} and has no row of it")

    def oddities(self) -> str:
        """What was wrong with the rows, for the line that tells of the batch."""
        text = "; the server no longer has all that it left" if self._gone else ""
        text += f"; {self._unreadable:,} rows cannot be read" if self._unreadable else ""
        return text + (f"; {self._strange:,} rows are of no request that it was asked" if self._strange else "")


def read_rows(file: IO[bytes], tell: Tell) -> Iterator[tuple[str, Sent] | None]:
    """Of each row the request's hash and what became of it; None for one that cannot be read."""
    while line := file.readline(LONGEST_ROW):
        if len(line) == LONGEST_ROW and not line.endswith(b"\n"):
            while (rest := file.readline(LONGEST_ROW)) and not rest.endswith(b"\n"):
                pass
            yield None
        elif line.strip():
            yield _read(line, tell)


def _read(line: bytes, tell: Tell) -> tuple[str, Sent] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("custom_id"), str):
        return None
    key, response, error = row["custom_id"], row.get("response"), row.get("error")
    status = response.get("status_code") if isinstance(response, dict) else None
    if isinstance(response, dict) and type(status) is int and 100 <= status <= 599:
        headers = {"x-request-id": str(response.get("request_id") or "")}
        return key, of_answer(status, headers, json.dumps(response.get("body")).encode(), tell)
    if not isinstance(error, dict):
        return None
    code = error.get("code")  # of the Batch API: no model has seen the request
    return key, failed(code if code in (EXPIRED, CANCELLED) else LOST, tell(f"{code}: {error.get('message')}"))


def failed(outcome: str, detail: str) -> Sent:
    """Whoever cancelled a batch shall not find its requests in another one."""
    return Sent(outcome, detail=detail, retry=outcome != CANCELLED)


def entry_of(sent: Sent, key: str, batch: str, purpose: Purpose, settings: OpenAiLlm) -> Entry:
    """As the ledger keeps it. Its id follows from batch, request and outcome: read again, it is the same entry."""
    usd = cost(settings.price, sent.tokens_in, sent.tokens_out, sent.tokens_cached, batch=True)
    made = uuid.uuid5(_IDS, f"{batch} {key} {sent.outcome}").hex
    now = datetime.datetime.now(datetime.UTC)
    return sent.entry(made, key, now, purpose, settings.provider, settings.model, usd)
