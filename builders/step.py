"""What a step is: the one interface between the engine and everything that is done to records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from builders.acquire.hosts import Hosts
from builders.llm.request import Entry, Request

Record = dict[str, Any]
"""One input on its way: column -> plain value. Media are encoded bytes."""


@dataclass(frozen=True)
class Rejected:
    """A record that the dataset does not want. `reason` is a fixed word that is counted, `detail` is for reading.

    `known` holds those of the step's columns that are known all the same, so that they stand in the rejects.
    """

    reason: str
    detail: str = ""
    known: Record = field(default_factory=dict)


@dataclass(frozen=True)
class Failed(Rejected):
    """A record that could not be judged, and may be in a later run (--retry-failed): a server was busy, say.

    What raises an exception becomes one as well.
    """


@dataclass(frozen=True)
class Child:
    """One of several records that an input fans out into; its key is the parent's key, "-", and `suffix`."""

    suffix: str
    record: Record


Result = Record | list[Child] | Rejected


class Counters(Protocol):
    """Live numbers for whoever watches the build; they decide nothing, and are lost with it."""

    def add(self, amounts: Mapping[str, float]) -> None:
        """Add to the named counters, at once for the whole cluster."""


class Asks(Protocol):
    """A language model or another endpoint, wherever it answers."""

    def ask(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """For each request its answer, or the last attempt at it that failed. Raises BuildError where none can."""

    def media(self, entry: Entry) -> bytes:
        """The bytes that an answer refers to (see builders/llm/media.py). Raises BuildError where they are lost."""


@dataclass(frozen=True)
class Services:
    """What a worker hands to a step at `setup`. `device` is "cuda" on a worker that holds a GPU, "cpu" elsewhere.

    `hosts`: how many requests run at each host of the internet, in the whole cluster; None where only this one asks.
    `llm`: who answers; None where the recipe asks no language model.
    """

    counters: Counters
    device: str
    hosts: Hosts | None = None
    llm: Asks | None = None


class Step(Protocol):
    """One thing done to records.

    It sees only the columns that it reads. Scalar columns that it adds reach the index; columns whose name starts
    with "_" are for later steps only. A step keeps no state between calls that could change a result, and draws
    nothing at random that is not derived from (seed, key).
    """

    @property
    def name(self) -> str:
        """Unique in its DAG; reasons and seconds are counted by it."""

    @property
    def reads(self) -> Sequence[str]:
        """Columns that a record holds when it is handed over."""

    @property
    def adds(self) -> Mapping[str, pa.DataType]:
        """Columns of each result, with their Arrow types."""

    def setup(self, services: Services) -> None:
        """Called once in each worker before the first batch: models load here."""

    def __call__(self, records: list[Record]) -> Sequence[Result]:
        """One result for each record, in order. An exception makes the engine try the records one by one."""


class Pack(Protocol):
    """Fan-in over one unit: called once, after the last step, with the records that the unit kept."""

    @property
    def joins(self) -> bool:
        """Whether samples are of several records, and hold what the pack gives them alone; else each is of one,
        and has its other columns, too."""

    @property
    def name(self) -> str:
        """Unique in its DAG; reasons and seconds are counted by it."""

    @property
    def reads(self) -> Sequence[str]:
        """Columns that a record holds when it is handed over."""

    @property
    def adds(self) -> Mapping[str, pa.DataType]:
        """Columns of each result, with their Arrow types."""

    def __call__(self, records: list[Record]) -> Sequence[Packed]:
        """Every record's position must stand in the `parents` of at least one result."""


@dataclass(frozen=True)
class Packed:
    """One sample packed of several records: `parents` are their positions; the key is the first parent's, with "-" and
    `suffix` where several samples have one first parent.

    Of the columns of a pack, lists reach the index as well as scalars: what stands for each of the parents.
    """

    parents: tuple[int, ...]
    record: Record
    suffix: str = ""
