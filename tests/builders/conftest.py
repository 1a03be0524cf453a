"""Units and small datasets, built by the code that builds real ones, without Ray."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from builders import rows
from builders.shards.dataset import CLAIM, Claim, read_claim, read_markers, write_claim
from builders.shards.finish import finish
from builders.shards.store import Store
from builders.shards.unit import Layout, Member, commit_unit
from schemas.manifest import UnitMarker
from tests.toy_recipe import CONTENT, RECIPE

LAYOUT = Layout(
    members=(Member("image", extension_from="format"), Member("caption", "txt"), Member("json", "json")),
    tallies=("n_boxes",),
)

Outcome = tuple[str, str, str] | None
"""(outcome, step, reason), or None for a record that is kept."""


@dataclass
class Unit:
    """A unit as it arrives at the sink. `outcomes` holds, for each input, the outcomes of the records it became."""

    number: int
    outcomes: Sequence[Sequence[Outcome]]
    size: int = 700
    table: pa.Table = field(init=False)

    def __post_init__(self) -> None:
        records = []
        for row, children in enumerate(self.outcomes):
            parent = f"{self.number:03d}x{row:03d}"
            for child, outcome in enumerate(children):
                key = parent if len(children) == 1 else f"{parent}-{child}"
                records.append(self._record(key, parent, row, outcome))
        schema = pa.schema(
            [*rows.IDENTITY, *rows.VERDICT, ("image", pa.large_binary()), ("format", pa.string())]
            + [("caption", pa.string()), ("json", pa.large_binary()), ("n_boxes", pa.int32()), ("_hidden", pa.int32())]
        )
        self.table = pa.Table.from_pylist(records, schema)

    def _record(self, key: str, parent: str, row: int, outcome: Outcome) -> dict[str, Any]:
        caption = f"caption of {key}: a 🐕"
        what, step, reason = outcome or (None, None, None)
        media = {"image": (key.encode() * self.size)[: self.size], "json": json.dumps({"key": key}).encode()}
        return {
            "key": key,
            "parent": parent,
            "_unit": self.number,
            "_row": row,
            "_outcome": what,
            "_step": step,
            "_reason": reason,
            "_detail": f"why {key}" if what else None,
            **(media if not what else {}),
            "format": ("jpg", "png")[row % 2],
            "caption": caption,
            "n_boxes": row,
            "_hidden": 1,
        }

    def commit(self, store: Store, seconds: dict[str, float] | None = None) -> UnitMarker:
        claim = read_claim(store) if store.exists(CLAIM) else None
        took, content_hash = seconds or {"parse": 0.5}, claim.hash if claim else ""
        return commit_unit(store, self.number, len(self.outcomes), self.table, LAYOUT, took, content_hash=content_hash)


NO_BOX: Outcome = ("rejected", "select_boxes", "no_box")
BROKEN: Outcome = ("failed", "read_image", "OSError")


@pytest.fixture(scope="session")
def unit() -> type[Unit]:
    """`Unit`, for tests that make their own."""
    return Unit


BuildDataset = Callable[[Path], Store]


@pytest.fixture(scope="session")
def dataset() -> BuildDataset:
    """Builds a finished dataset of three units: one with losses, one that keeps nothing, one whole."""

    def build(folder: Path) -> Store:
        store = Store(folder)
        units = [
            Unit(0, [[None], [NO_BOX], [None, BROKEN], [None]]),
            Unit(1, [[NO_BOX], [BROKEN]]),
            Unit(2, [[None], [None]]),
        ]
        claim = Claim({"recipe": CONTENT, "inputs": {"a": "b"}, "models": {}}, (4, 2, 2))
        write_claim(store, claim)
        for one in units:
            one.commit(store)
        finish(
            store,
            claim,
            read_markers(store),
            RECIPE,
            {"seconds": 1.0},
            {"inputs": 8},
        )
        return store

    return build
