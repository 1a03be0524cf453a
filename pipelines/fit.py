"""The end of a DAG that fits: a sample of what it kept, run through further stages, becomes an artefact."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
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

    Raises BuildError where something that was kept cannot be had again.
    """
    drawn = fitting.fit.draw(read_index(store, fitting.fit.reads))
    for line in (*drawn.warnings, drawn.told):
        print(line, file=sys.stderr, flush=True)
    part = f"{DRAWN}/{hashlib.sha256(json.dumps(drawn.keys).encode()).hexdigest()[:16]}"
    sample = Store(store.root / part)
    manifest = build(dag.drawn(fitting, frozenset(drawn.keys)), sample)
    members = Members(sample)
    if lost := set(drawn.keys) - members.keys():
        clear_folder(store, part)
        reasons = manifest["funnel"]["inputs"]["reasons"].items()
        why = ", ".join(f"{reason} ({n:,})" for reason, n in reasons if not reason.endswith("/not_drawn"))
        raise BuildError(
            f"{len(lost):,} of {len(drawn.keys):,} that were drawn of what was kept were lost since: {why}; "
            "have the source's files changed? Run the same command again, or build anew with --overwrite"
        )
    fitted = put_artefact(store, fitting.fit.make(drawn, members))
    clear_folder(store, DRAWN)
    return fitted
