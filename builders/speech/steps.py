"""The steps from the samples of speech to features, and from features to units."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from builders.speech.audio import decode, resampled_length, sound_hash, sound_of, wave_of
from builders.speech.extract import Extractor
from builders.speech.features import RATE
from builders.speech.units import merge
from builders.speech.vocabulary import Vocabulary
from builders.step import Record, Rejected, Result, Services

HALVED = "hubert_halved"
"""1 for an utterance whose batch was smaller than it should be, for want of GPU memory: its features may differ in
their last bits."""
_TOO_SHORT = Rejected("too_short_for_units", "it has no whole frame")


@dataclass
class CountFrames:
    """Adds `frames`: how many the features of an utterance would have. Nothing is computed."""

    extractor: Extractor
    name: ClassVar = "count_frames"
    reads: ClassVar = ("samples", "sample_rate")
    adds: ClassVar = {"frames": pa.int64()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        counts = [resampled_length(record["samples"], record["sample_rate"], RATE) for record in records]
        frames = [self.extractor.frames(count) for count in counts]
        return [{"frames": count} if count else _TOO_SHORT for count in frames]


@dataclass
class HearSpeech:
    """Adds for each of `speech`, a prefix with the column of its audio, the samples at 16 kHz (PREFIX_wave, after "_")
    and the hash of what is heard (PREFIX_audio_sha256)."""

    speech: Mapping[str, str]
    name: ClassVar = "hear_speech"

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(self.speech.values())

    @property
    def adds(self) -> dict[str, pa.DataType]:
        waves = {f"_{prefix}wave": pa.large_binary() for prefix in self.speech}
        return waves | {f"{prefix}audio_sha256": pa.string() for prefix in self.speech}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._heard(record) for record in records]

    def _heard(self, record: Record) -> Result:
        heard: Record = {}
        for prefix, column in self.speech.items():
            sound = decode(record[column])
            if isinstance(sound, Rejected):
                return sound
            heard |= {f"_{prefix}wave": wave_of(sound, RATE), f"{prefix}audio_sha256": sound_hash(sound)}
        return heard


@dataclass
class AddFeatures:
    """Adds `_features` of `_wave`: frames x dimensions, float32, as NumPy's own file format has them."""

    extractor: Extractor
    name: ClassVar = "features"
    reads: ClassVar = ("_wave",)
    adds: ClassVar = {"_features": pa.large_binary()}

    def setup(self, services: Services) -> None:
        self.extractor.setup(services)

    def __call__(self, records: list[Record]) -> list[Result]:
        found = self.extractor([sound_of(record["_wave"], RATE) for record in records])
        return [{"_features": npy(features)} if len(features) else _TOO_SHORT for features in found]


def npy(features: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, features, allow_pickle=False)
    return out.getvalue()


def from_npy(data: bytes) -> np.ndarray:
    features: np.ndarray = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return features


@dataclass
class ToUnits:
    """Adds the units of each wave (_PREFIXwave): `_PREFIXunits` ("<sosp><5><7><eosp>"), for how many frames each holds
    (`_PREFIXdurations`), and how many units and frames there are (PREFIXn_units, PREFIXn_frames)."""

    extractor: Extractor
    vocabulary: Vocabulary
    prefixes: Sequence[str] = ("",)
    name: ClassVar = "to_units"

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(f"_{prefix}wave" for prefix in self.prefixes)

    @property
    def adds(self) -> dict[str, pa.DataType]:
        added: dict[str, pa.DataType] = {} if self.extractor.halved is None else {HALVED: pa.int32()}
        for prefix in self.prefixes:
            added |= {f"_{prefix}units": pa.string(), f"_{prefix}durations": pa.list_(pa.int32())}
            added |= {f"{prefix}n_units": pa.int32(), f"{prefix}n_frames": pa.int32()}
        return added

    def setup(self, services: Services) -> None:
        self.extractor.setup(services)

    def __call__(self, records: list[Record]) -> list[Result]:
        sounds = [sound_of(record[column], RATE) for record in records for column in self.reads]
        features = self.extractor(sounds)
        width = len(self.prefixes)
        return [self._told(features[i * width : (i + 1) * width]) for i in range(len(records))]

    def _told(self, features: Sequence[np.ndarray]) -> Result:
        halved = self.extractor.halved
        told: dict[str, Any] = {} if halved is None else {HALVED: int(halved)}
        for prefix, frames in zip(self.prefixes, features, strict=True):
            if not len(frames):
                return _TOO_SHORT
            units = merge(self.vocabulary.apply(frames))
            told |= {f"_{prefix}units": str(units), f"_{prefix}durations": list(units.durations)}
            told |= {f"{prefix}n_units": len(units.ids), f"{prefix}n_frames": len(frames)}
        return told
