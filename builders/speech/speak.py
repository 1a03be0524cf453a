"""Speech for a text: what every way to make it looks like, and the step that asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import pyarrow as pa

from builders.dice import Dice, number
from builders.speech.audio import Sound, encode_flac
from builders.speech.checks import measure
from builders.speech.speakable import unspeakable
from builders.speech.written_out import spoken
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


@dataclass(frozen=True)
class Part:
    """One text of a record that is spoken: its column, the column of its speech, what the names of all that is told of
    it begin with, and how many words it may have."""

    column: str = "text"
    speech: str = "_speech"
    prefix: str = ""
    max_words: int | None = None


@dataclass
class SpeakText:
    """Adds speech of some texts of a record. For each part: FLAC in its `speech`; and, their names after its prefix,
    length in seconds, level and peak (see builders.speech.checks.measure), and the voice, drawn of the engine's by
    (`seed`, prefix, key).

    A record is rejected where one of its texts cannot be spoken, before any of them is. Speech that is empty or silent
    has failed.
    """

    engine: Engine
    seed: int
    parts: Sequence[Part] = (Part(),)
    name: ClassVar = "speak"

    @property
    def reads(self) -> tuple[str, ...]:
        return ("key", *(part.column for part in self.parts))

    @property
    def adds(self) -> dict[str, pa.DataType]:
        told = {"voice": pa.string(), "seconds": pa.float64(), "rms_db": pa.float64(), "peak": pa.float64()}
        speech: dict[str, pa.DataType] = {part.speech: pa.large_binary() for part in self.parts}
        return speech | {part.prefix + name: kind for part in self.parts for name, kind in told.items()}

    def setup(self, services: Services) -> None:
        self.engine.setup(services)

    def __call__(self, records: list[Record]) -> list[Result]:
        asked = [self._ask(record) for record in records]
        sounds = iter(self.engine.utter(_all(asked)))
        return [one if isinstance(one, Rejected) else self._answer(one, sounds) for one in asked]

    def utterances(self, records: list[Record]) -> list[Utterance]:
        """What the engine is asked for."""
        return _all([self._ask(record) for record in records])

    def _ask(self, record: Record) -> list[Utterance] | Rejected:
        asked = []
        for part in self.parts:
            one = self._utterance(part, record["key"], record[part.column])
            if isinstance(one, Rejected):
                return self._placed(part, one)
            asked.append(one)
        return asked

    def _utterance(self, part: Part, key: str, text: str) -> Utterance | Rejected:
        voice = Dice(self.seed, "voice", part.prefix, key).pick(self.engine.voices)
        language = self.engine.language(voice)
        why = unspeakable(text, language, part.max_words)
        if why:
            return Rejected(*why)
        return Utterance(spoken(text, language), voice, number(self.seed, "speech", part.prefix, key))

    def _answer(self, asked: Sequence[Utterance], sounds: Iterator[Sound | Rejected]) -> Result:
        """What no later run would change is told before what has failed."""
        known: Record = {}
        speech: Record = {}
        wrong: list[Rejected] = []
        for part, one in zip(self.parts, asked, strict=True):
            told, answer = _heard(next(sounds), one.voice)
            known |= {part.prefix + name: value for name, value in told.items()}
            if isinstance(answer, Rejected):
                wrong.append(self._placed(part, answer))
            else:
                speech[part.speech] = encode_flac(answer)
        if wrong:
            first = min(wrong, key=lambda one: isinstance(one, Failed))
            return type(first)(first.reason, first.detail, known)
        return speech | known

    def _placed(self, part: Part, why: Rejected) -> Rejected:
        """With the column, where there are several."""
        return why if len(self.parts) == 1 else type(why)(why.reason, f"{part.column}: {why.detail}")


def _all(asked: Sequence[list[Utterance] | Rejected]) -> list[Utterance]:
    return [utterance for one in asked if not isinstance(one, Rejected) for utterance in one]


def _heard(sound: Sound | Rejected, voice: str) -> tuple[Record, Sound | Rejected]:
    """What is known of a sound, and the sound where it is speech."""
    told: Record = {"voice": voice}
    if isinstance(sound, Rejected):
        return told, sound
    if not len(sound.samples):
        return told, Failed("empty_speech", f"{voice} said nothing")
    if not np.isfinite(sound.samples).all():
        return told, Failed("broken_speech", f"{voice} gave samples that are no numbers")
    measured = measure(sound)
    told |= {name: measured[name] for name in ("seconds", "rms_db", "peak")}
    if told["rms_db"] < SILENT_DB:
        return told, Failed("silent_speech", f"{told['rms_db']} dB are under {SILENT_DB:g}")
    return told, sound
