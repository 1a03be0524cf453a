"""k-means over frames of speech, as HuBERT's recipe fits it; the same frames and seed give the same centres.

Determinism: one thread, whatever the machine has, and utterances in the order of their draws, whatever order they were
read in. BLAS may still round otherwise on another kind of processor, or in another version (`versions`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

from builders.dice import Dice
from builders.speech.features import FeatureSpec
from builders.speech.vocabulary import Vocabulary
from schemas.errors import UserError

SHARE = 0.1
"""Of the utterances, by facts.md section 3."""
FRAMES_A_UNIT = 50
"""Fewer frames than so many for each unit make a warning: centres would stand on a handful of frames."""
MAX_BYTES = 2 << 30
"""Of frames that are held at once, as float32: 38 hours of mfcc, 3.9 of a HuBERT of 768 dimensions."""
_DECIMALS = 4
_PACKAGES = ("scikit-learn", "numpy")
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Sample:
    """Which utterances are fitted on, in the order in which their frames stand; `frames` is how many those have.

    `of`: how many utterances there are. `warning` is one line, or empty.
    """

    keys: tuple[str, ...]
    frames: int
    of: int
    warning: str = ""


def draw_sample(frames: Mapping[str, int], ks: Sequence[int], dimensions: int, seed: int) -> Sample:
    """Draw utterances from key -> number of frames: a tenth of them, more until each unit has 50 frames, or all.

    No more than MAX_BYTES of frames are drawn. Several `ks` share one sample, drawn for the largest. Raises UserError
    where there are fewer frames than units.
    """
    k, there = max(ks), sum(frames.values())
    if there < k:
        raise UserError(
            f"units.k: {k} units need as many frames, but the {len(frames)} utterances have {there}; "
            "set a smaller units.k, or give more speech"
        )
    drawn = sorted((key for key in frames if frames[key]), key=lambda key: (Dice(seed, "kmeans", key).unit(), key))
    share, wanted, room = math.ceil(SHARE * len(drawn)), FRAMES_A_UNIT * k, MAX_BYTES // (4 * dimensions)
    keys: list[str] = []
    held = 0
    for key in drawn:
        if (len(keys) >= share and held >= wanted) or held + frames[key] > room:
            break
        keys.append(key)
        held += frames[key]
    if held < k:
        raise UserError(f"units.k: {k} units of {dimensions} dimensions need over {MAX_BYTES:,} bytes; set fewer")
    warning = "" if held >= wanted else f"units.k: {k} units are fitted on {held:,} frames; {wanted:,} would be enough"
    return Sample(tuple(keys), held, len(frames), warning)


def fit(
    features: Mapping[str, np.ndarray], sample: Sample, ks: Sequence[int], spec: FeatureSpec, seed: int
) -> list[Vocabulary]:
    """A vocabulary for each of `ks`, from the sample's utterances: key -> frames x dimensions, float32.

    By scikit-learn's MiniBatchKMeans with the parameters of HuBERT's recipe (facts.md section 3). `sample` of a
    vocabulary tells besides how far a frame is from its centre (`distortion`, the mean square) and how many units no
    frame of the sample has (`unused`). The frames are copied once: a mapping that loads an utterance when it is asked
    for it needs sample.frames x dimensions x 4 bytes in all. Raises ValueError for frames that are not the sample's.
    """
    frames: np.ndarray | None = None
    at = 0
    for key in sample.keys:
        part = features[key]
        if frames is None:
            frames = np.empty((sample.frames, part.shape[1]), np.float32)
        frames[at : at + len(part)] = part
        at += len(part)
    if frames is None or at != sample.frames:
        raise ValueError(f"the utterances have {at} frames, but {sample.frames} were drawn")
    return [_fit(frames, sample, k, spec, seed) for k in ks]


def _fit(frames: np.ndarray, sample: Sample, k: int, spec: FeatureSpec, seed: int) -> Vocabulary:
    means = MiniBatchKMeans(
        n_clusters=k,
        init="k-means++",
        max_iter=100,
        batch_size=10_000,
        tol=0.0,
        max_no_improvement=100,
        n_init=20,
        reassignment_ratio=0.0,
        random_state=seed % (1 << 32),
        compute_labels=False,
    )
    with threadpool_limits(1):
        means.fit(frames)
    versions = {name: version(name) for name in _PACKAGES}
    bare = Vocabulary(spec, means.cluster_centers_.astype(np.float32), seed, {}, versions)
    return replace(bare, sample=_told(bare, frames, sample))


def _told(vocabulary: Vocabulary, frames: np.ndarray, sample: Sample) -> dict[str, Any]:
    squares = 0.0
    used: set[int] = set()
    for start in range(0, len(frames), _CHUNK):
        part = frames[start : start + _CHUNK]
        units = vocabulary.apply(part)
        squares += float(((part - vocabulary.centroids[units]).astype(np.float64) ** 2).sum())
        used.update(units.tolist())
    return {
        "utterances": len(sample.keys),
        "of": sample.of,
        "frames": sample.frames,
        "distortion": round(squares / len(frames), _DECIMALS),
        "unused": vocabulary.k - len(used),
    }
