"""How well a CLIP tells true captions from false ones, on scenes of a seed, through the filters' own steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from builders.filters.clip_files import ClipSpec
from builders.filters.clip_image import PrepareImage
from builders.filters.clip_model import ClipModel, ClipTokenizer
from builders.sources.scenes.contrasts import contrasts
from builders.sources.scenes.source import open_scenes
from schemas.sources import ScenesSource

Floats = NDArray[np.float32]

BATCH = 100
SIDE = 128
"""The pictures' side in pixels; the model scales them down itself."""
KEPT, REMOVED = 0.99, 0.98
"""Parts of the matches and of the mismatches between which the threshold is sought."""


class Scorer:
    """A folder's model, as the filter step of a build runs it: embeddings, N x dim, whose dot products are scores."""

    def __init__(self, folder: Path) -> None:
        spec = ClipSpec(str(folder))
        self._model, self._tokenizer = ClipModel(spec, "cpu"), ClipTokenizer(spec)
        self._prepare = PrepareImage(self._model.preprocess)

    def pictures(self, images: Sequence[bytes]) -> Floats:
        """Encoded pictures."""
        prepared: list[Any] = self._prepare([{"image": image} for image in images])
        high, wide = self._model.preprocess.size
        pixels = np.frombuffer(b"".join(row["_pixels"] for row in prepared), np.uint8)
        tensor = torch.tensor(pixels).view(-1, high, wide, 3)
        return np.concatenate([self._model.embed_images(part).numpy() for part in tensor.split(BATCH)])

    def captions(self, captions: Sequence[str]) -> Floats:
        tokens = torch.from_numpy(self._tokenizer(captions))
        return np.concatenate([self._model.embed_texts(part).numpy() for part in tokens.split(BATCH)])


@dataclass(frozen=True)
class Scenes:
    """Scores of pictures with a true caption, one of another scene, and one with one false word; `retrieved`: the
    part of the true captions that are nearest to their picture among all."""

    true: Floats
    mismatched: Floats
    one_word: Floats
    retrieved: float


@dataclass(frozen=True)
class Kind:
    """Scores of captions that differ in one point, true and false, of the same pictures."""

    true: Floats
    false: Floats

    @property
    def pairs(self) -> float:
        """The part of the pictures whose true caption scores higher than its false one."""
        return float((self.true > self.false).mean())


def score_scenes(scorer: Scorer, seed: int, count: int) -> Scenes:
    """The first scenes of a seed: whatever the share of noise, scene i is the same picture."""
    tables = []
    for share in ("mismatched", "one_word"):
        fields: dict[str, Any] = {"count": count, "seed": seed, "size": SIDE, share: 1.0}
        source = open_scenes(ScenesSource(kind="scenes", **fields), count)
        tables.append(source.read(0, count).to_pydict())
    elsewhere, edited = tables
    assert elsewhere["_bytes"] == edited["_bytes"]
    pictures, true = scorer.pictures(elsewhere["_bytes"]), scorer.captions(elsewhere["truth_caption"])
    cosines = pictures @ true.T
    others = [(pictures * scorer.captions(table["_caption"])).sum(1) for table in tables]
    retrieved = float((cosines.argmax(1) == np.arange(count)).mean())
    return Scenes(cosines.diagonal(), others[0], others[1], retrieved)


def score_kind(scorer: Scorer, seed: int, kind: str, count: int) -> Kind:
    """The first contrasts of a kind (contrasts.KINDS) in the scenes of a seed."""
    found = list(contrasts(seed, kind, count, SIDE))
    pictures = scorer.pictures([one.image for one in found])
    true, false = (scorer.captions([getattr(one, side) for one in found]) for side in ("true", "false"))
    return Kind((pictures * true).sum(1), (pictures * false).sum(1))


def auc(higher: Floats, lower: Floats) -> float:
    """The part of all pairs, one score of each, in which the first is higher; ties count half."""
    ranked = np.sort(lower)
    wins = np.searchsorted(ranked, higher, "left") + np.searchsorted(ranked, higher, "right")
    return float(wins.mean() / 2 / len(ranked))


def threshold(scenes: Scenes) -> float:
    """Midway between what KEPT of the matches reach and what REMOVED of the mismatches stay below."""
    return float(np.quantile(scenes.true, 1 - KEPT) + np.quantile(scenes.mismatched, REMOVED)) / 2
