"""MFCC against their definition in Kaldi, written out in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.speech.audio import Sound, decode, resample
from builders.speech.features import MFCC_DIMENSIONS, RATE, mfcc, mfcc_frames


def mel(hz: np.ndarray | float) -> np.ndarray:
    return np.asarray(1127.0 * np.log(1.0 + np.asarray(hz) / 700.0))


def cepstra_by_definition(samples: np.ndarray) -> np.ndarray:
    """Kaldi's compute-mfcc-feats with its defaults, but for dither (0) and the energy, which stays cepstrum 0."""
    frames = []
    for start in range(0, len(samples) - 400 + 1, 160):
        frame = samples[start : start + 400].astype(np.float64)
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        povey = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
        frames.append(np.abs(np.fft.rfft(frame * povey, 512)) ** 2)
    power = np.array(frames)[:, :256]
    edges = np.linspace(mel(20.0), mel(8000.0), 25)
    bins = mel(np.arange(256) * RATE / 512)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    banks = np.maximum(np.minimum(rising, falling), 0.0)
    logs = np.log(np.maximum(power @ banks.T, np.finfo(np.float32).eps))
    order, bank = np.arange(13)[:, None], np.arange(23)
    cosines = np.sqrt(2 / 23) * np.cos(np.pi * order * (bank + 0.5) / 23)
    cosines[0] = np.sqrt(1 / 23)
    lifter = 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
    return np.asarray(logs @ cosines.T * lifter)


def deltas_by_definition(frames: np.ndarray) -> np.ndarray:
    """The slope over two frames either side, those beyond the ends being the first and the last."""
    last = len(frames) - 1
    at = [
        sum(n * (frames[min(t + n, last)] - frames[max(t - n, 0)]) for n in (1, 2)) / (2 * (1 + 4))
        for t in range(len(frames))
    ]
    return np.array(at)


def by_definition(samples: np.ndarray, subtract_mean: bool = False) -> np.ndarray:
    cepstra = cepstra_by_definition(samples)
    if subtract_mean:
        cepstra = cepstra - cepstra.mean(0)
    deltas = deltas_by_definition(cepstra)
    return np.concatenate([cepstra, deltas, deltas_by_definition(deltas)], axis=1)


def speech_like(samples: int, seed: int = 0) -> np.ndarray:
    """Noise over a buzz that rises and fades."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * n * t * (1 + 0.1 * t)) / n for n in range(1, 20))
    return (0.2 * buzz * np.sin(3 * t) ** 2 + rng.normal(0, 0.01, samples)).astype(np.float32)


@settings(max_examples=30)
@given(st.integers(400, 6000), st.integers(0, 99), st.booleans())
def test_mfcc_are_kaldis_by_definition(samples: int, seed: int, subtract_mean: bool) -> None:
    sound = speech_like(samples, seed)
    ours = mfcc(Sound(sound, RATE), subtract_mean)
    theirs = by_definition(sound, subtract_mean)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 2e-3  # cepstra reach 100


@given(st.integers(0, 2000))
def test_frames_start_every_10_ms_and_only_whole_ones_count(samples: int) -> None:
    found = mfcc(Sound(speech_like(samples), RATE))
    assert found.shape == (mfcc_frames(samples), MFCC_DIMENSIONS)
    assert found.dtype == np.float32
    assert mfcc_frames(samples) == len(range(0, samples - 399, 160))


def test_the_same_sound_has_the_same_features_bit_by_bit() -> None:
    sound = Sound(speech_like(16_000), RATE)
    assert mfcc(sound).tobytes() == mfcc(sound).tobytes()


def test_digital_silence_has_features_that_are_numbers_and_all_alike() -> None:
    found = mfcc(Sound(np.zeros(4000, np.float32), RATE))
    assert np.isfinite(found).all()
    assert (found == found[0]).all()
    assert not found[:, 13:].any()


def test_without_its_mean_a_sound_is_told_by_its_shape_not_its_loudness() -> None:
    loud = speech_like(16_000)
    quiet = Sound(loud * np.float32(0.5), RATE)
    plain, centred = mfcc(Sound(loud, RATE)) - mfcc(quiet), mfcc(Sound(loud, RATE), True) - mfcc(quiet, True)
    assert np.abs(plain[:, 0]).min() > 1.0
    assert np.abs(centred).max() < 1e-2
    assert np.abs(mfcc(quiet, True)[:, :13].mean(0)).max() < 1e-4


def test_a_sound_at_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="a sound at 8000 Hz; features are made at 16000 Hz, so resample it"):
        mfcc(Sound(np.zeros(8000, np.float32), 8000))


def test_real_speech_has_the_features_of_the_definition(shared: Path) -> None:
    sound = decode((shared / "data/speech/ljspeech/LJ001-0002.flac").read_bytes())
    assert isinstance(sound, Sound)
    sound = resample(sound, RATE)
    assert np.abs(mfcc(sound) - by_definition(sound.samples)).max() < 2e-2
