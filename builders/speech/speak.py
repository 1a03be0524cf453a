"""Speech for a text: what every way to make it looks like, and the step that asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from builders.dice import Dice, number
from builders.speech.audio import Sound, encode_flac
from builders.speech.checks import measure
from builders.speech.speakable import spoken, unspeakable
from builders.step import Failed, Record, Rejected, Result, Services

SILENT_DB = -60.0
"""Speech is never so quiet: 70 English voices of espeak-ng have -28 to -20 dB, its quietest -33."""


@dataclass(frozen=True)
class Utterance:
    """One text for one voice; `seed` (64 bits) is where an engine's chance comes from."""

    text: str
    voice: str
    seed: int


class Engine(Protocol):
    """One way to make speech from text. Pickled into each worker, loaded there."""

    @property
    def voices(self) -> Sequence[str]:
        """One is drawn for each text."""

    def language(self, voice: str) -> str:
        """What the voice speaks, as in "en" or "en-gb"."""

    def setup(self, services: Services) -> None:
        """Loads the model, once in each worker."""

    def utter(self, utterances: Sequence[Utterance]) -> Sequence[Sound | Rejected]:
        """For each its sound, which depends on it alone; or Rejected or Failed, and why."""


@dataclass
class SpeakText:
    """Adds speech of the text in `column`: FLAC in `speech`; and, their names after `prefix`, length in seconds, level
    and peak (see builders.speech.checks.measure), and the voice, drawn of the engine's by (`seed`, prefix, key).

    Rejects what cannot be spoken, or has more than `max_words`. Speech that is empty or silent has failed.
    """

    engine: Engine
    seed: int
    column: str = "text"
    speech: str = "_speech"
    prefix: str = ""
    max_words: int | None = None

    @property
    def name(self) -> str:
        return f"{self.prefix}speak"

    @property
    def reads(self) -> tuple[str, str]:
        return ("key", self.column)

    @property
    def adds(self) -> dict[str, pa.DataType]:
        told = {"voice": pa.string(), "seconds": pa.float64(), "rms_db": pa.float64(), "peak": pa.float64()}
        return {self.speech: pa.large_binary(), **{self.prefix + name: kind for name, kind in told.items()}}

    def setup(self, services: Services) -> None:
        self.engine.setup(services)

    def __call__(self, records: list[Record]) -> list[Result]:
        asked = [self._ask(record["key"], record[self.column]) for record in records]
        utterances = [one for one in asked if isinstance(one, Utterance)]
        sounds = iter(self.engine.utter(utterances))
        return [self._answer(next(sounds), one.voice) if isinstance(one, Utterance) else one for one in asked]

    def _ask(self, key: str, text: str) -> Utterance | Rejected:
        voice = Dice(self.seed, "voice", self.prefix, key).pick(self.engine.voices)
        language = self.engine.language(voice)
        why = unspeakable(text, language, self.max_words)
        if why:
            return Rejected(*why)
        return Utterance(spoken(text, language), voice, number(self.seed, "speech", self.prefix, key))

    def _answer(self, sound: Sound | Rejected, voice: str) -> Result:
        told: Record = {"voice": voice}
        if isinstance(sound, Rejected):
            return type(sound)(sound.reason, sound.detail, self._named(told))
        if not len(sound.samples):
            return Failed("empty_speech", f"{voice} said nothing", self._named(told))
        if not np.isfinite(sound.samples).all():
            return Failed("broken_speech", f"{voice} gave samples that are no numbers", self._named(told))
        measured = measure(sound)
        told |= {name: measured[name] for name in ("seconds", "rms_db", "peak")}
        if told["rms_db"] < SILENT_DB:
            return Failed("silent_speech", f"{told['rms_db']} dB are under {SILENT_DB:g}", self._named(told))
        return {self.speech: encode_flac(sound), **self._named(told)}

    def _named(self, told: Record) -> Record:
        return {self.prefix + name: value for name, value in told.items()}
