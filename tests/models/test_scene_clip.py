"""The scene CLIP: the shipped file still tells captions apart, and its trainer makes the same bytes twice."""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

MODEL = Path(__file__).resolve().parents[2] / "models" / "scene_clip"
sys.path.append(str(MODEL))  # last: other models have scripts of the same names

from scene_edits import Edits, split, undone  # noqa: E402
from scene_figures import Scenes, Scorer, auc, score_kind, score_scenes, threshold  # noqa: E402
from scene_model import read_config  # noqa: E402
from scene_shards import Examples, read_examples  # noqa: E402
from scene_training import Stage, train  # noqa: E402

from builders.filters.clip_files import WEIGHTS, ClipSpec, find_clip  # noqa: E402
from builders.shards.tar import Sha256Writer, TarWriter  # noqa: E402
from builders.sources.scenes.source import open_scenes  # noqa: E402
from schemas.sources import ScenesSource  # noqa: E402

pytestmark = pytest.mark.slow

SEED, COUNT = 720, 300
MAX_BYTES = 13_000_000


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(MODEL)


@pytest.fixture(scope="module")
def scenes(scorer: Scorer) -> Scenes:
    return score_scenes(scorer, SEED, COUNT)


# ---- the shipped file ------------------------------------------------------------------------------------------------


def test_the_folder_is_small_and_of_half_precision() -> None:
    weights = MODEL / WEIGHTS
    assert weights.stat().st_size <= MAX_BYTES
    with safe_open(weights, "pt") as file:
        kinds = {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118 (no mapping)
    whole = {name for name, kind in kinds.items() if kind != torch.float16}
    assert all(name.endswith("num_batches_tracked") for name in whole)


def test_a_filter_finds_the_model_by_its_folder() -> None:
    found = find_clip(ClipSpec(str(MODEL)))
    assert found.preprocess.size == (64, 64)
    assert found.dim == 128
    assert {path.name for path in found.decisive} == {"open_clip_config.json", WEIGHTS}


def test_captions_of_other_scenes_are_told(scenes: Scenes) -> None:
    limit = threshold(scenes)
    assert auc(scenes.true, scenes.mismatched) > 0.995
    assert (scenes.true >= limit).mean() > 0.98
    assert (scenes.mismatched < limit).mean() > 0.97
    assert scenes.retrieved > 0.85


def test_captions_with_one_false_word_are_told(scenes: Scenes) -> None:
    assert auc(scenes.true, scenes.one_word) > 0.91


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        *(("colour", 0.96), ("thing", 0.95), ("size", 0.9), ("place", 0.84), ("count", 0.92), ("background", 0.98)),
        *(("colour_swap", 0.9), ("place_swap", 0.83)),
    ],
)
def test_a_true_caption_beats_its_false_one(scorer: Scorer, kind: str, least: float) -> None:
    assert score_kind(scorer, SEED, kind, 150).pairs > least


# ---- its trainer -----------------------------------------------------------------------------------------------------


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """Shards as a build of train.yaml makes them, but few."""
    folder = tmp_path_factory.mktemp("scenes")
    (folder / "data").mkdir()
    source = open_scenes(ScenesSource(kind="scenes", count=240, seed=5, one_word=1.0), 120)
    for unit in range(2):
        with (folder / "data" / f"{unit:06d}.tar").open("wb") as file:
            writer = TarWriter(Sha256Writer(file))
            for row in source.read(120 * unit, 120).to_pylist():
                facts = {name: value for name, value in row.items() if name.startswith("truth_")}
                writer.add(f"{row['key']}.jpg", row["_bytes"])
                writer.add(f"{row['key']}.txt", row["_caption"].encode())
                writer.add(f"{row['key']}.json", json.dumps(facts).encode())
            writer.close()
    return read_examples(folder, 64)


def test_shards_give_two_true_captions_of_most_pictures(examples: Examples) -> None:
    assert examples.pictures.shape == (240, 64, 64, 3)
    assert sum(len(true) == 2 for true in examples.true) > 200
    for true, false in zip(examples.true, examples.false, strict=True):
        assert false not in true


@pytest.mark.usefixtures("one_thread")
def test_training_twice_gives_the_same_bytes(examples: Examples, tmp_path: Path) -> None:
    stages = [Stage(learns, steps=2, rate=1e-3, labels=20.0, batch=16) for learns in ("texts", "pictures", "both")]
    digests = []
    for run in ("first", "second"):
        train(examples, read_config(), stages, tmp_path / run, held_out=40)
        digests.append(hashlib.sha256((tmp_path / run / WEIGHTS).read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    assert find_clip(ClipSpec(str(tmp_path / "first"))).dim == 128


def test_a_false_word_is_undone() -> None:
    assert undone(split("An orange cat, a red ball."), "blue>orange") == split("a blue cat, a red ball.")
    assert undone(split("a red cat and a red ball"), "blue>red") is None


@pytest.fixture
def edits() -> Edits:
    names = ("cat", "kitten"), ("ball",), ("fish",)
    seen = [(a, b) for one in names for two in names if one != two for a in one for b in two]
    return Edits([*seen, ("red", "blue"), ("blue", "red"), ("two", "three"), ("above", "near"), ("left", "right")])


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("a red cat and a blue ball", {"a blue cat and a red ball", "a red ball and a blue cat"}),
        ("a red cat and a blue kitten", set()),
        ("a red cat and a red ball", set()),
        ("a cat above a ball", {"a ball above a cat"}),
        ("a cat near a ball", set()),
    ],
)
def test_what_is_swapped_is_false(edits: Edits, true: str, false: set[str]) -> None:
    found = [edits.swapped(split(true), random.Random(seed)) for seed in range(20)]
    assert {" ".join(words) for words in found if words} == false


@pytest.mark.parametrize(
    ("caption", "told"),
    [
        ("a red cat is over a ball, and there is also a fish", {"cat above", "ball below"}),
        ("to the right of a red ball there is a blue fish", {"fish right", "ball left"}),
        ("a cat under a starry sky", set()),
        ("under a starry sky, a cat", set()),
    ],
)
def test_places_are_told_from_either_thing(edits: Edits, caption: str, told: set[str]) -> None:
    assert edits.placed(split(caption)) == told


def test_one_word_is_exchanged_for_what_cannot_be_true_too(edits: Edits) -> None:
    found = {" ".join(edits.one_word(split("a cat above a ball"), random.Random(seed)) or []) for seed in range(60)}
    assert "a cat below a ball" in found and "a fish above a ball" in found
    assert not any("near" in one or one == "a kitten above a ball" for one in found)
    assert "a ball above a ball" not in found
