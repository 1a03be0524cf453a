"""A dataset as a whole: what it was claimed for, which units are committed, and the manifest that closes it."""

from __future__ import annotations

import hashlib
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any

from builders.places.several import each_of_many
from builders.shards.store import Store
from builders.shards.unit import embeddings_path, index_path, marker_path, rejects_path, shard_path, unit_of
from schemas.errors import BuildError, UserError
from schemas.manifest import FORMAT, Funnel, UnitMarker

CLAIM = "build.json"
MANIFEST = "manifest.json"
CARD = "README.md"
PAID = ("ledger", "ledger.json")
"""What outlives a dataset that is deleted to be built again: answers that cost money."""
_LEFT = (*PAID, ".tmp", "leases")
"""What may lie where a dataset was deleted by a command that was killed right then."""
FITTED = "fitted"
"""The folder of artefacts: what was fitted on the dataset's sources."""
DRAWN = "drawn"
"""The folder in which the dataset of what an artefact is fitted on lies, until it is made."""
_MOST_UNITS = 100_000_000
"""A hundred times what was measured: a damaged claim shall not fill the memory."""
_FOLDERS = ("data", "index", "rejects", "embeddings", "units", "retired")


@dataclass(frozen=True)
class Claim:
    """What an output is being built from, written before the first unit: a rerun must match it.

    `content` holds everything that decides the bytes: the recipe's content fields, digests of inputs and models,
    versions. `unit_sizes` fixes the cut, so that unit n stays the same records.
    """

    content: Mapping[str, Any]
    unit_sizes: tuple[int, ...]

    @property
    def hash(self) -> str:
        """SHA-256 in hex of the content."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        runs = [[size, len(list(group))] for size, group in groupby(self.unit_sizes)]
        return {"format": FORMAT, "content_hash": self.hash, "content": self.content, "unit_sizes": runs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Claim:
        """Raises TypeError, KeyError or ValueError where it is none."""
        content, runs = data["content"], [(size, times) for size, times in data["unit_sizes"]]
        if not (isinstance(content, dict) and isinstance(content.get("recipe", {}), dict)):
            raise TypeError("the content of a claim is a mapping, and so is its recipe")
        if not all(type(count) is int and count > 0 for run in runs for count in run):
            raise TypeError("units are counted in whole numbers, and their inputs too")
        if sum(times for _, times in runs) > _MOST_UNITS:
            raise ValueError(f"no dataset has more than {_MOST_UNITS:,} units")
        return cls(content, tuple(size for size, times in runs for _ in range(times)))


def is_claimed(store: Store) -> bool:
    """Whether a dataset of ours lies there, even if its claim cannot be read. Raises UserError for what is none."""
    if store.exists(CLAIM) or store.is_empty(but=_LEFT):
        return store.exists(CLAIM)
    raise UserError(f"{store}: the folder is not empty and holds no gristmill dataset; give another folder")


def read_claim(store: Store) -> Claim | None:
    """The claim on an output, or None where there is none yet. Raises UserError for what is no dataset of ours."""
    if not is_claimed(store):
        return None
    data = _parse(store, CLAIM, "build again with --overwrite")
    if "format" not in data:
        raise UserError(f"{store}/{CLAIM}: is of another program; give another folder")
    if data.get("format") != FORMAT:
        raise UserError(
            f"{store}/{CLAIM}: written in format {data.get('format')}, this gristmill reads {FORMAT}; "
            "use the gristmill that wrote it"
        )
    try:
        return Claim.from_json(data)
    except (TypeError, KeyError, ValueError) as error:
        raise BuildError(f"{store}/{CLAIM}: is no claim of a build ({error!r}); build again with --overwrite") from None


def write_claim(store: Store, claim: Claim) -> None:
    store.put_bytes(CLAIM, json.dumps(claim.as_json(), indent=1).encode())


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The content fields that differ, each as "field: old -> new"."""
    lines = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines += differences(before, after, f"{prefix}{name}.")
        elif before != after:
            lines.append(f"{prefix}{name}: {_short(before)} -> {_short(after)}")
    return lines


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"


def committed(store: Store) -> list[int]:
    """The numbers of the committed units, in order. Lists markers, reads none."""
    return sorted(unit_of(path) for path in store.list("units") if re.fullmatch(r"units/\d{6,}\.json", path))


def read_marker(store: Store, unit: int) -> UnitMarker:
    path = marker_path(unit)
    return _marker_of(store, path, _read(store, path))


def _marker_of(store: Store, path: str, raw: bytes) -> UnitMarker:
    try:
        return UnitMarker.from_json(_object(store, path, raw))
    except (TypeError, KeyError, AttributeError) as error:
        raise BuildError(f"{store}/{path}: is no marker of a unit ({error!r}); delete it and build again") from None


def read_markers(store: Store, units: Iterable[int] | None = None) -> Iterator[UnitMarker]:
    """The markers of `units`, or of all that are committed, in order; some are read ahead, none is kept."""
    yield from _markers(store, [marker_path(unit) for unit in (committed(store) if units is None else units)])


def _markers(store: Store, paths: Sequence[str]) -> Iterator[UnitMarker]:
    try:
        for path, data in zip(paths, store.read_each(paths), strict=True):
            yield _marker_of(store, path, data)
    except FileNotFoundError as error:
        raise UserError(
            f"{store}: a marker is gone that was there ({error.filename}); is this a gristmill dataset?"
        ) from None
    except OSError as error:
        raise unreadable(str(error.filename or store), error) from None


def _parse(store: Store, path: str, mend: str = "delete it and build again") -> dict[str, Any]:
    return _object(store, path, _read(store, path), mend)


def _read(store: Store, path: str) -> bytes:
    try:
        return store.read_bytes(path)
    except FileNotFoundError:
        raise UserError(f"{store}/{path}: no such file; is this a gristmill dataset?") from None
    except OSError as error:
        raise unreadable(f"{store}/{path}", error) from None


def unreadable(path: str, error: OSError) -> BuildError:
    """Of a file of the dataset's own, the one line for people."""
    return BuildError(f"{path}: cannot be read ({error.strerror or error}); mend that and run the same command again")


def _object(store: Store, path: str, raw: bytes, mend: str = "delete it and build again") -> dict[str, Any]:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{store}/{path}: not readable as JSON ({error}); {mend}") from None
    if not isinstance(data, dict):
        raise BuildError(f"{store}/{path}: holds no object; {mend}")
    return data


def read_manifest(store: Store) -> dict[str, Any]:
    """The manifest of a finished dataset. Raises UserError where the build has not finished."""
    if not store.exists(MANIFEST):
        if not store.exists(CLAIM):
            raise UserError(f"{store}: holds no gristmill dataset")
        raise UserError(f"{store}: the build has not finished (no {MANIFEST}); run the same build command again")
    manifest = _parse(store, MANIFEST)
    missing = [
        name for name in ("name", "kind", "funnel", "tallies", "samples", "dataset_digest") if name not in manifest
    ]
    if missing:
        raise BuildError(f"{store}/{MANIFEST}: has no {missing[0]}; delete it and run the same build command again")
    try:
        for funnel in manifest["funnel"].values():
            Funnel.from_json(funnel)
        dict(manifest["tallies"])
    except (TypeError, KeyError, AttributeError, ValueError):
        raise BuildError(
            f"{store}/{MANIFEST}: has no funnel and tallies that add up; delete it and build again"
        ) from None
    return manifest


def reopen(store: Store) -> None:
    """Make a dataset an unfinished one: without manifest and card, so that no reader takes what is left for all."""
    store.delete(MANIFEST)
    store.delete(CARD)


def retire(store: Store, units: Iterable[int]) -> None:
    """Take units back to be built again: their markers go to `retired/`, where the old digests stay on record.

    Their files stay too, so that what did not fail can be carried over.
    """
    reopen(store)
    deque(each_of_many(store.root, list(units), partial(_retire, store)), maxlen=0)


def _retire(store: Store, unit: int) -> None:
    old = store.read_bytes(marker_path(unit))
    store.put_bytes(f"retired/{unit:06d}-{hashlib.sha256(old).hexdigest()[:12]}.json", old)
    store.delete(marker_path(unit))


def retired(store: Store, claim: Claim) -> Iterator[UnitMarker]:
    """The markers of the claim's units that were taken back, those that are built again by now among them."""
    content_hash = claim.hash
    for marker in _markers(store, store.list("retired")):
        if marker.content_hash == content_hash and marker.unit < len(claim.unit_sizes):
            yield marker


def clear(store: Store) -> None:
    """Delete the dataset's own files, the claim last; whatever else lies in the folder stays, the ledger above all."""
    reopen(store)
    for folder in _FOLDERS:
        store.delete_each(store.list(folder))
        store.delete_empty(folder)
    for folder in (FITTED, DRAWN):
        clear_folder(store, folder)
    store.delete(CLAIM)


def clear_folder(store: Store, folder: str) -> None:
    """Delete a folder of ours with all that lies in it."""
    paths = store.list_below(folder)
    store.delete_each(paths)
    folders = {parent.as_posix() for path in paths for parent in PurePosixPath(path).parents}
    for inner in sorted(folders, key=len, reverse=True):
        store.delete_empty(inner)


def expected_files(unit: int) -> tuple[str, ...]:
    """The paths that a unit may occupy."""
    return shard_path(unit), index_path(unit), rejects_path(unit), embeddings_path(unit), marker_path(unit)
