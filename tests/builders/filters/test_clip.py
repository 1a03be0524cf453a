"""Scores against open_clip's own calls; embeddings, heads, and a GPU that is too small."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from builders.filters.clip import ClipScore, PrepareText
from builders.filters.clip_files import ClipSpec, HeadFile, find_clip
from builders.filters.clip_image import PrepareImage
from builders.step import Record, Services
from schemas.errors import UserError

pytestmark = pytest.mark.slow  # open_clip takes seconds to import

Scored = Callable[..., list[Record]]
OwnScores = Callable[..., tuple[list[float], Any]]
RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None}


# ---- scores ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos(shared: Path) -> list[Record]:
    """Photos of coco_mini with their first captions."""
    folder = shared / "data/coco_mini"
    told = json.loads((folder / "captions_train2017.json").read_text())
    captions = {row["image_id"]: row["caption"] for row in reversed(told["annotations"])}
    files = sorted((folder / "images").glob("*.jpg"))[:12]
    return [{"image": file.read_bytes(), "caption": captions[int(file.stem)]} for file in files]


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.slow
def test_scores_of_a_true_architecture_are_open_clips_own(
    photos: list[Record], services: Services, scored: Scored, own_scores: OwnScores, channels_last: bool
) -> None:
    spec = ClipSpec("ViT-B-32", random_seed=3, channels_last=channels_last)
    ours = [record["clip_score"] for record in scored(spec, photos, services, batch=5)]
    theirs, _ = own_scores("ViT-B-32", photos, seed=3)
    assert np.abs(np.subtract(ours, theirs)).max() < 1e-5
    assert np.std(theirs) > 1e-3  # the photos do differ


@pytest.mark.slow
def test_scores_of_a_resnet_are_open_clips_own(
    photos: list[Record], services: Services, scored: Scored, own_scores: OwnScores, save_model: Callable[..., Path]
) -> None:
    folder = save_model(vision=RESNET)
    ours = [record["clip_score"] for record in scored(ClipSpec(str(folder)), photos, services)]
    theirs, _ = own_scores(f"local-dir:{folder}", photos)
    assert np.abs(np.subtract(ours, theirs)).max() < 1e-5
    assert np.std(theirs) > 1e-3


def test_a_score_takes_its_own_threads_whatever_ran_in_the_process_before(vit: Path, services: Services) -> None:
    step = ClipScore(ClipSpec(str(vit)), 8)
    step.setup(services)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert step([]) == [] and torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_scores_are_rounded_and_do_not_depend_on_the_batch(
    vit: Path, pairs: list[Record], services: Services, scored: Scored
) -> None:
    spec = ClipSpec(str(vit))
    whole = [record["clip_score"] for record in scored(spec, pairs, services)]
    assert all(round(score, 6) == score and -1 <= score <= 1 for score in whole)
    for batch in (1, 4):
        parts = [record["clip_score"] for record in scored(spec, pairs, services, batch=batch)]
        assert parts == pytest.approx(whole, abs=2e-6)


def test_embeddings_are_unit_vectors_in_float16_that_fit_their_columns(
    vit: Path, pairs: list[Record], services: Services, scored: Scored, own_scores: OwnScores
) -> None:
    named = {"score": "b32", "image_embedding": "image_emb", "text_embedding": "text_emb"}
    records = scored(ClipSpec(str(vit)), pairs, services, **named)
    _, theirs = own_scores(f"local-dir:{vit}", pairs)
    step = ClipScore(ClipSpec(str(vit)), 8, **named)
    assert step.name == "b32" and list(step.adds) == ["b32", "image_emb", "text_emb", "clip_halved"]
    for name in ("image_emb", "text_emb"):
        column = pa.array([None, *(record[name] for record in records)], step.adds[name])
        assert column.type == pa.list_(pa.float16(), 8) and column.null_count == 1
    assert np.abs(np.stack([record["image_emb"] for record in records]) - theirs).max() < 1e-3
    dots = [float(np.dot(r["image_emb"].astype(float), r["text_emb"].astype(float))) for r in records]
    assert dots == pytest.approx([record["b32"] for record in records], abs=5e-3)


def test_an_answer_that_is_no_number_is_an_error(
    vit: Path, pairs: list[Record], services: Services, scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "builders.filters.clip_model.ClipModel.embed_images", lambda self, pixels: torch.full((len(pixels), 8), np.nan)
    )
    with pytest.raises(ValueError, match="clip_score: the model's answer is no number"):
        scored(ClipSpec(str(vit)), pairs, services)


@pytest.mark.slow
def test_an_endless_word_is_cut_before_its_pairs_are_merged(vit: Path, services: Services) -> None:
    step = PrepareText(ClipSpec(str(vit)))
    step.setup(services)
    short, long = step([{"caption": "ab " * 40}, {"caption": "ab " * 1_000_000}])
    assert isinstance(short, dict) and short == long
    step([{"caption": "q" * 5_000_000}])


# ---- a GPU that is too small -----------------------------------------------------------------------------------------


def _small_gpu(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    from builders.filters.clip_model import ClipModel

    embed, sizes = ClipModel.embed_images, []

    def embed_few(self: ClipModel, pixels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        if len(pixels) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return embed(self, pixels)

    monkeypatch.setattr(ClipModel, "embed_images", embed_few)
    return sizes


def test_too_little_gpu_memory_halves_the_batch_and_says_so(
    vit: Path, pairs: list[Record], services: Services, scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ClipSpec(str(vit))
    whole = scored(spec, pairs, services)
    sizes = _small_gpu(monkeypatch, most=3)
    halved = scored(spec, pairs, services, batch=8)
    assert [r["clip_score"] for r in halved] == pytest.approx([r["clip_score"] for r in whole], abs=2e-6)
    assert ({r["clip_halved"] for r in whole}, {r["clip_halved"] for r in halved}) == ({0}, {1})
    assert sizes == [8, 4, 2, 2, 2, 2, 2, 1]


def test_a_gpu_that_cannot_hold_one_pair_stops_the_build(
    vit: Path, pairs: list[Record], services: Services, scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    _small_gpu(monkeypatch, most=0)
    with pytest.raises(UserError, match=r"clip\.precision: .* cannot hold one pair in fp32; set bf16, or take"):
        scored(ClipSpec(str(vit)), pairs, services)


def test_half_precision_wants_a_gpu(vit: Path, services: Services) -> None:
    with pytest.raises(UserError, match=r"clip\.precision: bf16 needs a GPU"):
        ClipScore(ClipSpec(str(vit), precision="bf16"), 8).setup(services)


# ---- heads -----------------------------------------------------------------------------------------------------------


def test_heads_score_the_image_embedding(
    vit: Path, pairs: list[Record], services: Services, scored: Scored, own_scores: OwnScores, tmp_path: Path
) -> None:
    rng = torch.Generator().manual_seed(0)
    linear = {"weight": torch.randn(1, 8, generator=rng), "bias": torch.tensor([5.0])}
    mlp = {f"layers.{i}.weight": torch.randn(o, n, generator=rng) for i, n, o in ((2, 8, 5), (10, 5, 1))}
    save_file(linear, tmp_path / "aesthetic.safetensors")
    save_file(mlp, tmp_path / "nsfw.safetensors")
    heads = (
        HeadFile("aesthetic", str(tmp_path / "aesthetic.safetensors")),
        HeadFile("nsfw", str(tmp_path / "nsfw.safetensors"), activation="relu", output="sigmoid"),
    )
    records = scored(ClipSpec(str(vit)), pairs, services, heads=heads)
    images = torch.from_numpy(own_scores(f"local-dir:{vit}", pairs)[1])
    aesthetic = images @ linear["weight"].T + 5
    nsfw = torch.sigmoid(torch.relu(images @ mlp["layers.2.weight"].T) @ mlp["layers.10.weight"].T)
    assert [r["aesthetic"] for r in records] == pytest.approx(aesthetic[:, 0].tolist(), abs=1e-5)
    assert [r["nsfw"] for r in records] == pytest.approx(nsfw[:, 0].tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({"weight": (1, 9)}, r"weight of .* is \(1, 9\), but 8 values come in; is the head for another model"),
        ({"weight": (2, 8)}, "1 layers, 2 outputs"),
        ({"weight": (1, 8), "running_mean": (8,)}, "left over: running_mean"),
        ({"bias": (1,)}, "left over: bias"),
        ({"weight": (1, 8), "bias": (3,)}, "but 8 values come in"),
        (None, "there is no file"),
    ],
)
def test_a_file_that_is_no_head_is_told(
    vit: Path, services: Services, tmp_path: Path, tensors: dict[str, tuple[int, ...]] | None, problem: str
) -> None:
    path = tmp_path / "head.safetensors"
    if tensors is not None:
        save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, path)
    with pytest.raises(UserError, match=rf"clip\.heads: nsfw: .*{problem}"):
        ClipScore(ClipSpec(str(vit)), 8, heads=(HeadFile("nsfw", str(path)),)).setup(services)


@pytest.mark.parametrize("name", ["head.safetensors", "head.pt"])
def test_only_safetensors_are_heads(vit: Path, services: Services, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(UserError, match=r"clip\.heads: nsfw: .*(cannot be read|no safetensors file)"):
        ClipScore(ClipSpec(str(vit)), 8, heads=(HeadFile("nsfw", str(tmp_path / name)),)).setup(services)


# ---- in a DAG --------------------------------------------------------------------------------------------------------


def test_the_steps_are_pickled_without_their_models_and_without_torch(vit: Path) -> None:
    spec = ClipSpec(str(vit))
    files = find_clip(spec)
    steps = [PrepareImage(files.preprocess), PrepareText(spec), ClipScore(spec, files.dim)]
    code = (
        "import pickle, sys; steps = pickle.loads(sys.stdin.buffer.read());"
        "print([step.name for step in steps], 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(steps), capture_output=True, check=True)
    assert ran.stdout.decode().strip() == "['prepare_image', 'prepare_text', 'clip_score'] False"
