"""Which utterances k-means sees, and the vocabularies that come of them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from builders.speech import kmeans
from builders.speech.audio import Sound, decode, resample
from builders.speech.features import RATE, mfcc, mfcc_spec
from builders.speech.kmeans import Sample, draw_sample, fit
from builders.speech.units import distance, merge
from schemas.errors import UserError

pytestmark = pytest.mark.slow

SPEC = mfcc_spec()


def test_a_tenth_of_the_utterances_is_drawn_where_that_is_enough() -> None:
    sample = draw_sample({f"u{i}": 100 for i in range(1000)}, [50, 100], seed=0)
    assert len(sample.keys) == 100
    assert (sample.frames, sample.of, sample.warning) == (10_000, 1000, "")


def test_more_are_drawn_until_each_unit_has_50_frames() -> None:
    sample = draw_sample({f"u{i}": 100 for i in range(100)}, [20, 100], seed=0)
    assert (len(sample.keys), sample.frames, sample.warning) == (50, 5000, "")


def test_too_little_speech_is_taken_whole_with_a_warning() -> None:
    sample = draw_sample({f"u{i}": 100 for i in range(40)}, [100], seed=0)
    assert len(sample.keys) == 40
    assert sample.warning == "units.k: 100 units are fitted on 4,000 frames; 5,000 would be enough"


def test_fewer_frames_than_units_are_an_error_that_names_the_field() -> None:
    with pytest.raises(UserError, match=r"^units.k: 100 units need as many frames, but the 2 utterances have 99;"):
        draw_sample({"a": 50, "b": 49}, [20, 100], seed=0)
    assert draw_sample({"a": 50, "b": 50}, [20, 100], seed=0).frames == 100


def test_nothing_that_was_kept_is_an_error_of_its_own() -> None:
    with pytest.raises(UserError, match=r"^source: no utterance was kept to fit units on; gristmill query"):
        draw_sample({}, [2], seed=0)


def test_frames_that_memory_is_not_meant_for_lie_in_a_file_and_come_to_the_same_centres(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = np.random.default_rng(0)
    features = {f"u{i}": chance.standard_normal((100, 39)).astype(np.float32) for i in range(20)}
    sample = draw_sample(dict.fromkeys(features, 100), [5, 8], seed=0)
    held = [one.files() for one in fit(features, sample, [5, 8], SPEC, 0)]

    monkeypatch.setattr(kmeans, "IN_MEMORY", 1000)

    assert [one.files() for one in fit(features, sample, [5, 8], SPEC, 0)] == held


FRAMES = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 400), max_size=40)


@given(FRAMES, st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_sample_depends_on_seed_and_keys_and_not_on_order(frames: dict[str, int], seed: int, chance: object) -> None:
    frames["some"] = 10
    shuffled = sorted(frames, key=lambda key: chance.random())  # type: ignore[attr-defined]
    sample = draw_sample(frames, [3], seed)
    assert draw_sample({key: frames[key] for key in shuffled}, [3], seed) == sample
    assert len(set(sample.keys)) == len(sample.keys)
    assert sample.frames == sum(frames[key] for key in sample.keys) >= min(150, sum(frames.values()))
    assert all(frames[key] for key in sample.keys)


def test_another_seed_draws_others() -> None:
    frames = {f"u{i}": 100 for i in range(1000)}
    assert draw_sample(frames, [10], 0).keys != draw_sample(frames, [10], 1).keys


def clusters(k: int, frames: int = 60) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """k points far from each other, and utterances of frames close to them."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 10, (k, 39))
    return centres, {
        f"u{i}": (centres[rng.integers(0, k, frames)] + rng.normal(0, 0.1, (frames, 39))).astype(np.float32)
        for i in range(20)
    }


def drawn_from(features: dict[str, np.ndarray], ks: list[int]) -> Sample:
    return draw_sample({key: len(frames) for key, frames in features.items()}, ks, 0)


def test_the_centres_of_what_lies_apart_are_found() -> None:
    centres, features = clusters(12)
    (one,) = fit(features, drawn_from(features, [12]), [12], SPEC, 0)
    nearest = np.linalg.norm(one.centroids[:, None] - centres, axis=2)
    assert sorted(nearest.argmin(1)) == list(range(12))
    assert nearest.min(1).max() < 0.2
    told = dict(one.sample)
    assert told.pop("distortion") == pytest.approx(39 * 0.1**2, rel=0.1)
    assert told == {"utterances": 10, "of": 20, "frames": 600, "unused": 0}
    assert one.seed == 0 and set(one.versions) == {"scikit-learn", "numpy"}


def test_several_k_over_the_same_frames_are_each_as_if_alone() -> None:
    _, features = clusters(12)
    sample = drawn_from(features, [4, 12])
    few, many = fit(features, sample, [4, 12], SPEC, 0)
    assert (few.k, many.k) == (4, 12)
    assert few.files() == fit(features, sample, [4], SPEC, 0)[0].files()
    assert few.sample["distortion"] > many.sample["distortion"]


def test_a_fit_is_the_same_bytes_again_on_any_threads_and_another_with_another_seed() -> None:
    features = {f"u{i}": np.random.default_rng(i).normal(size=(300, 39)).astype(np.float32) for i in range(12)}
    sample = drawn_from(features, [30])
    (one,) = fit(features, sample, [30], SPEC, 0)
    for threads in (1, 2):
        with threadpool_limits(threads):
            assert fit(features, sample, [30], SPEC, 0)[0].files() == one.files()
    assert not np.array_equal(fit(features, sample, [30], SPEC, -1)[0].centroids, one.centroids)


def test_units_that_nothing_gets_are_told() -> None:
    frames = np.zeros((200, 39), np.float32)
    frames[100:] = 1
    (one,) = fit({"u": frames}, drawn_from({"u": frames}, [5]), [5], SPEC, 0)
    assert one.sample["unused"] == 3


def test_frames_that_are_not_the_samples_are_refused() -> None:
    _, features = clusters(4)
    sample = drawn_from(features, [4])
    with pytest.raises(ValueError, match="the utterances have 230 frames, but 240 were drawn"):
        fit(features | {sample.keys[0]: features[sample.keys[0]][:50]}, sample, [4], SPEC, 0)


def nearer(same: list[float], other: list[float]) -> float:
    """The chance that one of `same` is smaller than one of `other` (ROC AUC)."""
    ranks = rankdata([*same, *other])[: len(same)].sum()
    return 1 - (ranks - len(same) * (len(same) + 1) / 2) / (len(same) * len(other))


def test_spoken_digits_are_told_apart_by_their_units(shared: Path) -> None:
    """The same digit by the same speaker is nearer than another digit, as the issue wants it: ROC AUC 0.9."""
    features = {}
    for path in sorted((shared / "data/speech/fsdd").glob("*.wav")):
        sound = decode(path.read_bytes())
        assert isinstance(sound, Sound)
        features[path.stem] = mfcc(resample(sound, RATE))
    (one,) = fit(features, drawn_from(features, [100]), [100], SPEC, 0)
    said = {key: merge(one.apply(frames)).ids for key, frames in features.items()}
    apart: dict[bool, list[float]] = {True: [], False: []}
    for a, b in combinations(said, 2):
        (digit, speaker, _), (other, also, _) = a.split("_"), b.split("_")
        if speaker == also:
            apart[digit == other].append(distance(said[a], said[b]))
    assert nearer(apart[True], apart[False]) >= 0.9
