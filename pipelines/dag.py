"""What a pipeline is made of: stages of steps between a source and its shards, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from builders import rows
from builders.fit import Fit, TakeDrawn
from builders.llm.request import Request
from builders.need import Need
from builders.shards.store import Store
from builders.shards.unit import PARENTS, PLACE, Layout, Member
from builders.step import Pack, Record, Step
from schemas.endpoint import Endpoint

if TYPE_CHECKING:
    from builders.uri import Place


class Source(Protocol):
    """A list of inputs, cut into units without reading payloads. Picklable; its tables are shared, not copied."""

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        """What `read` returns; `key` (string) among them."""

    @property
    def unit_sizes(self) -> Sequence[int]:
        """How many inputs each unit holds: unit n is the same inputs in any run."""

    @property
    def digests(self) -> Mapping[str, str]:
        """What identifies the inputs: name -> SHA-256 in hex. Guarded on resume."""

    def payloads(self, sizes: Sequence[int]) -> Sequence[str]:
        """What identifies the payload files of units of these sizes, as listed and unread: "" where there are none.

        Guarded on resume, when the cut is that of the first run.
        """

    def read(self, start: int, count: int) -> pa.Table:
        """The inputs from position `start` on, `count` of them."""

    def facts(self) -> Mapping[str, int | str]:
        """What `plan` tells of the inputs, in order."""


@dataclass(frozen=True)
class Stage:
    """Consecutive steps on one kind of hardware.

    `gpus` GPUs a worker where the cluster has any; such a stage runs on CPUs where it has none. `batch` records are
    handed to a step at once, cut inside the unit. `at_once`: units in it at most, for a stage that waits for others.
    `needs_gpu`: the field of the recipe and its value for which CPUs will not do; "" where they will.
    """

    name: str
    steps: tuple[Step, ...]
    batch: int = 64
    cpus: float = 1
    gpus: float = 0
    at_once: int | None = None
    needs_gpu: str = ""


class AskingStep(Step, Protocol):
    """A step whose records each become one request to a language model."""

    def requests(self, records: list[Record]) -> list[Request]:
        """What the step asks about each record."""

    def expected_tokens(self, records: list[Record]) -> list[float]:
        """How long each answer may be expected to be."""


@dataclass(frozen=True)
class Asking:
    """Who answers a step's requests. `per_input`: requests that an input makes, at most; `distinct`: those of the whole
    build, where inputs share theirs."""

    step: AskingStep
    settings: Endpoint
    per_input: int = 1
    distinct: int | None = None

    def most(self, inputs: int) -> int:
        """Requests that so many inputs make, at most."""
        return min(self.per_input * inputs, self.distinct or self.per_input * inputs)


@dataclass(frozen=True)
class Fitting:
    """What a DAG ends in, in place of shards. What `fit` draws runs through `stages`, from the source on, and `fit`
    makes its artefact of the `member` that they leave."""

    fit: Fit
    stages: tuple[Stage, ...]
    member: Member


@dataclass(frozen=True)
class Dag:
    """source -> stages -> (pack ->) shards, or an index of what an artefact is fitted on.

    `models` maps each model that decides bytes to its file, files or folder; `packages` are those, beside the ones that
    every build needs, whose versions do. `fetches`: a step asks hosts of the internet, which is limited cluster-wide.
    `asks`: the first step of a stage asks a language model. `fit`: it ends in an artefact; its layout has no members.
    `chosen` tells, name by name, what the recipe came to where it leaves something open, a model's own threshold, say:
    in plan, manifest and card; `expected` is for plan alone. `unrepeatable`: further reasons why another build may come
    to other bytes. `keys`: recipe fields that name the variable of the environment from which a step takes a key, each
    with that variable. `statistics`: counts from the finished index what readers compare, for manifest and card.
    `needs`: what others publish and the steps load; a DAG that was made for plan alone may lack some of it, and cannot
    run then.
    """

    name: str
    source: Source
    stages: tuple[Stage, ...]
    layout: Layout
    pack: Pack | None = None
    models: Mapping[str, Place | tuple[Place, ...]] | None = None
    packages: tuple[str, ...] = ()
    fetches: bool = False
    asks: Asking | None = None
    fit: Fitting | None = None
    chosen: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, str] = field(default_factory=dict)
    unrepeatable: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    statistics: Callable[[Store], Mapping[str, Any]] | None = None
    needs: tuple[Need, ...] = ()

    def __post_init__(self) -> None:
        check_columns(self)
        if self.fit:
            self.drawn(self.fit, frozenset())  # its columns are checked before anything runs, too

    @property
    def steps(self) -> list[Step]:
        return [step for stage in self.stages for step in stage.steps]

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """Those of what is drawn for an artefact, too."""
        return (*self.stages, *(self.fit.stages if self.fit else ()))

    @property
    def before_asking(self) -> tuple[Stage, ...]:
        """The stages whose records the asking step is handed."""
        return tuple(takewhile(lambda stage: not self.asks or stage.steps[0] is not self.asks.step, self.stages))

    def drawn(self, fitting: Fitting, keys: frozenset[str]) -> Dag:
        """The DAG of what is drawn of this one: a dataset of the members that the artefact is made of."""
        stages = (Stage("drawn", (TakeDrawn(keys),), batch=10_000), *fitting.stages)
        return replace(self, stages=stages, layout=Layout((fitting.member,)), fit=None)

    def done_with(self, index: int) -> list[str]:
        """The columns for later steps only ("_…") that nothing after stage `index` reads: prepared pixels, say."""
        here = [step for stage in self.stages[: index + 1] for step in stage.steps]
        later: list[Step | Pack] = [step for stage in self.stages[index + 1 :] for step in stage.steps]
        later += [self.pack] if self.pack else []
        read = {name for step in later for name in step.reads} | {member.column for member in self.layout.members}
        there = dict.fromkeys([*self.source.columns, *(name for step in here for name in step.adds)])
        return [name for name in there if name.startswith("_") and name not in read]


RESERVED = {*rows.IDENTITY.names, *rows.VERDICT.names, *PLACE.names, PARENTS, "outcome", "step", "reason", "detail"}
"""Columns that the engine writes itself, into units, index or rejects."""


class ColumnError(Exception):
    """A DAG whose steps do not fit together: a bug in a pipeline, found before Ray starts."""


def check_columns(dag: Dag) -> dict[str, pa.DataType]:
    """Every column at the end of the DAG; raises ColumnError where a step reads what nothing before it added."""
    columns: dict[str, Any] = {rows.PARENT: pa.string(), **dag.source.columns}
    names: set[str] = set()
    if columns.get(rows.KEY) != pa.string():
        raise ColumnError(f"the source has no column {rows.KEY!r} of strings")
    taken = sorted(RESERVED.intersection(dag.source.columns) - {rows.KEY})
    if taken:
        raise ColumnError(f"the source has a column {taken[0]!r}, which the engine writes itself")
    ends: list[Step | Pack] = [*dag.steps, *([dag.pack] if dag.pack else [])]
    for step in ends:
        missing = [name for name in step.reads if name not in columns]
        if missing:
            raise ColumnError(f"step {step.name!r} reads {missing[0]!r}, which nothing before it adds")
        anew = dag.pack is not None and step is dag.pack and dag.pack.joins
        taken_names = RESERVED if anew else RESERVED | columns.keys()
        again = [name for name in step.adds if name in taken_names]
        if again:
            raise ColumnError(f"step {step.name!r} adds {again[0]!r}, which is there already")
        if step.name in names:
            raise ColumnError(f"two steps are named {step.name!r}: reasons are counted by step")
        names.add(step.name)
        columns.update(step.adds)
    if dag.asks and len(dag.before_asking) == len(dag.stages):
        raise ColumnError(f"step {dag.asks.step.name!r} asks, but is not the first of its stage")
    of_sample = dag.pack.adds if dag.pack and dag.pack.joins else columns
    for member in dag.layout.members:
        for name in (member.column, member.extension_from):
            if name and name not in of_sample:
                raise ColumnError(f"a sample's member is column {name!r}, which no step adds")
    for name in dag.layout.tallies:
        if not pa.types.is_integer(columns.get(name, pa.null())):
            raise ColumnError(f"{name!r} is tallied, but no step adds it as a whole number")
    return columns
