"""A unit vocabulary: the centres of k-means and what they were fitted on. Saved without pickle, and checked when read.

A folder holds `units.safetensors`, the centres, and `units.json`, everything else with the SHA-256 of the former.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from builders.shards.dataset import CLAIM, FITTED, MANIFEST
from builders.shards.store import Store
from builders.speech.features import MFCC_DIMENSIONS, FeatureSpec
from builders.uri import local_path
from schemas.errors import UserError

TENSORS = "units.safetensors"
FACTS = "units.json"
FORMAT = 1
"""Version of the two files that this code reads and writes."""
_CENTRES = "centroids"
_BLOCK = 256
"""Frames of one matrix product. Always so many, filled up with zeros: BLAS may add in another order for another shape,
and then a frame's unit would depend on how many frames come with it."""
_MAX_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """`centroids` are k x dimensions, float32. `seed` and `sample` are None and empty where it was fitted elsewhere.

    `sample` tells what it was fitted on, `versions` by which packages. Raises ValueError for centres that cannot be.
    """

    spec: FeatureSpec
    centroids: np.ndarray
    seed: int | None = None
    sample: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        centres = self.centroids
        if centres.ndim != 2 or not centres.size or centres.dtype != np.float32:
            raise ValueError(f"the centres are {centres.dtype} of {centres.shape}, not float32 of k x dimensions")
        if not np.isfinite(centres).all():
            raise ValueError("a centre holds what is no number")
        if self.spec.features == "mfcc" and self.dimensions != MFCC_DIMENSIONS:
            raise ValueError(f"the centres have {self.dimensions} dimensions, but mfcc has {MFCC_DIMENSIONS}")

    @property
    def k(self) -> int:
        return len(self.centroids)

    @property
    def dimensions(self) -> int:
        return int(self.centroids.shape[1])

    def apply(self, features: np.ndarray) -> np.ndarray:
        """The nearest centre of each frame (frames x dimensions, float32) as int32.

        A frame's unit does not depend on the other frames, so those of many utterances may be given at once. Raises
        ValueError for features of another shape, or that are no numbers.
        """
        if features.ndim != 2 or features.shape[1] != self.dimensions or features.dtype != np.float32:
            raise ValueError(f"features are {features.dtype} of {features.shape}, not float32 x {self.dimensions}")
        if not np.isfinite(features).all():
            raise ValueError("the features hold what is no number")
        units = np.empty(len(features), np.int32)
        block = np.zeros((_BLOCK, self.dimensions), np.float32)
        for start in range(0, len(features), _BLOCK):
            part = features[start : start + _BLOCK]
            block[: len(part)] = part
            # |x - c|² less |x|², which is the same for every centre
            distances = self._squares - block @ self._twice
            units[start : start + len(part)] = distances[: len(part)].argmin(axis=1)
        return units

    @cached_property
    def _twice(self) -> np.ndarray:
        return np.ascontiguousarray(2 * self.centroids.T)

    @cached_property
    def _squares(self) -> np.ndarray:
        squares: np.ndarray = (self.centroids.astype(np.float64) ** 2).sum(1)
        return squares.astype(np.float32)

    def files(self) -> dict[str, bytes]:
        """What its folder holds, by name; the same bytes for the same vocabulary."""
        tensors = safetensors.numpy.save({_CENTRES: np.ascontiguousarray(self.centroids)})
        facts = {
            "format": FORMAT,
            **dataclasses.asdict(self.spec),
            "k": self.k,
            "dimensions": self.dimensions,
            "sha256": hashlib.sha256(tensors).hexdigest(),
            "seed": self.seed,
            "sample": dict(self.sample),
            "versions": dict(self.versions),
        }
        facts["digest"] = _digest(facts)
        return {TENSORS: tensors, FACTS: f"{json.dumps(facts, indent=1)}\n".encode()}


def _digest(facts: Mapping[str, Any]) -> str:
    """SHA-256 in hex of all facts, that of the centres among them."""
    told = {name: value for name, value in facts.items() if name != "digest"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def save_vocabulary(vocabulary: Vocabulary, store: Store, folder: str = "") -> None:
    """Write its two files below `folder`; it is there once `units.json` is."""
    for name, data in vocabulary.files().items():
        store.put_bytes(f"{folder}/{name}" if folder else name, data)


def find_vocabulary(path: str, where: str = "units.vocabulary") -> Path:
    """The folder of a vocabulary: `path` itself, or the only one that the build in `path` fitted.

    Raises UserError, one line that begins with the field `where`.
    """
    folder = local_path(path, where)
    for build in (folder, folder.resolve().parent.parent):
        if (build / CLAIM).is_file() and not (build / MANIFEST).is_file():
            raise UserError(f"{where}: the build in {build} has not finished; run the same build command again")
    if (folder / FACTS).is_file():
        return folder
    fitted = sorted(found.parent for found in (folder / FITTED).glob(f"*/{FACTS}"))
    if len(fitted) == 1:
        return fitted[0]
    if fitted:
        raise UserError(f"{where}: {folder} holds several vocabularies; give one: {', '.join(map(str, fitted))}")
    raise UserError(f"{where}: {folder} holds no {FACTS}; give the output of a build that fits units")


def load_vocabulary(path: str, where: str = "units.vocabulary") -> Vocabulary:
    """The vocabulary at a path. Raises UserError, one line that begins with the field `where`, if it is not whole."""
    folder = find_vocabulary(path, where)
    facts = _facts(folder, where)
    tensors = _bytes(folder / TENSORS, where)
    if facts.get("sha256") != hashlib.sha256(tensors).hexdigest():
        raise UserError(f"{where}: {folder / TENSORS} is not the one that {FACTS} tells of; fit or copy it anew")
    try:
        centres = safetensors.numpy.load(tensors)[_CENTRES]
        vocabulary = Vocabulary(_spec(facts), centres, facts["seed"], facts["sample"], facts["versions"])
        _expect(vocabulary.k == facts["k"] and vocabulary.dimensions == facts["dimensions"], "k or dimensions")
        if facts["digest"] != _digest(facts):
            raise ValueError(f"{FACTS} has changed since it was written")
        return vocabulary
    except (KeyError, ValueError, TypeError, safetensors.SafetensorError) as error:
        told = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{where}: {folder} holds no unit vocabulary: {told}; fit or copy it anew") from None


def _facts(folder: Path, where: str) -> dict[str, Any]:
    try:
        facts = json.loads(_bytes(folder / FACTS, where))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: {folder / FACTS} is not readable as JSON ({error}); fit or copy it anew") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        told = facts.get("format") if isinstance(facts, dict) else None
        raise UserError(f"{where}: {folder / FACTS} is of format {told!r}, this gristmill reads {FORMAT}; fit it anew")
    return facts


def _bytes(path: Path, where: str) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"{where}: {path} is over {_MAX_BYTES:,} bytes; no vocabulary is")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{where}: {path} cannot be read ({error.strerror}); fit or copy it anew") from None


def _spec(facts: Mapping[str, Any]) -> FeatureSpec:
    spec = FeatureSpec(**{part.name: facts[part.name] for part in dataclasses.fields(FeatureSpec)})
    _expect(spec.features in ("mfcc", "hubert"), f"features {spec.features!r}")
    _expect(type(spec.hz) in (int, float) and 0 < spec.hz < math.inf, f"hz {spec.hz!r}")
    _expect(type(spec.subtract_mean) is bool, f"subtract_mean {spec.subtract_mean!r}")
    if spec.features == "hubert":
        _expect(type(spec.layer) is int and spec.layer > 0, f"layer {spec.layer!r}")
        _expect(isinstance(spec.model, str), f"model {spec.model!r}")
    _expect(isinstance(facts["sample"], dict) and isinstance(facts["versions"], dict), "sample or versions")
    _expect(facts["seed"] is None or type(facts["seed"]) is int, f"seed {facts['seed']!r}")
    return spec


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"its {what} cannot be")
