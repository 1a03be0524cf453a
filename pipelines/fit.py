"""The end of a DAG that fits: a sample of what it kept, run through further stages, becomes an artefact."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from builders.fit import Members, read_index
from builders.shards.dataset import DRAWN, clear_folder
from builders.shards.finish import Fitted, put_artefact
from builders.shards.store import Store
from pipelines.dag import Dag, Fitting
from schemas.errors import BuildError

Build = Callable[[Dag, Store], Mapping[str, Any]]
"""Builds a DAG into a store, or goes on where that stopped; returns the manifest."""


def fit_artefact(dag: Dag, fitting: Fitting, store: Store, build: Build) -> Fitted:
    """Draw of what was kept, and make the artefact of it. What was drawn is built as a dataset of its own, so that a
    run that was killed goes on there, too; it is deleted in the end.

    Raises BuildError where something that was kept cannot be had again as it was.
    """
    drawn = fitting.fit.draw(read_index(store, fitting.fit.reads))
    for line in (*drawn.warnings, drawn.told):
        print(line, file=sys.stderr, flush=True)
    part = f"{DRAWN}/{hashlib.sha256(json.dumps(drawn.keys).encode()).hexdigest()[:16]}"
    sample = store.below(part)
    manifest = build(dag.drawn(fitting, frozenset(drawn.keys)), sample)
    was, now = (dict(_pairs(at, ("key", fitting.fit.same))) for at in (store, sample))
    if changed := [key for key in drawn.keys if was[key] != now.get(key)]:
        clear_folder(store, part)
        reasons = manifest["funnel"]["inputs"]["reasons"].items()
        lost = [f"{reason} ({n:,})" for reason, n in reasons if not reason.endswith("/not_drawn")]
        raise BuildError(
            f"{len(changed):,} of {len(drawn.keys):,} drawn ones are no longer what was kept, {min(changed)} first "
            f"({', '.join(lost) or 'they have changed'}); "
            "run the same command again on the source as it was, or build anew with --overwrite"
        )
    members = Members(sample)
    fitted = put_artefact(store, fitting.fit.make(drawn, members))
    clear_folder(store, DRAWN)
    return fitted


def _pairs(store: Store, columns: tuple[str, str]) -> Iterator[tuple[str, str]]:
    index = read_index(store, columns)
    return zip(*(index[name].to_pylist() for name in columns), strict=True)
