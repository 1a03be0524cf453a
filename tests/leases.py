"""Leases that others left."""

from __future__ import annotations

import json

from builders.shards.lease import LEASES
from builders.shards.store import Store


def left_by(store: Store, name: str = "theirs", **told: object) -> None:
    """The lease of a builder on another machine."""
    who = {"host": "elsewhere", "pid": 7, "user": "rosa", "since": "2026-01-01 10:00:00 UTC", "held": True, **told}
    store.put_bytes(f"{LEASES}/{name}.json", json.dumps(who).encode())
