"""Speech to measure with: captions in several voices of espeak with a little noise, and models of random weights."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.inputs import captions
from builders.speech.audio import Sound, resample
from builders.speech.espeak import Espeak
from builders.speech.features import RATE, mfcc, mfcc_spec
from builders.speech.kmeans import draw_sample, fit
from builders.speech.vocabulary import Vocabulary
from builders.torchvision_fix import complete_torchvision

VOICES = ("en-us", "en-us+f2", "en-us+m3", "en-gb", "en-gb+f4", "en-gb-scotland+m5")
_NOISE = 0.002
"""Its level, -54 dB: digital silence between words would make FLAC too small."""


def texts(count: int, seed: int = 0) -> list[str]:
    """One caption or two."""
    draw, some = random.Random(seed), captions(2 * count, seed)
    return [" ".join(some[2 * i : 2 * i + draw.randint(1, 2)]) for i in range(count)]


def speech(count: int, seed: int = 0) -> Iterator[tuple[str, Sound]]:
    """Texts and their speech, 2 to 9 seconds at 22,050 Hz."""
    draw, numbers = random.Random(seed), np.random.default_rng(seed)
    with Espeak(VOICES, 165) as slower, Espeak(VOICES, 190) as faster:
        for text in texts(count, seed):
            sound = draw.choice((slower, faster)).speak(text, draw.choice(VOICES))
            noise = numbers.normal(0, _NOISE, len(sound.samples)).astype(np.float32)
            yield text, Sound(np.clip(sound.samples + noise, -1, 1), sound.rate)


def ljspeech(folder: Path, count: int, seed: int = 0) -> float:
    """Write a data set in LJSpeech's layout; its seconds."""
    (folder / "wavs").mkdir(parents=True)
    lines, seconds = [], 0.0
    for i, (text, sound) in enumerate(speech(count, seed)):
        soundfile.write(folder / "wavs" / f"B{i:05d}.wav", sound.samples, sound.rate, subtype="PCM_16")
        lines.append(f"B{i:05d}|{text}|{text}\n")
        seconds += sound.seconds
    (folder / "metadata.csv").write_text("".join(lines))
    return seconds


def fitted(sounds: Sequence[Sound], k: int, subtract_mean: bool = False) -> Vocabulary:
    """A vocabulary of mfcc, as the build that fits one draws and fits it."""
    features = {f"{i:05d}": mfcc(resample(sound, RATE), subtract_mean) for i, sound in enumerate(sounds)}
    sample = draw_sample({key: len(frames) for key, frames in features.items()}, [k], seed=0)
    return fit(features, sample, [k], mfcc_spec(subtract_mean), seed=0)[0]


def base_hubert(folder: Path) -> None:
    """A HuBERT of the base size, as mHuBERT is: 12 layers of 768, group norm; random weights."""
    import torch

    complete_torchvision()
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    HubertModel(HubertConfig()).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
