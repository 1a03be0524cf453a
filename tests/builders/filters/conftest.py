"""Tiny CLIP models with random weights, saved as a user's folders would be, and open_clip's own scores."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders.filters.clip import ClipScore, PrepareText
from builders.filters.clip_files import ClipSpec, find_clip, open_clip
from builders.filters.clip_image import PrepareImage
from builders.step import Record, Services
from tests.tiny_clip import save_clip

SaveModel = Callable[..., Path]
OwnScores = Callable[..., tuple[list[float], np.ndarray[Any, Any]]]
Scored = Callable[..., list[Record]]


@pytest.fixture(scope="session")
def save_model(tmp_path_factory: pytest.TempPathFactory) -> SaveModel:
    """Saves a model into a folder of its own; `save_clip`'s options."""

    def save(**options: Any) -> Path:
        return save_clip(tmp_path_factory.mktemp("clip"), **options)

    return save


@pytest.fixture(scope="session")
def vit(save_model: SaveModel) -> Path:
    return save_model()


def noise(seed: int, size: tuple[int, int] = (90, 70), kind: str = "PNG") -> bytes:
    """A photo of blurred noise, encoded."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 7, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(out, kind)
    return out.getvalue()


@pytest.fixture(scope="session")
def pairs() -> list[Record]:
    """Eleven pairs of blurred noise and words."""
    return [
        {"image": noise(i, (60 + 5 * i, 90 - 4 * i)), "caption": f"a photo of {i} cats &amp; a DOG"} for i in range(11)
    ]


@pytest.fixture(scope="session")
def scored() -> Scored:
    """What the three steps make of pairs."""

    def score(spec: ClipSpec, pairs: list[Record], services: Services, **options: Any) -> list[Record]:
        files = find_clip(spec)
        steps = (PrepareImage(files.preprocess), PrepareText(spec), ClipScore(spec, files.dim, **options))
        records = [dict(pair) for pair in pairs]
        for step in steps:
            step.setup(services)
            for record, result in zip(records, step(records), strict=True):
                assert isinstance(result, dict) and result.keys() == step.adds.keys()
                record |= result
        return records

    return score


@pytest.fixture(scope="session")
def own_scores() -> OwnScores:
    """Cosines and image embeddings by open_clip's own calls."""

    def score(name: str, pairs: list[Record], seed: int | None = None, **named: Any) -> Any:
        import torch

        oc = open_clip()
        if seed is not None:
            torch.manual_seed(seed)
        model, _, transform = oc.create_model_and_transforms(name, **named)
        model.eval()
        with torch.no_grad():
            photos = torch.stack([transform(Image.open(io.BytesIO(pair["image"]))) for pair in pairs])
            images = model.encode_image(photos, normalize=True)
            texts = model.encode_text(oc.get_tokenizer(name)([pair["caption"] for pair in pairs]), normalize=True)
        return (images * texts).sum(-1).tolist(), images.numpy()

    return score
