"""Closes a dataset: the manifest and the card, written when the last unit is committed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builders.cards.card import render_card
from builders.fit import Artefact
from builders.shards.dataset import CARD, FITTED, MANIFEST, Claim, dataset_digest, retired
from builders.shards.store import Store
from schemas.errors import BuildError
from schemas.manifest import FORMAT, File, UnitMarker, summed

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
    markers: Sequence[UnitMarker],
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
    check_conservation(markers, claim)
    now = {marker.unit: marker for marker in markers}
    manifest = {
        "format": FORMAT,
        "name": recipe["name"],
        "kind": recipe["kind"],
        "content_hash": claim.hash,
        **totals(markers, fitted.files if fitted else ()),
        "inputs": dict(facts),
        "recipe": dict(recipe),
        "content": dict(claim.content),
        "versions": {**claim.content.get("versions", {}), **versions((*DECISIVE, *_TOLD))},
        "exceptions": [
            *({"what": what} for what in exceptions),
            *(
                {"unit": old.unit, "what": "built again by --retry-failed", "old_shard": old.shard and old.shard.sha256}
                for old in retired(store)
                if old != now.get(old.unit)
            ),
        ],
        **({"llm": dict(llm)} if llm else {}),
        **(_made(fitted) if fitted else {}),
        **({"statistics": dict(statistics)} if statistics else {}),
        **({"chosen": dict(chosen)} if chosen else {}),
        "times": {**times, "worker_seconds": {k: round(v, 3) for k, v in _added(m.seconds for m in markers).items()}},
    }
    store.put_bytes(CARD, render_card(manifest).encode())
    store.put_bytes(MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    return manifest


def _made(fitted: Fitted) -> dict[str, Any]:
    told: dict[str, Any] = {"told": fitted.told, **fitted.facts}
    return {"fit": told, "artefacts": [vars(file) for file in fitted.files]}


def totals(markers: Sequence[UnitMarker], artefacts: Sequence[File] = ()) -> dict[str, Any]:
    """What the manifest says of all units together; `verify` counts it again."""
    return {
        "dataset_digest": dataset_digest(markers, artefacts),
        "samples": sum(marker.samples for marker in markers),
        "shards": sum(1 for marker in markers if marker.shard),
        "bytes": sum(marker.shard.size for marker in markers if marker.shard),
        "units": len(markers),
        "funnel": {name: summed(getattr(m, name) for m in markers).as_json() for name in ("inputs", "records")},
        "tallies": _added(marker.tallies for marker in markers),
    }


def check_conservation(markers: Sequence[UnitMarker], claim: Claim) -> None:
    """Every unit is there, every input has one outcome, every loss a reason. Raises BuildError."""
    there = {marker.unit for marker in markers}
    missing = [unit for unit in range(len(claim.unit_sizes)) if unit not in there]
    if missing:
        raise BuildError(
            f"{len(missing)} of {len(claim.unit_sizes)} units are not committed, the first is {missing[0]}"
        )
    for marker in markers:
        expected = claim.unit_sizes[marker.unit] if marker.unit < len(claim.unit_sizes) else None
        if marker.inputs.total != expected:
            raise BuildError(f"unit {marker.unit}: {marker.inputs.total} inputs have an outcome, but it has {expected}")
        if not (marker.inputs.conserved() and marker.records.conserved()):
            raise BuildError(f"unit {marker.unit}: outcomes do not add up: {marker.inputs}")


def _added(many: Any) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for one in many:
        for name, amount in one.items():
            total[name] = total.get(name, 0) + amount
    return total
