"""Runs steps over a unit: Arrow in, Arrow out, every record with an outcome.

A step sees only the columns that it reads. A batch that raises is tried again record by record; what still raises
becomes a failed record. Results that do not fit the step's own declaration are a bug and stop the build.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from builders import rows
from builders.shards.unit import PARENTS
from builders.step import Child, Failed, Pack, Record, Rejected, Result, Step
from pipelines.logs import raised, tell
from schemas.errors import BuildError, UserError

DETAIL_MAX = 500
"""Characters of a failure's or rejection's detail that are kept."""

_SECONDS = b"gristmill.seconds"


class StepBug(BuildError):
    """A step broke its own contract; no record is to blame, so the build stops."""


@dataclass
class Verdicts:
    """What a step made of the live rows of a unit: which row each result came from, and the result's columns."""

    parents: list[int] = field(default_factory=list)
    suffixes: list[str | None] = field(default_factory=list)
    records: list[Record | None] = field(default_factory=list)
    lost: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    known: dict[int, Record] = field(default_factory=dict)


def run_steps(table: pa.Table, steps: Sequence[Step], batch: int) -> pa.Table:
    """The unit after `steps`: their columns added, lost rows marked, and the media of lost rows let go."""
    seconds = seconds_of(table)
    before = rows.live(table)
    for step in steps:
        started = time.perf_counter()
        table = run_step(table, step, batch)
        seconds[step.name] = seconds.get(step.name, 0.0) + time.perf_counter() - started
    after = rows.live(table)
    if len(after) != len(before) or after.true_count < before.true_count:
        table = _drop_media(table, after)
    return table.replace_schema_metadata({_SECONDS: json.dumps(seconds)})


def seconds_of(table: pa.Table) -> dict[str, float]:
    """Worker seconds by step that the unit has taken so far."""
    seconds: dict[str, float] = json.loads((table.schema.metadata or {}).get(_SECONDS, b"{}"))
    return seconds


def run_step(table: pa.Table, step: Step, batch: int) -> pa.Table:
    """The unit after one step."""
    positions = pc.indices_nonzero(rows.live(table)).to_pylist()
    verdicts = Verdicts()
    for start in range(0, len(positions), batch):
        part = positions[start : start + batch]
        contiguous = part[-1] - part[0] + 1 == len(part)
        selected = table.select(step.reads)
        selected = selected.slice(part[0], len(part)) if contiguous else selected.take(part)
        records = selected.to_pylist() if step.reads else [{} for _ in part]
        for position, result in zip(part, _results(step, records), strict=True):
            _note(verdicts, step, position, result)
    return _apply(table, step, verdicts)


def _results(step: Step, records: list[Record]) -> Iterator[Result]:
    try:
        results = step(records)
    except (BuildError, UserError, MemoryError):
        raise
    except Exception as error:
        if len(records) > 1:
            tell("batch_raised", "warning", step=step.name, records=len(records), **raised(error))
        yield from _one_by_one(step, records) if len(records) > 1 else [_failed(error)]
        return
    if not isinstance(results, Sequence) or len(results) != len(records):
        got = len(results) if isinstance(results, Sequence) else type(results).__name__
        raise StepBug(f"step {step.name!r} returned {got} results for {len(records)} records: one each, in order")
    yield from results


def _one_by_one(step: Step, records: list[Record]) -> Iterator[Result]:
    for record in records:
        yield from _results(step, [record])


def _failed(error: Exception) -> Failed:
    return Failed(type(error).__name__, " ".join(str(error).split()))


def _note(verdicts: Verdicts, step: Step, position: int, result: Result) -> None:
    if isinstance(result, Rejected):
        if not isinstance(result.reason, str) or not isinstance(result.detail, str):
            raise StepBug(f"step {step.name!r} rejected with a reason or detail that is no text: {result}")
        outcome = "failed" if isinstance(result, Failed) else "rejected"
        verdicts.lost[position] = outcome, result.reason, result.detail[:DETAIL_MAX]
        if not result.known.keys() <= step.adds.keys():
            raise StepBug(f"step {step.name!r} rejected with {_shape(result.known)}, but adds {sorted(step.adds)}")
        if result.known:
            verdicts.known[position] = result.known
        return
    if isinstance(result, list) and not result:
        raise StepBug(f"step {step.name!r} returned no children for a record: return Rejected(reason) instead")
    for child in result if isinstance(result, list) else [result]:
        suffix, record = _child(step, child) if isinstance(result, list) else (None, child)
        if not isinstance(record, dict) or record.keys() != step.adds.keys():
            raise StepBug(f"step {step.name!r} returned {_shape(record)}, but adds {sorted(step.adds)}")
        verdicts.parents.append(position)
        verdicts.suffixes.append(suffix)
        verdicts.records.append(record)


def _child(step: Step, child: Any) -> tuple[str, Any]:
    if not isinstance(child, Child):
        raise StepBug(
            f"step {step.name!r} returned a list with a {type(child).__name__}: fan out into Child(suffix, …)"
        )
    problem = rows.key_problem(child.suffix.lstrip("_"))
    if problem:
        raise StepBug(f"step {step.name!r} made a child with the suffix {child.suffix!r}: {problem}")
    return child.suffix, child.record


def _shape(record: Any) -> str:
    return f"columns {sorted(record)}" if isinstance(record, dict) else f"a {type(record).__name__}"


def _apply(table: pa.Table, step: Step, verdicts: Verdicts) -> pa.Table:
    """Append the step's columns and verdicts; rows are replicated only where a record fanned out."""
    if any(suffix is not None for suffix in verdicts.suffixes):
        table, results = _fan_out(table, step, verdicts)
    else:
        results = [None] * table.num_rows
        for position, record in zip(verdicts.parents, verdicts.records, strict=True):
            results[position] = record
        for position, known in verdicts.known.items():
            results[position] = known
    for name, kind in step.adds.items():
        values = [None if record is None else record.get(name) for record in results]
        table = table.append_column(name, _column(step, name, values, kind))
    return table if not verdicts.lost else _mark(table, step, verdicts.lost)


def _column(step: Step | Pack, name: str, values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError) as error:
        raise StepBug(f"step {step.name!r} put into {name!r} what is not {kind}: {error}") from None


def _fan_out(table: pa.Table, step: Step, verdicts: Verdicts) -> tuple[pa.Table, list[Record | None]]:
    made: dict[int, list[tuple[str | None, Record | None]]] = {}
    for parent, suffix, record in zip(verdicts.parents, verdicts.suffixes, verdicts.records, strict=True):
        made.setdefault(parent, []).append((suffix, record))
    positions: list[int] = []
    results: list[Record | None] = []
    keys: list[str] = []
    lost: dict[int, tuple[str, str, str]] = {}
    for position, key in enumerate(table[rows.KEY].to_pylist()):
        for suffix, record in made.get(position, [(None, verdicts.known.get(position))]):
            if position in verdicts.lost:
                lost[len(positions)] = verdicts.lost[position]
            positions.append(position)
            results.append(record)
            keys.append(key if suffix is None else _child_key(step, key, suffix))
        if len(children := made.get(position, [])) > len({suffix for suffix, _ in children}):
            raise StepBug(f"step {step.name!r} made children of {key!r} with a suffix that stands twice")
    verdicts.lost = lost
    table = table.take(pa.array(positions, pa.int64()))
    return table.set_column(table.schema.get_field_index(rows.KEY), rows.KEY, pa.array(keys, pa.string())), results


def _child_key(step: Step | Pack, key: str, suffix: str) -> str:
    if not suffix:
        return key
    problem = rows.key_problem(f"{key}-{suffix}")
    if problem:
        raise StepBug(f"step {step.name!r} made a child of {key!r} whose key, with {suffix!r}, is {problem}")
    return f"{key}-{suffix}"


def _mark(table: pa.Table, step: Step, lost: Mapping[int, tuple[str, str, str]]) -> pa.Table:
    for i, field_ in enumerate(rows.VERDICT):
        values = table[field_.name].to_pylist()
        for position, (outcome, reason, detail) in lost.items():
            values[position] = (outcome, step.name, reason, detail)[i]
        values = [None if v is None else v.encode("utf-8", "replace").decode() for v in values]
        index = table.schema.get_field_index(field_.name)
        table = table.set_column(index, field_, pa.array(values, field_.type))
    return table


def _drop_media(table: pa.Table, live: pa.Array) -> pa.Table:
    """Media of lost rows become null. Their bytes are let go only where most rows are lost: that copies the rest."""
    for index, field_ in enumerate(table.schema):
        if rows.is_media(field_.type):
            column = table[field_.name].combine_chunks()
            if live.true_count * 2 < len(live):
                column = pc.if_else(live, column, pa.scalar(None, field_.type))
            else:
                column = _masked(column, live)
            table = table.set_column(index, field_, column)
    return table


def _masked(column: pa.Array, live: pa.Array) -> pa.Array:
    """The column, null where not live, over the same buffers."""
    valid = pc.and_(live, column.is_valid())
    if column.offset or valid.offset:  # buffers that start elsewhere do not go together
        return pc.if_else(valid, column, pa.scalar(None, column.type))
    buffers = [valid.buffers()[1], *column.buffers()[1:]]
    return pa.Array.from_buffers(column.type, len(column), buffers, len(column) - valid.true_count)


def run_pack(table: pa.Table, pack: Pack) -> pa.Table:
    """The samples that a pack makes of the kept rows: key and parent of the first one, and the pack's own columns; with
    the keys of the rows that it joins (`parents`), or with what the one row holds."""
    kept = table.filter(rows.live(table))
    samples = pack(kept.select(pack.reads).to_pylist()) if kept.num_rows else []
    keys = kept[rows.KEY].to_pylist()
    placed = {position for sample in samples for position in sample.parents}
    if any(not sample.parents for sample in samples):
        raise StepBug(f"pack {pack.name!r} made a sample without parents, so it has no key")
    if placed != set(range(kept.num_rows)):
        raise StepBug(f"pack {pack.name!r} placed {len(placed)} of {kept.num_rows} records: none may be lost")
    if not pack.joins and any(len(sample.parents) > 1 for sample in samples):
        raise StepBug(f"pack {pack.name!r} joined records, which it says that it does not")
    held = kept.select([*rows.IDENTITY.names, *rows.VERDICT.names]) if pack.joins else kept
    out = held.take(pa.array([sample.parents[0] for sample in samples], pa.int64()))
    parents = [[keys[position] for position in sample.parents] for sample in samples]
    if pack.joins:
        out = out.append_column(PARENTS, pa.array(parents, pa.list_(pa.string())))
    own = [_child_key(pack, key[0], sample.suffix) for key, sample in zip(parents, samples, strict=True)]
    out = out.set_column(out.schema.get_field_index(rows.KEY), rows.KEY, pa.array(own, pa.string()))
    for name, kind in pack.adds.items():
        if any(sample.record.keys() != pack.adds.keys() for sample in samples):
            raise StepBug(f"pack {pack.name!r} must give every sample the columns {sorted(pack.adds)}")
        out = out.append_column(name, _column(pack, name, [sample.record[name] for sample in samples], kind))
    return out
