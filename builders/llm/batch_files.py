"""Request files of the Batch API, and what is noted of them, so that a kill at any moment submits nothing twice.

A file is known by the SHA-256 of its bytes, its mark. In the folder of its build lie, one after the other:
`{mark}.jsonl`, the file itself, before it is uploaded; `{mark}.batch`, which batch it became; `{mark}.done`, once every
row of that batch is in the ledger, when the other two are removed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from builders.llm.request import Request
from builders.shards.store import Store
from schemas.errors import BuildError

MOST_REQUESTS = 50_000
"""Of one file (https://platform.openai.com/docs/guides/batch)."""
MOST_BYTES = 190_000_000
"""Of one file; the API takes 200 MB."""
ROOT = "/v1/"
"""What the API puts before the path of a request in a file, wherever the endpoint lies."""


@dataclass(frozen=True)
class Asked:
    """A request file that is noted. `usd`: the most that its requests can cost, 0 where nobody limits that."""

    mark: str
    endpoint: str
    rows: int
    usd: float


class Draft:
    """A request file as long as it grows, on the local disk; a kill leaves nothing of it.

    `after` is how many files of the build are collected. It stands in the file, as so many spaces, because requests
    that failed together are asked together again, and that must be another file.
    """

    def __init__(self, after: int) -> None:
        self._after, self._file, self._digest = after, scratch(), hashlib.sha256()
        self.rows, self.size, self.usd, self.endpoint = 0, 0, 0.0, ""

    def add(self, request: Request, line: bytes, usd: float) -> None:
        """Raises BuildError where the disk is full or refuses."""
        if not self.rows:
            self.endpoint = ROOT + request.path
            line = line[:-1] + b" " * self._after + b"\n"
        try:
            self._file.write(line)
        except OSError as error:
            raise no_room(error) from error
        self._digest.update(line)
        self.rows, self.size, self.usd = self.rows + 1, self.size + len(line), self.usd + usd

    def note(self, notes: Notes) -> Asked:
        """The draft becomes a file that is noted, and can grow no more."""
        asked = Asked(self._digest.hexdigest(), self.endpoint, self.rows, self.usd)
        with notes.store.put(notes.file(asked.mark)) as file:
            self._file.seek(0)
            shutil.copyfileobj(self._file, file)
        self.close()
        return asked

    def close(self) -> None:
        self._file.close()


def line_of(request: Request) -> bytes:
    """A request as one line of a file, under its hash."""
    row = {"custom_id": request.hash, "method": "POST", "url": ROOT + request.path, "body": request.body}
    return json.dumps(row).encode() + b"\n"


@dataclass(frozen=True)
class Notes:
    """What is noted of the request files of one build. `store`: of all builds that share a ledger."""

    store: Store
    build: str

    def file(self, mark: str) -> str:
        return f"{self._folder}/{mark}.jsonl"

    def begin(self) -> list[str]:
        """The marks of the files that are not collected; what a kill, or somebody, left of others is removed."""
        self.store.sweep()
        notes = {path.rpartition("/")[2] for path in self.store.list(self._folder)}
        marks = sorted(name.removesuffix(".jsonl") for name in notes if name.endswith(".jsonl"))
        for mark in [mark for mark in marks if f"{mark}.done" in notes]:
            self.drop(mark)
        for mark in {name.removesuffix(".batch") for name in notes if name.endswith(".batch")} - set(marks):
            self.refused(mark)
        return [mark for mark in marks if f"{mark}.done" not in notes]

    def count_collected(self) -> int:
        return sum(path.endswith(".done") for path in self.store.list(self._folder))

    def batch(self, mark: str) -> str | None:
        """Which batch a file became, where that is noted."""
        path = f"{self._folder}/{mark}.batch"
        return str(json.loads(self.store.read_bytes(path))["batch"]) if self.store.exists(path) else None

    def submitted(self, mark: str, batch: str) -> None:
        self.store.put_bytes(f"{self._folder}/{mark}.batch", json.dumps({"batch": batch}).encode())

    def collected(self, mark: str, batch: str) -> None:
        self.store.put_bytes(f"{self._folder}/{mark}.done", json.dumps({"batch": batch}).encode())
        self.drop(mark)

    def drop(self, mark: str) -> None:
        """Forget a file, and which batch it became."""
        self.refused(mark)
        self.store.delete(self.file(mark))

    def refused(self, mark: str) -> None:
        """Forget which batch a file became: the server did nothing of it."""
        self.store.delete(f"{self._folder}/{mark}.batch")

    def open(self, mark: str) -> IO[bytes]:
        return self.store.open(self.file(mark))

    def requests(self, mark: str, provider: str) -> Iterator[Request]:
        """What a file asks."""
        with self.open(mark) as file:
            for line in file:
                row = json.loads(line)
                yield Request(provider, row["url"].removeprefix(ROOT), row["body"])

    def hashes(self, mark: str) -> list[str]:
        with self.open(mark) as file:
            return [json.loads(line)["custom_id"] for line in file]

    @property
    def _folder(self) -> str:
        return self.build[:16]


def scratch() -> IO[bytes]:
    """A file on the local disk that has no name, so that a kill leaves nothing of it. To be closed."""
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise no_room(error) from error


def no_room(error: OSError) -> BuildError:
    """Of a disk that is full or refuses, below the folder of scratch files."""
    return BuildError(
        f"could not write below {tempfile.gettempdir()}: {error.strerror or error}; mend that, or set TMPDIR, and run "
        "the same command again"
    )
