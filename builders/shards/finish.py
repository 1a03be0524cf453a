"""Closes a dataset: the manifest and the card, written when the last unit is committed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builders.cards.card import render_card
from builders.fit import Artefact
from builders.shards.dataset import CARD, FITTED, MANIFEST, Claim, read_marker, retired
from builders.shards.store import Store
from builders.shards.totals import total
from schemas.manifest import FORMAT, File, UnitMarker

DECISIVE = ("gristmill", "spacy", "pillow", "pyarrow")
"""Packages whose versions decide bytes, so they are guarded on resume."""
_TOLD = ("ray", "numpy", "torch", "duckdb", "webdataset")


@dataclass(frozen=True)
class Fitted:
    """An artefact as it was written, and what is told of it."""

    files: tuple[File, ...]
    told: str
    facts: Mapping[str, Any]


def put_artefact(store: Store, artefact: Artefact) -> Fitted:
    """Write an artefact's files below the folder FITTED, in the order that it gives."""
    files = []
    for name, data in artefact.files.items():
        store.put_bytes(f"{FITTED}/{name}", data)
        files.append(File(f"{FITTED}/{name}", len(data), hashlib.sha256(data).hexdigest()))
    return Fitted(tuple(files), artefact.told, artefact.facts)


def versions(names: Sequence[str]) -> dict[str, str]:
    """Installed versions, and Python's."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def finish(
    store: Store,
    claim: Claim,
    markers: Iterable[UnitMarker],
    recipe: Mapping[str, Any],
    times: Mapping[str, Any],
    facts: Mapping[str, int | str],
    exceptions: Sequence[str] = (),
    llm: Mapping[str, Any] | None = None,
    fitted: Fitted | None = None,
    statistics: Mapping[str, Any] | None = None,
    chosen: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Check that every unit is committed and conserved, then write the manifest and the card. Returns the manifest.

    `markers` are those of all units, `recipe` is the resolved recipe, `times` what the build took, `facts` what the
    source tells of its inputs, `exceptions` why another build may come to other bytes, `llm` who was asked and what it
    cost, `fitted` what was made in place of shards, `statistics` what `grit_statistics` counted, `chosen` what the
    recipe came to where it leaves something open. Raises BuildError.
    """
    totals = total(claim, markers)
    manifest = {
        "format": FORMAT,
        "name": recipe["name"],
        "kind": recipe["kind"],
        "content_hash": claim.hash,
        **totals.as_json(fitted.files if fitted else ()),
        "inputs": dict(facts),
        "recipe": dict(recipe),
        "content": dict(claim.content),
        "versions": {**claim.content.get("versions", {}), **versions((*DECISIVE, *_TOLD))},
        "exceptions": [
            *({"what": what} for what in exceptions),
            *(
                {"unit": old.unit, "what": "built again by --retry-failed", "old_shard": old.shard and old.shard.sha256}
                for old in retired(store, claim)
                if old != read_marker(store, old.unit)
            ),
        ],
        **({"llm": dict(llm)} if llm else {}),
        **(_made(fitted) if fitted else {}),
        **({"statistics": dict(statistics)} if statistics else {}),
        **({"chosen": dict(chosen)} if chosen else {}),
        "times": {**times, "worker_seconds": {k: round(v, 3) for k, v in totals.seconds.items()}},
    }
    store.put_bytes(CARD, render_card(manifest).encode())
    store.put_bytes(MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    return manifest


def _made(fitted: Fitted) -> dict[str, Any]:
    told: dict[str, Any] = {"told": fitted.told, **fitted.facts}
    return {"fit": told, "artefacts": [vars(file) for file in fitted.files]}
