"""What all units of a dataset come to together, added up marker by marker: a million of them are never held at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from builders.shards.dataset import Claim
from schemas.errors import BuildError
from schemas.manifest import File, Funnel, UnitMarker


@dataclass
class Totals:
    """The sums over the units that were added, each of them checked against the claim.

    `size` is that of all shards in bytes. It holds a bit over 100 bytes a unit: the digest of its shard, mainly.
    """

    claim: Claim
    units: int = 0
    samples: int = 0
    size: int = 0
    inputs: Funnel = field(default_factory=Funnel)
    records: Funnel = field(default_factory=Funnel)
    tallies: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    _shards: list[bytes] = field(default_factory=list)
    _there: bytearray = field(init=False)
    _hash: str = field(init=False)

    def __post_init__(self) -> None:
        self._there = bytearray(len(self.claim.unit_sizes))
        self._hash = self.claim.hash

    def add(self, marker: UnitMarker) -> None:
        """Count a unit. Raises BuildError, when it is counted, where it was built for another claim, or not every input
        has one outcome and every loss a reason."""
        self.units += 1
        self.samples += marker.samples
        self.inputs.add(marker.inputs)
        self.records.add(marker.records)
        _add(self.tallies, marker.tallies)
        _add(self.seconds, marker.seconds)
        if marker.shard:
            self.size += marker.shard.size
            self._shards.append(marker.shard.sha256.encode())
        known = marker.unit < len(self._there)
        if known:
            self._there[marker.unit] = 1
        expected = self.claim.unit_sizes[marker.unit] if known else None
        if expected is None or marker.content_hash != self._hash:
            raise BuildError(
                f"unit {marker.unit}: its marker is of another build; run the same build command "
                "again, which builds the unit anew"
            )
        if marker.inputs.total != expected:
            raise BuildError(f"unit {marker.unit}: {marker.inputs.total} inputs have an outcome, but it has {expected}")
        if not (marker.inputs.conserved() and marker.records.conserved()):
            raise BuildError(f"unit {marker.unit}: outcomes do not add up: {marker.inputs}")

    def check_whole(self) -> None:
        """Raises BuildError unless every unit of the claim was added."""
        if missing := self._there.count(0):
            raise BuildError(
                f"{missing} of {len(self._there)} units are not committed, the first is {self._there.index(0)}"
            )

    def digest(self, artefacts: Sequence[File] = ()) -> str:
        """SHA-256 in hex over the sorted digests of shards and artefacts: equal for equal data, whatever built it."""
        files = sorted([*self._shards, *(file.sha256.encode() for file in artefacts)])
        return hashlib.sha256(b"\n".join(files)).hexdigest()

    def as_json(self, artefacts: Sequence[File] = ()) -> dict[str, Any]:
        """What the manifest says of all units together; `verify` counts it again."""
        return {
            "dataset_digest": self.digest(artefacts),
            "samples": self.samples,
            "shards": len(self._shards),
            "bytes": self.size,
            "units": self.units,
            "funnel": {"inputs": self.inputs.as_json(), "records": self.records.as_json()},
            "tallies": self.tallies,
        }


def total(claim: Claim, markers: Iterable[UnitMarker]) -> Totals:
    """The totals of a finished dataset. Raises BuildError where a unit is missing, or does not add up."""
    totals = Totals(claim)
    for marker in markers:
        totals.add(marker)
    totals.check_whole()
    return totals


def _add(total: dict[str, Any], amounts: Mapping[str, Any]) -> None:
    for name, amount in amounts.items():
        total[name] = total.get(name, 0) + amount
