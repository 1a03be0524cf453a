"""What a DAG may end in besides shards: one artefact, fitted on a sample of what it kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from builders.shards.dataset import read_markers
from builders.shards.store import Store
from builders.shards.tar import read_members
from builders.step import Record, Rejected, Result, Services


@dataclass(frozen=True)
class Drawn:
    """The keys of what is fitted on, in the order that counts; `told` says so in a line, `warnings` are a line each.

    `facts` are plain values by name, for whoever makes the artefact.
    """

    keys: tuple[str, ...]
    told: str
    facts: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Artefact:
    """`files`: path -> bytes. `told` is a line about it, `facts` plain values by name; manifest and card tell both."""

    files: Mapping[str, bytes]
    told: str
    facts: Mapping[str, Any]


class Fit(Protocol):
    """Draws a sample of what a DAG kept, by its index, and makes an artefact of what further stages make of that."""

    @property
    def reads(self) -> Sequence[str]:
        """Columns of the index that `draw` is given, `key` among them."""

    @property
    def same(self) -> str:
        """The column by which an input is known to be what it was when it was kept: a digest, say."""

    @property
    def intended(self) -> str:
        """What `plan` says of the artefact, and of what is drawn."""

    def draw(self, index: pa.Table) -> Drawn:
        """Raises UserError where too little was kept."""

    def make(self, drawn: Drawn, members: Mapping[str, bytes]) -> Artefact:
        """`members`: by key of what was drawn, the payload that the further stages made. The same for the same."""


@dataclass
class TakeDrawn:
    """Lets go of all that was not drawn."""

    keys: frozenset[str]
    name: ClassVar = "drawn"
    reads: ClassVar = ("key",)
    adds: ClassVar[Mapping[str, pa.DataType]] = {}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [{} if record["key"] in self.keys else Rejected("not_drawn") for record in records]


@dataclass(frozen=True)
class Members(Mapping[str, bytes]):
    """The only member of each sample of a dataset, by the sample's key; read when it is asked for."""

    store: Store
    _places: dict[str, tuple[str, list[dict[str, Any]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for marker in read_markers(self.store):
            with self.store.open(marker.index.path) as file:
                for row in pq.read_table(file, columns=["key", "shard", "members"]).to_pylist():
                    self._places[row["key"]] = row["shard"], row["members"]

    def __getitem__(self, key: str) -> bytes:
        shard, members = self._places[key]
        with self.store.open(shard) as tar:
            (payload,) = read_members(tar, key, members).values()
        return payload

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def read_index(store: Store, columns: Sequence[str]) -> pa.Table:
    """Columns of the index of all committed units, in the order of the units."""
    tables = []
    for marker in read_markers(store):
        with store.open(marker.index.path) as file:
            tables.append(pq.read_table(file, columns=list(columns)))
    return pa.concat_tables(tables)
