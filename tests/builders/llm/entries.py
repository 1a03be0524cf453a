"""Entries of a ledger, and a process that seals and merges them until it is killed."""

from __future__ import annotations

import datetime
import hashlib
import sys
from pathlib import Path
from typing import Any

from builders.llm.ledger import Ledger
from builders.llm.request import ANSWER, Entry
from builders.shards.store import Store

START = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)


def hash_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def entry(number: int, **changes: Any) -> Entry:
    """The answer to request `number`, given a second after the one before."""
    values: dict[str, Any] = {
        "id": f"{number:032x}",
        "hash": hash_of(number),
        "asked_at": START + datetime.timedelta(seconds=number),
        "build": "b",
        "run": "r",
        "provider": "openai",
        "model": "m",
        "outcome": ANSWER,
        "status": 200,
        "text": f"answer {number}",
        "tokens_in": 10,
        "tokens_out": 3,
        "usd": 0.001,
    }
    return Entry(**values | changes)


def failure(number: int, **changes: Any) -> Entry:
    return entry(
        number, outcome="timeout", status=None, text=None, usd=None, tokens_in=None, tokens_out=None, **changes
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.parquet"))


def work(folder: str, first: int, count: int) -> None:
    """Seal `count` entries one by one, tell each number once its entry is safe, and merge now and then."""
    ledger = Ledger(Store(folder))
    print("ready", flush=True)
    for number in range(first, first + count):
        ledger.seal([entry(number)])
        print(number, flush=True)
        if number % 4 == 3:
            ledger.refresh()
            ledger.merge()


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
