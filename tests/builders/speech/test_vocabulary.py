"""A unit vocabulary on disk, and the units that it gives to frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from builders.digest import digest_of
from builders.shards.store import Store
from builders.speech.features import FeatureSpec, mfcc_spec
from builders.speech.vocabulary import FACTS, TENSORS, Vocabulary, find_vocabulary, load_vocabulary, save_vocabulary
from schemas.errors import UserError

HUBERT = FeatureSpec("hubert", 50.0, model="utter-project/mHuBERT-147", model_sha256="ab" * 32, layer=11)


def drawn(k: int, dimensions: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(k, dimensions)).astype(np.float32)


def vocabulary(k: int = 20, dimensions: int = 39, spec: FeatureSpec | None = None) -> Vocabulary:
    told = {"utterances": 3, "of": 30, "frames": 2000, "distortion": 1.5, "unused": 0}
    return Vocabulary(spec or mfcc_spec(), drawn(k, dimensions), 7, told, {"numpy": "2.4.6"})


@pytest.mark.parametrize("one", [vocabulary(), vocabulary(11, 64, HUBERT)], ids=["mfcc", "hubert"])
def test_what_is_saved_comes_back_whole(one: Vocabulary, tmp_path: Path) -> None:
    save_vocabulary(one, Store(tmp_path), "k20")
    back = load_vocabulary(str(tmp_path / "k20"))
    assert (back.spec, back.seed, back.sample, back.versions) == (one.spec, one.seed, one.sample, one.versions)
    assert np.array_equal(back.centroids, one.centroids)
    assert back.files() == one.files()


def test_its_two_files_hold_a_tensor_and_json_and_no_pickle(tmp_path: Path) -> None:
    save_vocabulary(vocabulary(), Store(tmp_path))
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {FACTS, TENSORS}
    assert np.array_equal(safetensors.numpy.load_file(tmp_path / TENSORS)["centroids"], drawn(20, 39))
    facts = json.loads((tmp_path / FACTS).read_text())
    assert facts["sha256"] == digest_of(tmp_path / TENSORS)
    assert (facts["features"], facts["hz"], facts["k"], facts["dimensions"]) == ("mfcc", 100.0, 20, 39)
    assert (facts["seed"], facts["sample"]["frames"], facts["versions"]) == (7, 2000, {"numpy": "2.4.6"})


def test_the_only_vocabulary_that_a_build_fitted_is_found_in_its_folder(tmp_path: Path) -> None:
    save_vocabulary(vocabulary(), Store(tmp_path), "fitted/k20")
    assert find_vocabulary(str(tmp_path)) == tmp_path / "fitted/k20"
    assert load_vocabulary(str(tmp_path)).files() == vocabulary().files()


def test_a_build_that_has_not_finished_has_no_vocabulary_yet(tmp_path: Path) -> None:
    save_vocabulary(vocabulary(), Store(tmp_path), "fitted/k20")
    (tmp_path / "build.json").write_text("{}")
    for path in (tmp_path, tmp_path / "fitted/k20"):
        with pytest.raises(UserError, match=rf"^units.vocabulary: the build in {tmp_path} has not finished; run"):
            find_vocabulary(str(path))
    (tmp_path / "manifest.json").write_text("{}")
    assert find_vocabulary(str(tmp_path)) == find_vocabulary(str(tmp_path / "fitted/k20"))


def test_a_build_that_fitted_several_says_to_name_one(tmp_path: Path) -> None:
    for name in ("k100", "k020"):
        save_vocabulary(vocabulary(), Store(tmp_path), f"fitted/{name}")
    with pytest.raises(UserError, match=r"^units.vocabulary: .* several .*: \S+/fitted/k020, \S+/fitted/k100$"):
        load_vocabulary(str(tmp_path))


def test_a_folder_without_one_says_where_one_comes_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^dataset.units: .* holds no units.json; give the output of a build"):
        load_vocabulary(str(tmp_path / "nowhere"), "dataset.units")


def no_tensors(folder: Path) -> None:
    (folder / TENSORS).unlink()


def other_tensors(folder: Path) -> None:
    (folder / TENSORS).write_bytes(vocabulary(21).files()[TENSORS])


def no_json(folder: Path) -> None:
    (folder / FACTS).write_text("{")


def with_tensors(centres: bytes) -> Callable[[Path], None]:
    """Other tensors, and facts that were written for them."""

    def change(folder: Path) -> None:
        (folder / TENSORS).write_bytes(centres)
        told(sha256=digest_of(folder / TENSORS))(folder)

    return change


def told(**changes: Any) -> Callable[[Path], None]:
    """Facts with other values; None takes one away."""

    def change(folder: Path) -> None:
        facts = json.loads((folder / FACTS).read_text()) | changes
        facts = {name: value for name, value in facts.items() if value is not Ellipsis}
        (folder / FACTS).write_text(json.dumps(facts))

    return change


BAD = {
    "no tensors": (no_tensors, "units.safetensors cannot be read (No such file or directory)"),
    "tensors of another": (other_tensors, "units.safetensors is not the one that units.json tells of"),
    "broken JSON": (no_json, "units.json is not readable as JSON"),
    "another format": (told(format=2), "units.json is of format 2, this gristmill reads 1"),
    "another layer": (told(layer=3), "units.json has changed since it was written"),
    "no features": (told(features=...), "holds no unit vocabulary: lacks 'features'"),
    "unknown features": (told(features="fbank"), "its features 'fbank' cannot be"),
    "a rate of nothing": (told(hz=0), "its hz 0 cannot be"),
    "a rate that is no number": (told(hz=float("nan")), "its hz nan cannot be"),
    "hubert without layer": (told(features="hubert"), "its layer None cannot be"),
    "hubert without model": (told(features="hubert", layer=6), "its model None cannot be"),
    "a seed of text": (told(seed="0"), "its seed '0' cannot be"),
    "another k": (told(k=21), "its k or dimensions cannot be"),
    "a sample of text": (told(sample="10%"), "its sample or versions cannot be"),
    "no tensor file": (with_tensors(b"junk"), "holds no unit vocabulary: "),
    "another tensor": (with_tensors(safetensors.numpy.save({"x": drawn(20, 39)})), "lacks 'centroids'"),
    "float64": (with_tensors(safetensors.numpy.save({"centroids": np.ones((20, 39))})), "are float64 of (20, 39)"),
    "no number": (
        with_tensors(safetensors.numpy.save({"centroids": np.full((20, 39), np.nan, np.float32)})),
        "a centre holds what is no number",
    ),
    "mfcc of 64": (with_tensors(safetensors.numpy.save({"centroids": drawn(20, 64)})), "but mfcc has 39"),
}


@pytest.mark.parametrize(("change", "why"), BAD.values(), ids=BAD)
def test_what_is_amiss_is_told_in_one_line(change: Callable[[Path], None], why: str, tmp_path: Path) -> None:
    save_vocabulary(vocabulary(), Store(tmp_path))
    change(tmp_path)
    with pytest.raises(UserError) as raised:
        load_vocabulary(str(tmp_path))
    line = str(raised.value)
    assert line.startswith("units.vocabulary: ") and why in line and "\n" not in line
    assert line.endswith(("fit or copy it anew", "fit it anew"))


def test_a_frame_gets_the_nearest_centre() -> None:
    one, frames = vocabulary(100), drawn(1000, 39, seed=1)
    apart = ((frames[:, None].astype(np.float64) - one.centroids.astype(np.float64)) ** 2).sum(2)
    chosen = apart[np.arange(1000), one.apply(frames)]
    assert (chosen - apart.min(1)).max() < 1e-4
    assert (one.apply(frames) == apart.argmin(1)).mean() > 0.999


def test_a_centre_is_its_own_unit() -> None:
    one = vocabulary()
    assert one.apply(one.centroids).tolist() == list(range(20))


def test_no_frames_have_no_units() -> None:
    assert vocabulary().apply(np.empty((0, 39), np.float32)).tolist() == []


CLOSE = drawn(2000, 39, seed=2)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 2000), max_size=8), st.sampled_from([7, 100]))
def test_units_do_not_depend_on_how_frames_are_cut(cuts: list[int], k: int) -> None:
    # Centres that differ in their last bits only: whichever product rounds otherwise gives another unit.
    ulps = np.random.default_rng(3).integers(-4, 5, (k, 39)).astype(np.float32) * np.float32(2**-24)
    one = Vocabulary(mfcc_spec(), np.float32(1) + ulps)
    edges = [0, *sorted(cuts), 2000]
    parts = [one.apply(CLOSE[start:end]) for start, end in pairwise(edges)]
    assert np.concatenate(parts).tobytes() == one.apply(CLOSE).tobytes()


def test_units_do_not_depend_on_threads_or_memory_order() -> None:
    ulps = np.random.default_rng(3).integers(-4, 5, (500, 39)).astype(np.float32) * np.float32(2**-24)
    one = Vocabulary(mfcc_spec(), np.float32(1) + ulps)
    with threadpool_limits(1):
        alone = one.apply(CLOSE)
    with threadpool_limits(2):
        assert np.array_equal(one.apply(CLOSE), alone)
    assert np.array_equal(one.apply(np.asfortranarray(CLOSE)), alone)
    assert len(set(alone.tolist())) > 1


@pytest.mark.parametrize(
    ("features", "why"),
    [
        (drawn(5, 13), "features are float32 of .5, 13., not float32 x 39"),
        (np.zeros((5, 39)), "features are float64"),
        (np.full((5, 39), np.inf, np.float32), "the features hold what is no number"),
    ],
)
def test_features_of_another_kind_are_refused(features: np.ndarray, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        vocabulary().apply(features)
