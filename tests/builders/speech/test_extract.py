"""What makes features in a worker: how many frames there will be, and what too little GPU memory does to a batch."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from builders.speech import hubert
from builders.speech.audio import Sound, resample, resampled_length, sound_of, wave_of
from builders.speech.extract import Extractor, HubertLayer, Mfcc
from builders.speech.features import MFCC_DIMENSIONS, mfcc_spec
from builders.speech.hubert import Hubert, find_hubert
from builders.step import Services
from tests.builders.speech.test_hubert import tiny

RATES = st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000]) | st.integers(1000, 200_000)


def noise(samples: int, rate: int = 16_000, seed: int = 0) -> Sound:
    return Sound(np.random.default_rng(seed).normal(0, 0.1, samples).clip(-1, 1).astype(np.float32), rate)


# ---- lengths ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 30_000), RATES, RATES)
def test_the_length_of_a_resampled_sound_is_known_before(samples: int, old: int, rate: int) -> None:
    sound = Sound(np.zeros(samples, np.float32), old)
    assert resampled_length(samples, old, rate) == len(resample(sound, rate).samples)


@given(st.integers(0, 5000), st.sampled_from([8000, 16_000, 22_050]))
def test_a_wave_is_the_sound_at_the_other_rate_in_16_bit(samples: int, rate: int) -> None:
    sound = noise(samples, rate)
    wave = wave_of(sound, 16_000)
    assert len(wave) == 2 * resampled_length(samples, rate, 16_000)
    assert wave_of(sound_of(wave, 16_000), 16_000) == wave, "what was written is read back whole"


def test_samples_at_either_end_of_the_scale_stay_where_they_are() -> None:
    wave = wave_of(Sound(np.array([-1, -0.5, 0, 0.5, 1], np.float32), 16_000), 16_000)
    assert np.frombuffer(wave, "<i2").tolist() == [-32768, -16384, 0, 16384, 32767]
    assert np.abs(sound_of(wave, 16_000).samples).max() <= 1


@given(st.integers(0, 4000))
def test_mfcc_has_as_many_frames_as_it_says(samples: int) -> None:
    extractor = Mfcc()
    (features,) = extractor([noise(samples)])
    assert features.shape == (extractor.frames(samples), MFCC_DIMENSIONS)


@pytest.mark.parametrize("subtract_mean", [False, True])
def test_mfcc_tells_what_it_is(subtract_mean: bool, services: Services) -> None:
    extractor = Mfcc(subtract_mean)
    extractor.setup(services)
    assert (extractor.spec, extractor.dimensions, extractor.halved) == (mfcc_spec(subtract_mean), 39, None)
    plain, own = (one([noise(8000)])[0] for one in (Mfcc(), extractor))
    assert np.array_equal(plain, own) is not subtract_mean


# ---- HuBERT ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("hubert"), "group")


@pytest.fixture
def threads() -> Iterator[None]:
    """Whatever a worker sets is that worker's alone."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def layer(model: Path, services: Services, threads: None) -> HubertLayer:
    made = HubertLayer(find_hubert(str(model), 2))
    made.setup(services)
    return made


@pytest.mark.slow
def test_hubert_has_as_many_frames_as_it_says(layer: HubertLayer) -> None:
    lengths = [0, 1, 399, 400, 719, 720, 721, 1039, 1040, 15_999, 16_000, 16_080]
    features = layer([noise(n) for n in lengths])
    assert [one.shape for one in features] == [(layer.frames(n), layer.dimensions) for n in lengths]
    assert layer.spec.layer == 2 and layer.halved is False


@pytest.mark.slow
def test_features_take_their_own_threads_whatever_ran_in_the_process_before(layer: HubertLayer) -> None:
    torch.set_num_threads(2)
    layer([noise(720)])
    assert torch.get_num_threads() == 1


@pytest.mark.slow
def test_it_travels_to_a_worker_and_loads_there(model: Path, services: Services, threads: None) -> None:
    made = HubertLayer(find_hubert(str(model), 2))
    there: Extractor = pickle.loads(pickle.dumps(made))
    there.setup(services)
    assert there.spec == made.spec
    assert there([noise(4000)])[0].shape == (12, 32)


# ---- too little memory -----------------------------------------------------------------------------------------------


class Small:
    """A GPU that holds so many seconds of speech at once, padding included."""

    def __init__(self, made: Hubert, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds, self.run = seconds, made._run
        self.batches: list[list[float]] = []
        monkeypatch.setattr(made, "_run", self)

    def __call__(self, sounds: Sequence[Sound]) -> np.ndarray:
        self.batches.append([sound.seconds for sound in sounds])
        if max(self.batches[-1]) * len(sounds) > self.seconds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.run(sounds)


def with_memory(layer: HubertLayer, seconds: float, monkeypatch: pytest.MonkeyPatch) -> Small:
    made: Any = layer._model
    made.batch_seconds = 8.0
    return Small(made, seconds, monkeypatch)


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_halved_and_stays_so(layer: HubertLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = [noise(16_000, seed=i) for i in range(5)]
    alone = [layer([sound])[0] for sound in sounds]
    small = with_memory(layer, 2, monkeypatch)

    together = layer(sounds)

    assert [len(batch) for batch in small.batches] == [5, 4, 2, 2, 1]
    assert layer.halved is True
    for one, other in zip(together, alone, strict=True):
        assert np.abs(one - other).max() < 1e-5
    small.batches.clear()
    layer(sounds[:4])
    assert [len(batch) for batch in small.batches] == [2, 2], "no batch is tried in vain again"


@pytest.mark.slow
def test_what_was_done_before_a_batch_did_not_fit_is_not_done_again(
    layer: HubertLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = with_memory(layer, 4, monkeypatch)
    features = layer([noise(16_000 * n) for n in (2, 4, 1, 1, 1, 1, 1, 1)])
    assert [len(one) for one in features] == [99, 199, *[49] * 6]
    assert small.batches[0] == [4.0, 2.0]
    assert small.batches[1:] == [[4.0], [2.0, 1.0], [1.0] * 4, [1.0]]


@pytest.mark.slow
def test_a_batch_is_halved_though_a_longer_utterance_fitted_alone(
    layer: HubertLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = with_memory(layer, 9, monkeypatch)

    def picky(sounds: Sequence[Sound]) -> np.ndarray:
        if len(sounds) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return fits(sounds)

    monkeypatch.setattr(layer._model, "_run", picky)
    features = layer([noise(16_000 * n) for n in (9, *[1] * 6)])
    assert [len(one) for one in features] == [449, *[49] * 6]
    assert layer.halved is True


@pytest.mark.slow
def test_an_utterance_that_does_not_fit_alone_is_an_error(layer: HubertLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    small = with_memory(layer, 2, monkeypatch)
    with pytest.raises(torch.OutOfMemoryError):
        layer([noise(16_000), noise(48_000)])
    assert small.batches[-1] == [3.0]


@pytest.mark.slow
def test_a_model_without_memory_trouble_says_so(layer: HubertLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hubert.BATCH_SECONDS, "cpu", 8.0)
    small = with_memory(layer, 100, monkeypatch)
    layer([noise(16_000) for _ in range(3)])
    assert (layer.halved, len(small.batches)) == (False, 1)
