"""k-means over frames of speech, as HuBERT's recipe fits it; the same frames and seed give the same centres.

Determinism: one thread, whatever the machine has, and utterances in the order of their draws, whatever order they were
read in. BLAS may still round otherwise on another kind of processor, or in another version (`versions`).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import IO, Any

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

from builders.dice import Dice
from builders.speech.features import FeatureSpec
from builders.speech.vocabulary import Vocabulary
from schemas.errors import BuildError, UserError

SHARE = 0.1
"""Of the utterances, by facts.md section 3."""
FRAMES_A_UNIT = 50
"""Fewer frames than so many for each unit make a warning: centres would stand on a handful of frames."""
IN_MEMORY = 2 << 30
"""Bytes of frames that are held in memory: 38 hours of mfcc, 3.9 of a HuBERT of 768 dimensions. More are laid in a
temporary file (TMPDIR), as large as they are, of which k-means reads what it needs."""
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


def draw_sample(frames: Mapping[str, int], ks: Sequence[int], seed: int) -> Sample:
    """Draw utterances from key -> number of frames: a tenth of them, more until each unit has 50 frames, or all.

    Several `ks` share one sample, drawn for the largest. Raises UserError where there are fewer frames than units.
    """
    k, there = max(ks), sum(frames.values())
    if not there:
        raise UserError("source: no utterance was kept to fit units on; gristmill query OUT 'from rejects' tells why")
    if there < k:
        raise UserError(
            f"units.k: {k} units need as many frames, but the {len(frames)} utterances have {there}; "
            "set a smaller units.k, or give more speech"
        )
    drawn = sorted((key for key in frames if frames[key]), key=lambda key: (Dice(seed, "kmeans", key).unit(), key))
    share, wanted = math.ceil(SHARE * len(drawn)), FRAMES_A_UNIT * k
    keys: list[str] = []
    held = 0
    for key in drawn:
        if len(keys) >= share and held >= wanted:
            break
        keys.append(key)
        held += frames[key]
    warning = "" if held >= wanted else f"units.k: {k} units are fitted on {held:,} frames; {wanted:,} would be enough"
    return Sample(tuple(keys), held, len(frames), warning)


def fit(
    features: Mapping[str, np.ndarray], sample: Sample, ks: Sequence[int], spec: FeatureSpec, seed: int
) -> list[Vocabulary]:
    """A vocabulary for each of `ks`, from the sample's utterances: key -> frames x dimensions, float32.

    By scikit-learn's MiniBatchKMeans with the parameters of HuBERT's recipe (facts.md section 3). `sample` of a
    vocabulary tells besides how far a frame is from its centre (`distortion`, the mean square) and how many units no
    frame of the sample has (`unused`). The frames are copied once, into memory or a file: see IN_MEMORY. Raises
    ValueError for frames that are not the sample's, BuildError where that file cannot be written.
    """
    with tempfile.TemporaryFile(prefix="gristmill-frames-") as file:
        frames = _frames(features, sample, file)
        return [_fit(frames, sample, k, spec, seed) for k in ks]


def _frames(features: Mapping[str, np.ndarray], sample: Sample, file: IO[bytes]) -> np.ndarray:
    """The frames of the sample's utterances, in their order, as one array; in `file` where it is large."""
    at = dimensions = 0
    held: list[np.ndarray] = []
    for key in sample.keys:
        part = np.ascontiguousarray(features[key], np.float32)
        at, dimensions = at + len(part), part.shape[1]
        if 4 * sample.frames * dimensions <= IN_MEMORY:
            held.append(part)
            continue
        try:
            file.write(part.data)
        except OSError as error:
            raise BuildError(
                f"could not write {4 * sample.frames * dimensions:,} bytes of frames to {tempfile.gettempdir()}: "
                f"{error.strerror}; set TMPDIR to a folder with room and run the same command again"
            ) from None
    if at != sample.frames or not at:
        raise ValueError(f"the utterances have {at} frames, but {sample.frames} were drawn")
    if held:
        return np.concatenate(held)
    file.flush()
    return np.memmap(file, np.float32, "r", shape=(at, dimensions))


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
