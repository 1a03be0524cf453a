"""What a build has to do: the claim that its output must match, the units that are left."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from builders.digest import digest_of
from builders.shards.dataset import (
    Claim,
    clear,
    committed,
    differences,
    is_claimed,
    read_claim,
    read_manifest,
    read_markers,
    reopen,
    retire,
    write_claim,
)
from builders.shards.finish import DECISIVE, versions
from builders.shards.store import Store
from builders.shards.unit import embeddings_path, index_path, marker_path, rejects_path, shard_path
from pipelines.dag import Dag, Source
from schemas.errors import BuildError, UserError
from schemas.manifest import Funnel
from schemas.recipe import Recipe, content


@dataclass(frozen=True)
class State:
    """A build before it runs. `payloads` are the source's, for the units of the claim.

    `left` are the units that a run would build, `funnel` is what became of the inputs of the others. Of these,
    `with_failures` hold failed records (children of inputs that are kept among them), and the source files of `changed`
    have other names or sizes by now. `void` are the markers that do not count: of another build, or of a unit of which
    a file is gone.
    """

    claim: Claim
    claimed: bool
    left: list[int]
    payloads: Sequence[str]
    funnel: Funnel = field(default_factory=Funnel)
    with_failures: tuple[int, ...] = ()
    changed: frozenset[int] = frozenset()
    void: tuple[int, ...] = ()

    @property
    def inputs(self) -> int:
        return sum(self.claim.unit_sizes)

    @property
    def done(self) -> int:
        """How many units are committed."""
        return len(self.claim.unit_sizes) - len(self.left)


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
    """The state of the output. A unit of which a file is gone, or the marker another's, is left to be built again.

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
    payloads = source.payloads(old.unit_sizes)
    units = len(old.unit_sizes)
    files = [_listed(store, path_of, units) for path_of in (shard_path, index_path, rejects_path, embeddings_path)]
    done, funnel = bytearray(units), Funnel()
    with_failures: list[int] = []
    changed: list[int] = []
    void: list[int] = []
    numbers, content_hash = committed(store), claim.hash
    for number, marker in zip(numbers, read_markers(store, numbers), strict=True):
        mine = (marker.shard, marker.index, marker.rejects, marker.embeddings)
        ours = number == marker.unit < units and marker.content_hash == content_hash
        if not (ours and all(there[number] for file, there in zip(mine, files, strict=True) if file)):
            void.append(number)
            continue
        done[marker.unit] = 1
        funnel.add(marker.inputs)
        with_failures += [marker.unit] if marker.records.failed else []
        changed += [marker.unit] if marker.payloads != payloads[marker.unit] else []
    left = [unit for unit, there in enumerate(done) if not there]
    return State(old, True, left, payloads, funnel, tuple(with_failures), frozenset(changed), tuple(void))


def _listed(store: Store, path_of: Callable[[int], str], units: int) -> bytearray:
    """Of each unit, 1 where the file at `path_of` is there: listed once, never looked for one by one."""
    there = bytearray(units)
    folder = path_of(0).rpartition("/")[0]
    for path in store.list(folder):
        number = path.rpartition("/")[2].partition(".")[0]
        if number.isdecimal() and int(number) < units and path == path_of(int(number)):
            there[int(number)] = 1
    return there


def _fresh(claim: Claim, source: Source) -> State:
    return State(claim, False, list(range(len(claim.unit_sizes))), source.payloads(claim.unit_sizes))


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


def _check_ours(store: Store) -> None:
    """Raises UserError where nothing that can be read tells that what lies there is a dataset of ours."""
    try:
        read_claim(store)
    except BuildError as error:
        with suppress(BuildError, UserError):
            if next(read_markers(store), None) or read_manifest(store):
                return
        raise UserError(
            f"{error}, but nothing else there is of a gristmill dataset; empty the folder yourself"
        ) from None


def prepare(store: Store, claim: Claim, source: Source, *, overwrite: bool, retry_failed: bool) -> State:
    """Make the output ready to build: swept, claimed, with the units taken back that shall be built again, and without
    a manifest where any unit is left.

    Raises UserError where it was built from other content, or from files that have changed since.
    """
    if overwrite and is_claimed(store):
        _check_ours(store)
        clear(store)
        state = _fresh(claim, source)
    else:
        state = look(store, claim, source)
    if problem := refusal(state, retry_failed=retry_failed):
        raise UserError(f"--out {store}: {problem}")
    store.sweep()
    if not state.claimed:
        write_claim(store, claim)
    if state.left:
        reopen(store)
    store.delete_each([marker_path(unit) for unit in state.void])  # it would count for what is built in its place
    if retry_failed and state.with_failures:
        retire(store, state.with_failures)
        state = look(store, claim, source)
    return replace(state, claimed=True)
