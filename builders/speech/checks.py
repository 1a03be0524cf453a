"""What can be told of an utterance by its samples, which stands in index and rejects, and the limits of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from builders.speech.audio import Sound, UnreadableAudio, decode, header, sound_hash, text_hash, wave_of
from builders.speech.features import RATE
from builders.step import Failed, Record, Rejected, Result, Services

FRAME = 0.02
"""Seconds over which loudness is measured."""
QUIET_DB = 40.0
"""A frame so far below the loudest one is silence. By a fixed level it cannot be told: of 90 spoken digits of FSDD some
are as quiet as -47 dB on the whole, and in LJSpeech 4 to 14% of the frames are so far below, its pauses."""
FLOOR_DB = -120.0
"""What digital silence is given, whose level is no number."""
FULL = 0.999
"""A sample at or over this is at the end of the scale."""


@dataclass(frozen=True)
class AudioLimits:
    """What an utterance must keep to; our own choice, wide enough for LJSpeech and FSDD. Each names its reason.

    min_seconds, max_seconds: too_short, too_long; LibriSpeech's longest have 35 s, Whisper hears 30 s.
    min_rate: low_rate; Hz of the source: a telephone has 8,000.
    min_rms_db: silent; dB below a square wave at full scale.
    max_silence: mostly_silent; the share of frames that are silence.
    max_clipped: clipped; the share of samples at the end of the scale.
    """

    min_seconds: float = 0.1
    max_seconds: float = 30.0
    min_rate: int = 8000
    min_rms_db: float = -60.0
    max_silence: float = 0.8
    max_clipped: float = 0.001


_TOLD = {
    "audio_format": pa.string(),
    "sample_rate": pa.int32(),
    "channels": pa.int32(),
    "samples": pa.int64(),
    "seconds": pa.float64(),
    "rms_db": pa.float64(),
    "peak": pa.float64(),
    "clipped": pa.float64(),
    "silence": pa.float64(),
    "audio_sha256": pa.string(),
    "text_sha256": pa.string(),
}


@dataclass
class CheckAudio:
    """Adds what `_audio` is and sounds like (mean of its channels), and hashes of what is heard and of what is said.

    `wave`: adds its samples at 16 kHz as well, `_wave` (see audio.wave_of), so that it is decoded once. Rejects what
    breaks `limits`; what is too long, before it is decoded. What cannot be decoded has failed.
    """

    limits: AudioLimits = AudioLimits()
    wave: bool = True
    name: ClassVar = "check_audio"
    reads: ClassVar = ("_audio", "text")

    @property
    def adds(self) -> dict[str, pa.DataType]:
        return {**_TOLD, "_wave": pa.large_binary()} if self.wave else _TOLD

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        results: list[Result] = []
        for record in records:
            try:
                results.append(self._check(record["_audio"], record["text"]))
            except UnreadableAudio as error:
                results.append(Failed("unreadable_audio", str(error)))
        return results

    def _check(self, data: bytes, text: str | None) -> Result:
        found = header(data)
        known: Record = {"audio_format": found.kind, "sample_rate": found.rate, "channels": found.channels}
        sound = decode(data, most=self.limits.max_seconds)
        if isinstance(sound, Rejected):
            seconds = None if found.seconds is None else round(found.seconds, 4)
            return Rejected(sound.reason, sound.detail, {**known, "seconds": seconds})
        known |= {**measure(sound), "samples": len(sound.samples), "audio_sha256": sound_hash(sound)}
        known["text_sha256"] = None if text is None else text_hash(text)
        broken = broken_limit(known, self.limits)
        if broken:
            return Rejected(broken.reason, broken.detail, known)
        return {**known, "_wave": wave_of(sound, RATE)} if self.wave else known


def measure(sound: Sound) -> Record:
    """Seconds, level (dB), peak, and the shares of clipped samples and of silent frames, rounded to be compared."""
    loud = np.square(sound.samples, dtype=np.float64)
    size = max(round(FRAME * sound.rate), 1)
    frames = loud[: len(loud) // size * size].reshape(-1, size).mean(axis=1) if len(loud) >= size else loud[:0]
    quiet = frames <= frames.max() * 10 ** (-QUIET_DB / 10) if len(frames) else np.zeros(1)
    peak = abs(float(max(sound.samples.max(), -sound.samples.min()))) if len(loud) else 0.0  # abs: no minus zero
    return {
        "seconds": round(sound.seconds, 4),
        "rms_db": _db(float(loud.mean())) if len(loud) else FLOOR_DB,
        "peak": round(peak, 4),
        "clipped": round(float((np.abs(sound.samples) >= FULL).mean()), 6) if peak >= FULL else 0.0,
        "silence": round(float(quiet.mean()), 4),
    }


def broken_limit(measured: Record, limits: AudioLimits) -> Rejected | None:
    """The first limit that an utterance breaks, by the columns of `measure` and its `sample_rate`, or None."""
    seconds, level = measured["seconds"], measured["rms_db"]
    if seconds < limits.min_seconds:
        return Rejected("too_short", f"{seconds} s are under {limits.min_seconds:g}")
    if seconds > limits.max_seconds:
        return Rejected("too_long", f"{seconds} s are over {limits.max_seconds:g}")
    if measured["sample_rate"] < limits.min_rate:
        return Rejected("low_rate", f"{measured['sample_rate']} Hz are under {limits.min_rate}")
    if level < limits.min_rms_db:
        return Rejected("silent", f"{level} dB are under {limits.min_rms_db:g}")
    if measured["silence"] > limits.max_silence:
        return Rejected("mostly_silent", f"{measured['silence']} of it are over {limits.max_silence:g}")
    if measured["clipped"] > limits.max_clipped:
        return Rejected("clipped", f"{measured['clipped']} of its samples are over {limits.max_clipped:g}")
    return None


def _db(power: float) -> float:
    return max(round(10 * math.log10(power), 2), FLOOR_DB) if power else FLOOR_DB
