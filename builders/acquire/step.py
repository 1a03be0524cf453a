"""The step that turns a URL into an image: fetched, checked, resized."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from builders.acquire.client import Manners
from builders.acquire.download import Outcome, Pace, download
from builders.acquire.hosts import HostLimits
from builders.acquire.img2dataset_parts import opted_out
from builders.acquire.outage import unless_cut_off
from builders.acquire.resize import Resize, Resizing, exif_json
from builders.sources.images import ReadImage
from builders.step import Record, Rejected, Result, Services


@dataclass
class FetchImage:
    """Adds the image behind `url`: the columns of ReadImage and those of _FETCHED.

    A URL that stands several times among the records is asked once. Where `_sha256` (hex, of the bytes as they come)
    is given, other bytes are rejected.
    """

    manners: Manners
    pace: Pace
    resizing: Resizing
    extract_exif: bool
    name: ClassVar = "fetch"
    reads: ClassVar = ("url", "_sha256")

    @property
    def adds(self) -> Mapping[str, pa.DataType]:
        return {**ReadImage.adds, **_FETCHED, **({"exif": pa.string()} if self.extract_exif else {})}

    def setup(self, services: Services) -> None:
        self._hosts = services.hosts or HostLimits()
        self._resize = Resize(self.resizing)
        if self.manners.opt_out:  # imported here: among requests, its second would count as theirs
            opted_out((), None, frozenset())

    def __call__(self, records: list[Record]) -> list[Result]:
        urls = list(dict.fromkeys(record["url"] for record in records))
        outcomes = download(urls, self.manners, self.pace, self._hosts)
        made = unless_cut_off({url: self._made(outcome) for url, outcome in outcomes})
        return [_verified(made[record["url"]], record["_sha256"]) for record in records]

    def _made(self, outcome: Outcome) -> Record | Rejected:
        if isinstance(outcome, Rejected):
            return outcome
        known: Record = {"sha256": hashlib.sha256(outcome).hexdigest(), "fetched_bytes": len(outcome)}
        found = self._resize(outcome)
        if isinstance(found, Rejected):
            return type(found)(found.reason, found.detail, known)
        return {**found, **known, **({"exif": exif_json(outcome)} if self.extract_exif else {})}


_FETCHED = {
    "original_width": pa.int32(),
    "original_height": pa.int32(),
    "sha256": pa.string(),
    "fetched_bytes": pa.int64(),
}
"""Of the image as it came: its size in pixels, as a viewer sees it; SHA-256 in hex, and length, of its bytes."""


def _verified(found: Record | Rejected, expected: str | None) -> Result:
    told = found.known if isinstance(found, Rejected) else found
    got, wanted = told.get("sha256"), (expected or "").strip()
    if not wanted or got is None or got == wanted.lower():
        return found
    known = {name: told[name] for name in ("sha256", "fetched_bytes")}
    return Rejected("hash_mismatch", f"the list says {wanted[:64]}", known)
