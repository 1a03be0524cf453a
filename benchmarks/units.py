"""How much units mean, by k and settings: `python -m benchmarks.units [FOLDER]` prints a table for the documentation.

FOLDER (../shared/data/speech) holds `fsdd`, 90 spoken digits (DIGIT_SPEAKER_TAKE.wav), and `ljspeech`, one reader. Each
vocabulary of mfcc is fitted as a build fits it: for digits on LJSpeech and FSDD, for sentences on speech of espeak.
Two utterances are as far apart as their units are (edits over the longer length). A figure is the area under the ROC
curve: how often, of two drawn pairs, the pair that says the same is the nearer one; 0.5 is chance.

Digits: pairs of one speaker, the same digit against another; and, harder, pairs of different speakers. Sentences: pairs
of different voices, the same sentence of a dozen against another. Without FOLDER sentences alone are measured.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.inputs import captions
from benchmarks.speech_inputs import VOICES
from builders.speech.audio import Sound, decode, resample
from builders.speech.espeak import Espeak
from builders.speech.features import RATE, mfcc, mfcc_spec
from builders.speech.kmeans import draw_sample, fit
from builders.speech.units import Units, distance, merge
from builders.speech.vocabulary import Vocabulary

KS = (25, 50, 100, 200)
SENTENCES = 12
DRILL = 120
"""Other sentences, which the vocabulary of espeak is fitted on."""


@dataclass(frozen=True)
class Said:
    """An utterance: what it says, who says it, and its samples at 16 kHz."""

    what: str
    who: str
    sound: Sound


def main(folder: Path) -> None:
    """Print the table."""
    digits, read = _shared(folder)
    asked = captions(SENTENCES + DRILL, seed=1)
    with Espeak(VOICES) as engine:
        sentences = [
            Said(text, voice, _at_rate(engine.speak(text, voice))) for text in asked[:SENTENCES] for voice in VOICES
        ]
        drill = [_at_rate(engine.speak(text, VOICES[i % len(VOICES)])) for i, text in enumerate(asked[SENTENCES:])]
    print(
        "| mfcc | k | digits, one speaker | digits, other speakers | sentences, other voices | units/s | distortion |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for subtract in (False, True):
        pools = [[*read, *(one.sound for one in digits)], drill] if digits else [drill]
        fitted = [_fitted(pool, subtract) for pool in pools]
        for i, k in enumerate(KS):
            by_espeak = _units(fitted[-1][i], sentences, subtract)
            cells = [f"{auc(_pairs(sentences, by_espeak, other=True)):.2f}"]
            if digits:
                units = _units(fitted[0][i], digits, subtract)
                cells = [f"{auc(_pairs(digits, units, other)):.2f}" for other in (False, True)] + cells
            rate = sum(len(one.ids) for one in by_espeak) / sum(one.sound.seconds for one in sentences)
            told = "/".join(f"{vocabularies[i].sample['distortion']:.0f}" for vocabularies in fitted)
            name = "subtract_mean" if subtract else "plain"
            print(f"| {name} | {k} | {' | '.join(cells if digits else ['', '', *cells])} | {rate:.1f} | {told} |")


def auc(pairs: Iterator[tuple[bool, float]]) -> float:
    """How often a pair that says the same is nearer than one that does not; a tie is half."""
    same: list[float] = []
    differ: list[float] = []
    for equal, apart in pairs:
        (same if equal else differ).append(apart)
    near, far = np.array(same)[:, None], np.array(differ)
    return float((near < far).mean() + (near == far).mean() / 2)


def _pairs(said: Sequence[Said], units: Sequence[Units], other: bool) -> Iterator[tuple[bool, float]]:
    """Whether two say the same, and how far apart they are; of one speaker, or of `other` ones."""
    for (one, mine), (another, theirs) in combinations(zip(said, units, strict=True), 2):
        if (one.who != another.who) == other:
            yield one.what == another.what, distance(mine.ids, theirs.ids)


def _units(vocabulary: Vocabulary, said: Sequence[Said], subtract: bool) -> list[Units]:
    return [merge(vocabulary.apply(mfcc(one.sound, subtract))) for one in said]


def _fitted(sounds: Sequence[Sound], subtract: bool) -> list[Vocabulary]:
    features = {f"{i:05d}": mfcc(sound, subtract) for i, sound in enumerate(sounds)}
    sample = draw_sample({key: len(frames) for key, frames in features.items()}, KS, seed=0)
    return fit(features, sample, KS, mfcc_spec(subtract), seed=0)


def _shared(folder: Path) -> tuple[list[Said], list[Sound]]:
    """The digits, and what LJSpeech's reader says."""
    digits = [(path.stem.split("_"), path) for path in sorted((folder / "fsdd").glob("*.wav"))]
    read = sorted((folder / "ljspeech").rglob("*.flac"))
    return [Said(name[0], name[1], _read(path)) for name, path in digits], [_read(path) for path in read]


def _read(path: Path) -> Sound:
    sound = decode(path.read_bytes())
    assert isinstance(sound, Sound), f"{path}: {sound}"
    return _at_rate(sound)


def _at_rate(sound: Sound) -> Sound:
    return resample(sound, RATE)


if __name__ == "__main__":
    with threadpool_limits(1):
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/speech"))
