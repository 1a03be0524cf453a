"""Checks a dataset: every byte by its digest, every sample by its offsets, every count by the sums."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from builders.cards.card import render_card
from builders.places.persist import StoreError
from builders.places.several import each_of_many
from builders.shards.dataset import (
    CARD,
    CLAIM,
    DRAWN,
    FITTED,
    Claim,
    committed,
    expected_files,
    read_claim,
    read_manifest,
    read_marker,
)
from builders.shards.store import Store
from builders.shards.tar import BLOCK
from builders.shards.totals import Totals
from builders.shards.twice import hashed, twice
from schemas.errors import BuildError
from schemas.manifest import File, UnitMarker
from schemas.recipe import KINDS, content

_WHY = ("outcome", "step", "reason")
MOST = 20
"""Problems that are told; one shard that is gone makes as many as it has samples."""


@dataclass
class Report:
    """What `verify` found. No problems: the dataset is what its manifest says."""

    units: int = 0
    samples: int = 0
    digest: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        if len(self.problems) < MOST:
            self.problems.append(text)


def verify(store: Store) -> Report:
    """Check the dataset in `store`. Raises UserError where there is none, or its build has not finished, and BuildError
    where the store cannot be asked to the end: what it does not answer of is no problem of the dataset."""
    manifest = read_manifest(store)
    if not store.exists(CLAIM):
        raise BuildError(f"{store}: {CLAIM} is missing, so nothing tells what the dataset was built from")
    claim = read_claim(store)
    assert claim is not None
    report = Report()
    totals, counted, hashes = Totals(claim), list[int](), bytearray()
    units = committed(store)
    for unit, looked in zip(units, each_of_many(store.root, units, partial(_look, store)), strict=True):
        if looked.marker:
            report.samples += looked.marker.samples
            try:
                totals.add(looked.marker)
            except BuildError as error:
                report.problem(str(error))
        for problem in looked.problems:
            report.problem(f"unit {unit}: {problem}")
        if looked.hashes:
            counted.append(unit)
            hashes += looked.hashes
    for key, where in twice(store, counted, hashes):
        numbers = sorted(set(where))
        told = f"unit{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers[:5]))}{'…' * (len(numbers) > 5)}"
        report.problem(f"{told}: the key {key!r} stands twice in the dataset")
    artefacts = _artefacts(manifest, report)
    for file in artefacts:
        if wrong := _check_file(store, file, "the same build command makes it again"):
            report.problem(wrong)
    report.units, report.digest = totals.units, totals.digest(artefacts)
    try:
        totals.check_whole()
    except BuildError as error:
        report.problem(str(error))
    if not claim.hash == manifest.get("content_hash") == Claim(manifest.get("content", {}), ()).hash:
        report.problem("manifest.json and build.json disagree on the content or its hash")
    for name, found in totals.as_json(artefacts).items():
        if manifest.get(name) != found:
            report.problem(f"manifest.json says {name} {manifest.get(name)}, found {found}")
    for problem in _check_told(manifest, claim):
        report.problem(f"manifest.json {problem}")
    _check_card(store, manifest, report)
    _note_strays(store, artefacts, report)
    return report


@dataclass
class _Looked:
    """What was found of one unit. `hashes`: of its keys, where its files are whole."""

    marker: UnitMarker | None = None
    problems: list[str] = field(default_factory=list)
    hashes: bytes = b""


def _look(store: Store, unit: int) -> _Looked:
    looked = _Looked()
    try:
        looked.marker = read_marker(store, unit)
        looked.problems += islice(_check_unit(store, looked.marker, looked), MOST)
    except StoreError:
        raise
    except BuildError as error:
        looked.problems.append(f"marker not readable: {error}")
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        looked.problems.append(f"not readable: {' '.join(str(error).split())}")
    return looked


def _artefacts(manifest: dict[str, Any], report: Report) -> list[File]:
    try:
        return [File(**told) for told in manifest.get("artefacts", [])]
    except TypeError:
        report.problem("manifest.json names artefacts that are none")
        return []


def _check_card(store: Store, manifest: dict[str, Any], report: Report) -> None:
    if not store.exists(CARD):
        report.problem(f"{CARD}, the card, is missing")
    elif not report.problems and _read_card(store) != render_card(manifest):
        report.notes.append(f"{CARD} is not the card that the build wrote from manifest.json")


def _read_card(store: Store) -> str | None:
    try:
        return store.read_bytes(CARD).decode("utf-8", "replace")
    except OSError:
        return None


def _check_told(manifest: dict[str, Any], claim: Claim) -> Iterator[str]:
    """What the manifest says beside its totals, against the claim."""
    try:
        recipe = content(KINDS[manifest["kind"]].model_validate(manifest["recipe"]))
        if json.loads(json.dumps(recipe)) != claim.content.get("recipe", recipe):
            yield "names another recipe than the dataset was built from"
        versions = {name: manifest["versions"].get(name) for name in claim.content.get("versions", {})}
        if versions != claim.content.get("versions", {}):
            yield "names other versions than the dataset was built with"
        total = manifest["funnel"]["inputs"]["total"]
        if manifest["inputs"].get("inputs", total) != total:
            yield f"says inputs {manifest['inputs']['inputs']}, but {total} have an outcome"
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        yield f"is not whole: {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _check_unit(store: Store, marker: UnitMarker, looked: _Looked) -> Iterator[str]:
    whole = True
    for file in (marker.shard, marker.index, marker.rejects, marker.embeddings):
        problem = file and _check_file(store, file)
        if problem:
            whole = False
            yield problem
    if not whole:
        return
    index, rejects = (pq.read_table(store.open(file.path)) for file in (marker.index, marker.rejects))
    if index.num_rows != marker.samples:
        yield f"{marker.index.path} has {index.num_rows} rows for {marker.samples} samples"
    if rejects.num_rows != marker.records.rejected + marker.records.failed:
        lost = marker.records.total - marker.records.kept
        yield f"{marker.rejects.path} has {rejects.num_rows} rows for {lost} losses"
    reasons = Counter("/".join(why) for why in zip(*(rejects[n].to_pylist() for n in _WHY), strict=True))
    if dict(reasons) != marker.records.reasons:
        yield f"{marker.rejects.path} has the losses {dict(reasons)}, its marker says {marker.records.reasons}"
    looked.hashes = hashed(index["key"].to_pylist())
    if marker.shard:
        with store.open(marker.shard.path) as tar:
            yield from _check_samples(tar, index, marker.shard)


def _check_file(store: Store, file: File, mend: str = "the same build command builds its unit again") -> str | None:
    if not store.exists(file.path):
        return f"{file.path} is missing; {mend}"
    whole, size = hashlib.sha256(), 0
    with store.open(file.path) as data:
        while part := data.read(1 << 20):
            whole.update(part)
            size += len(part)
    if size != file.size:
        return f"{file.path} has {size} bytes, its marker says {file.size}"
    return None if whole.hexdigest() == file.sha256 else f"{file.path} has other bytes than its marker's SHA-256 says"


def _check_samples(tar: IO[bytes], index: pa.Table, shard: File) -> Iterator[str]:
    """Each index row must lead to its members, and together they must fill the shard."""
    end = 0
    for row in index.select(["key", "shard", "offset", "size", "members"]).to_pylist():
        if row["shard"] != shard.path or row["offset"] != end:
            yield f"{row['key']}: the index places it in {row['shard']} at {row['offset']}, not {shard.path} at {end}"
            return
        for member in row["members"]:
            if member["offset"] != end + BLOCK:
                yield f"{row['key']}: the index places {member['name']} at {member['offset']}, not {end + BLOCK}"
                return
            problem = _check_member(tar, row["key"], member)
            if problem:
                yield problem
            end = member["offset"] + -(-member["size"] // BLOCK) * BLOCK
        if end != row["offset"] + row["size"]:
            yield f"{row['key']}: the index gives it {row['size']} bytes, its members have {end - row['offset']}"
            return
    if end + 2 * BLOCK != shard.size:
        yield f"{shard.path}: the index covers {end} of {shard.size} bytes"


def _check_member(tar: IO[bytes], key: str, member: dict[str, Any]) -> str | None:
    tar.seek(member["offset"] - BLOCK)
    try:
        info = tarfile.TarInfo.frombuf(tar.read(BLOCK), "utf-8", "strict")
    except tarfile.HeaderError as error:
        return f"{key}: no tar header before {member['name']}: {error}"
    if (info.name, info.size) != (member["name"], member["size"]):
        return f"{key}: the index says {member['name']} of {member['size']} bytes, the tar {info.name} of {info.size}"
    if not info.name.startswith(f"{key}."):
        return f"{key}: has a member of another sample, {info.name}"
    if info.name.endswith(".json"):
        try:
            json.loads(tar.read(info.size))
        except ValueError as error:
            return f"{info.name}: not JSON: {error}"
    return None


def _note_strays(store: Store, artefacts: list[File], report: Report) -> None:
    units, made = set(committed(store)), {file.path for file in artefacts}
    for folder in ("data", "index", "rejects", "embeddings", "units", FITTED, DRAWN):
        try:
            strays = [path for path in store.list_below(folder) if path not in made and not _of_unit(path, units)]
        except OSError as error:
            report.problem(f"{folder}/ not readable: {' '.join(str(error).split())}")
            continue
        if strays and folder == "data":
            report.problem(f"{len(strays)} tars belong to no unit, but a trainer would read them: {strays[0]}…")
        elif strays:
            report.notes.append(
                f"{len(strays)} files in {folder}/ belong to no unit; query, show and export ignore them: {strays[0]}…"
            )


def _of_unit(path: str, units: Container[int]) -> bool:
    """Whether a committed unit may occupy the path."""
    number = path.rpartition("/")[2].partition(".")[0]
    return number.isdecimal() and int(number) in units and path in expected_files(int(number))
