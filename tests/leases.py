"""Leases that others left."""

from __future__ import annotations

import json

from builders.shards.lease import LEASES, SIGNATURE
from builders.shards.store import Store

ROSA = {"host": "elsewhere", "pid": 7, "user": "rosa", "since": "2026-01-01 10:00:00 UTC"}


def left_by(store: Store, name: str = "theirs", **told: object) -> None:
    """The lease of a builder on another machine."""
    store.put_bytes(f"{LEASES}/{name}.json", json.dumps({**ROSA, "held": True, **told}).encode())


def signed_by(store: Store) -> None:
    """That builder has taken the lease over, and signed."""
    store.put_bytes(SIGNATURE, json.dumps({**ROSA, "identity": "rosas"}).encode())
