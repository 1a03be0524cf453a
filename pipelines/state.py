"""What a build has to do: the claim that its output must match, the units that are left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from builders.digest import digest_of
from builders.shards.dataset import (
    Claim,
    clear,
    committed,
    differences,
    is_claimed,
    read_claim,
    read_marker,
    retire,
    write_claim,
)
from builders.shards.finish import DECISIVE, versions
from builders.shards.store import Store
from pipelines.dag import Dag, Source
from schemas.errors import UserError
from schemas.manifest import Funnel, UnitMarker, summed
from schemas.recipe import Recipe, content


@dataclass(frozen=True)
class State:
    """A build before it runs. `payloads` are the source's, for the units of the claim.

    `done` are the markers of committed units, `left` the units that a run would build, `changed` those of the
    committed ones whose source files have other names or sizes by now.
    """

    claim: Claim
    claimed: bool
    done: list[UnitMarker]
    left: list[int]
    payloads: tuple[str, ...]
    changed: frozenset[int] = frozenset()

    @property
    def inputs(self) -> int:
        return sum(self.claim.unit_sizes)

    @property
    def funnel(self) -> Funnel:
        """What became of the inputs so far."""
        return summed(marker.inputs for marker in self.done)

    @property
    def with_failures(self) -> list[int]:
        """The committed units that hold failed records, children of inputs that are kept among them."""
        return [marker.unit for marker in self.done if marker.records.failed]


def make_claim(recipe: Recipe, dag: Dag) -> Claim:
    """All that decides the bytes of this build."""
    fields: dict[str, Any] = {
        "recipe": content(recipe),
        "inputs": dict(dag.source.digests),
        "models": {name: digest_of(model) for name, model in (dag.models or {}).items()},
        "versions": versions((*DECISIVE, *dag.packages)),
    }
    return Claim(json.loads(json.dumps(fields)), tuple(dag.source.unit_sizes))


def look(store: Store, claim: Claim, source: Source) -> State:
    """The state of the output. A committed unit of which a file is gone is left to be built again.

    Raises UserError where it was built from other content, with the difference.
    """
    old = read_claim(store)
    if old is None:
        return _fresh(claim, source)
    if old.hash != claim.hash:
        lines = "; ".join(differences(old.content, claim.content))
        raise UserError(
            f"--out {store} was built from other content: {lines}. "
            "Give another --out, or --overwrite to delete what is there"
        )
    files = {path for folder in ("data", "index", "rejects", "embeddings") for path in store.list(folder)}
    markers = [marker for unit in committed(store) if _whole(marker := read_marker(store, unit), files)]
    there = {marker.unit for marker in markers}
    left = [unit for unit in range(len(old.unit_sizes)) if unit not in there]
    payloads = tuple(source.payloads(old.unit_sizes))
    changed = frozenset(marker.unit for marker in markers if marker.payloads != payloads[marker.unit])
    return State(old, True, markers, left, payloads, changed)


def _whole(marker: UnitMarker, files: set[str]) -> bool:
    mine = (marker.shard, marker.index, marker.rejects, marker.embeddings)
    return all(file.path in files for file in mine if file)


def _fresh(claim: Claim, source: Source) -> State:
    return State(claim, False, [], list(range(len(claim.unit_sizes))), tuple(source.payloads(claim.unit_sizes)))


def refusal(state: State, *, retry_failed: bool) -> str | None:
    """Why a run would mix old files with new ones, and the mend; None where it would not."""
    mended = set(state.with_failures)
    stale = state.changed - mended if retry_failed else state.changed
    if not stale:
        return None
    whole = "--retry-failed builds them again, as they hold failed records" if stale <= mended else "--overwrite"
    return (
        f"the source's files have changed (names or sizes) since {_units(sorted(stale))} built; "
        f"{whole}, or give another --out"
    )


def _units(units: Sequence[int]) -> str:
    return f"unit {units[0]} was" if len(units) == 1 else f"{len(units):,} units, the first {units[0]}, were"


def prepare(store: Store, claim: Claim, source: Source, *, overwrite: bool, retry_failed: bool) -> State:
    """Make the output ready to build: swept, claimed, and with the units taken back that shall be built again.

    Raises UserError where it was built from other content, or from files that have changed since.
    """
    if overwrite and is_claimed(store):
        clear(store)
        state = _fresh(claim, source)
    else:
        state = look(store, claim, source)
    if problem := refusal(state, retry_failed=retry_failed):
        raise UserError(f"--out {store}: {problem}")
    store.sweep()
    if not state.claimed:
        write_claim(store, claim)
    if retry_failed and state.with_failures:
        again = set(state.with_failures)
        retire(store, sorted(again))
        done = [marker for marker in state.done if marker.unit not in again]
        state = replace(state, done=done, left=sorted(again.union(state.left)))
    return replace(state, claimed=True)
