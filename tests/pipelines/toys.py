"""Small parts for the tests of the engine: a step that does what a function says, a source of plain rows, a DAG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from builders import rows
from builders.shards.unit import Layout, Member
from builders.step import Packed, Record, Result, Services
from pipelines.dag import Dag, Stage

INT = {"n": pa.int64()}


@dataclass
class Toy:
    """A step that does `do` to each record. `batches` holds every batch that it was handed."""

    do: Callable[[Record], Result]
    name: str = "toy"
    reads: Sequence[str] = ("key",)
    adds: Mapping[str, pa.DataType] = field(default_factory=lambda: INT)
    batches: list[list[Record]] = field(default_factory=list)

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        self.batches.append([dict(record) for record in records])
        return [self.do(record) for record in records]


@dataclass
class Whole(Toy):
    """A step that does `do` to a whole batch, so that it can break the contract of one result a record."""

    def __call__(self, records: list[Record]) -> Any:
        return self.do(records)


@dataclass
class Device:
    """A step that tells on which device its worker was set up."""

    name: str = "device"
    reads: Sequence[str] = ()
    adds: Mapping[str, pa.DataType] = field(default_factory=lambda: {"device": pa.string()})
    device: str = "not set up"

    def setup(self, services: Services) -> None:
        self.device = services.device

    def __call__(self, records: list[Record]) -> list[Result]:
        return [{"device": self.device} for _ in records]


@dataclass
class Grouped:
    """A pack that puts records into samples as `group` says: positions of each sample."""

    group: Callable[[int], Sequence[tuple[int, ...]]]
    name: str = "grouped"
    joins: bool = True
    reads: Sequence[str] = ("text",)
    adds: Mapping[str, pa.DataType] = field(default_factory=lambda: {"joined": pa.string()})

    def __call__(self, records: list[Record]) -> list[Packed]:
        return [
            Packed(parents, {"joined": "+".join(records[i]["text"] for i in parents)})
            for parents in self.group(len(records))
        ]


@dataclass(frozen=True)
class Numbers:
    """A source of `sum(sizes)` inputs with a key, a text and some media; it lies where `given` says so."""

    sizes: tuple[int, ...]
    given: Mapping[int, int] = field(default_factory=dict)
    files: tuple[str, ...] = tuple(map(str, range(1000)))

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        return {"key": pa.string(), "text": pa.string(), "media": pa.large_binary()}

    @property
    def unit_sizes(self) -> Sequence[int]:
        return self.sizes

    @property
    def digests(self) -> Mapping[str, str]:
        return {"numbers": f"{self.sizes}"}

    def payloads(self, sizes: Sequence[int]) -> Sequence[str]:
        return self.files[: len(sizes)]

    def facts(self) -> Mapping[str, int | str]:
        return {"inputs": sum(self.sizes)}

    def read(self, start: int, count: int) -> pa.Table:
        return inputs(range(start, start + self.given.get(start, count)))


def inputs(numbers: Sequence[int]) -> pa.Table:
    """Rows as a source gives them."""
    return pa.table(
        {
            "key": pa.array([f"k{n:03d}" for n in numbers], pa.string()),
            "text": pa.array([f"text {n}" for n in numbers], pa.string()),
            "media": pa.array([b"media %d" % n for n in numbers], pa.large_binary()),
        }
    )


def column(table: pa.Table, name: str) -> list[Any]:
    """A column as plain values."""
    return table[name].to_pylist()


def unit(count: int) -> pa.Table:
    """A unit on its way, as the read hands it to the first stage."""
    return rows.begin(inputs(range(count)), 0)


def number(record: Record) -> int:
    """The number in a key of `inputs`."""
    return int(record["key"].split("-")[0][1:])


def dag(*stages: Stage, source: Any = None, members: Sequence[Member] = (), **rest: Any) -> Dag:
    """A DAG of toys, whose samples are texts, or what a pack made of them."""
    text = Member(next(iter(rest["pack"].adds)), "txt") if rest.get("pack") else Member("text", "txt")
    return Dag("toys", source or Numbers((4, 4, 3)), stages, Layout(tuple(members) or (text,)), **rest)
