"""Answers that are no text: files of their own in the ledger's folder, named by the SHA-256 of what they hold.

The entry's `text` refers to one: {"media": SHA-256 in hex, "bytes": their number, "type": Content-Type}.
"""

from __future__ import annotations

import hashlib
import json
import re

from builders.llm.request import Entry
from builders.shards.store import Store
from schemas.errors import BuildError

_REFERENCE = re.compile(r'\{"media": "([0-9a-f]{64})", "bytes": [0-9]+, "type": "[^"]*"\}')


def reference(data: bytes, kind: str) -> str:
    """What the entry of an answer says in the place of its bytes. `kind`: their content type, "" where nobody told."""
    return json.dumps({"media": hashlib.sha256(data).hexdigest(), "bytes": len(data), "type": kind})


def hash_of(entry: Entry) -> str | None:
    """The SHA-256 of what an entry refers to; None of an answer in words, which has a finish_reason."""
    found = _REFERENCE.fullmatch(entry.text) if entry.text and entry.finish_reason is None else None
    return found[1] if found else None


def path_of(digest: str) -> str:
    """Below the ledger's folder."""
    return f"media/{digest[:2]}/{digest}"


def write(ledger: Store, data: bytes) -> None:
    """Raises BuildError where the disk refuses."""
    ledger.put_bytes(path_of(hashlib.sha256(data).hexdigest()), data)


def read(ledger: Store, digest: str) -> bytes | None:
    """None where no such file is, or where it holds anything else. Raises BuildError where it cannot be read."""
    try:
        data = ledger.read_bytes(path_of(digest))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BuildError(
            f"could not read {ledger}/{path_of(digest)}: {error.strerror}; mend that and run the same command again"
        ) from None
    return data if hashlib.sha256(data).hexdigest() == digest else None
