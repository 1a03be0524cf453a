"""What a dataset says of itself: the funnel, the commit marker of a unit, the manifest."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

FORMAT = 2
"""Version of the layout on disk that this code reads and writes."""

OUTCOMES = ("kept", "rejected", "failed")


@dataclass
class Funnel:
    """How many went in and what became of them. `reasons` counts "outcome/step/reason" of all that was not kept."""

    total: int = 0
    kept: int = 0
    rejected: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def count(self, outcome: str, why: str | None = None) -> None:
        """Count one more of `outcome`; `why` ("step/reason") says why it was not kept."""
        self.total += 1
        setattr(self, outcome, getattr(self, outcome) + 1)
        if why is not None:
            reason = f"{outcome}/{why}"
            self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def add(self, other: Funnel) -> None:
        """Add another funnel's counts to this one."""
        for name in ("total", *OUTCOMES):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count

    def conserved(self) -> bool:
        """Whether every one that went in has one outcome, and every loss its reason."""
        lost = self.rejected + self.failed
        return self.total == self.kept + lost and lost == sum(self.reasons.values())

    def as_json(self) -> dict[str, Any]:
        """The funnel with its reasons in order, commonest first."""
        reasons = dict(sorted(self.reasons.items(), key=lambda item: (-item[1], item[0])))
        return {"total": self.total, **{name: getattr(self, name) for name in OUTCOMES}, "reasons": reasons}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Funnel:
        """Raises TypeError where it is none."""
        funnel = cls(**data)
        counts = [funnel.total, funnel.kept, funnel.rejected, funnel.failed, *funnel.reasons.values()]
        if not all(type(count) is int for count in counts):
            raise TypeError("a funnel counts in whole numbers")
        return funnel


def summed(funnels: Iterable[Funnel]) -> Funnel:
    """One funnel of many."""
    total = Funnel()
    for funnel in funnels:
        total.add(funnel)
    return total


@dataclass(frozen=True)
class File:
    """A file of the dataset: path relative to its root, size in bytes, SHA-256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class UnitMarker:
    """The commit of one unit: written last, and what a reader goes by.

    `inputs` counts the unit's source records, `records` what they became after fan-out, `samples` what the shard holds.
    `shard` is None where nothing was kept, `embeddings` where none were asked for. `tallies` sums the countable columns
    over all records, kept or not. `payloads` identifies the source files that the unit was read from, as they were
    listed (names and sizes), `content_hash` is that of the claim that it was built for. `seconds` is worker time by
    step, in this attempt, `committed` when it ended, by the clock of the worker; these two are what differs here
    between equal builds.
    """

    unit: int
    inputs: Funnel
    records: Funnel
    samples: int
    shard: File | None
    index: File
    rejects: File
    embeddings: File | None
    tallies: dict[str, int]
    payloads: str
    content_hash: str
    seconds: dict[str, float]
    committed: datetime.datetime | None = None

    def as_json(self) -> dict[str, Any]:
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("inputs", "records"):
            data[name] = data[name].as_json()
        for name in ("shard", "index", "rejects", "embeddings"):
            data[name] = vars(data[name]) if data[name] else None
        data["committed"] = self.committed and self.committed.isoformat()
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> UnitMarker:
        """Raises TypeError, KeyError or AttributeError where it is none."""
        data = dict(data)
        for name in ("inputs", "records"):
            data[name] = Funnel.from_json(data[name])
        for name in ("shard", "index", "rejects", "embeddings"):
            data[name] = File(**data[name]) if data[name] else None
        if committed := data.get("committed"):
            data["committed"] = time_of(committed)
        marker = cls(**data)
        files = (marker.shard, marker.index, marker.rejects, marker.embeddings)
        sizes = (file.size for file in files if file)
        if not all(type(count) is int for count in (marker.unit, marker.samples, *sizes, *marker.tallies.values())):
            raise TypeError("a marker counts in whole numbers")
        if not all(type(took) in (int, float) for took in marker.seconds.values()):
            raise TypeError("seconds are numbers")
        return marker


def time_of(text: str) -> datetime.datetime:
    """Raises TypeError where it is no time of some place."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise TypeError(str(error)) from None
    if time.tzinfo is None:
        raise TypeError("a time has a time zone")
    return time
