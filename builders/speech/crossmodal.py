"""Cross-modal turns: a transcript and its units become a task, to write down the speech or to speak the text.

Lecture's form: `[Human]:{D}. This is input: {U}<eoh>. [SpeechGPT]: {T}<eos>`; the released files have it with other
spaces and ends. For speech from text, {U} and {T} change places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar

import pyarrow as pa

from builders.dice import Dice
from builders.speech.instructions import INPUT, Task, instruction_problem, our_instructions
from builders.speech.templates import CHARACTER, SPEECH, TEXT, Style, refused
from builders.step import Record, Result, Services

TURNS: Mapping[Style, str] = {
    "lecture": "[Human]:{instruction} " + INPUT + "{given}<eoh>. [SpeechGPT]: {wanted}<eos>",
    "released": "[Human]: {instruction} " + INPUT + "{given}<eoh> [SpeechGPT]: {wanted}<eoa> ",
}
"""`instruction` ends in a full stop, "?" or "!". Turns follow each other with nothing between."""


@dataclass(frozen=True)
class Turn:
    """One task of a cross-modal sample."""

    task: Task
    instruction: str
    units: str
    text: str


def render_turn(turn: Turn, style: Style = "lecture") -> str:
    """The turn's text. Raises ValueError for a part that could not be told from the template around it."""
    if bad := refused(turn.text):
        raise ValueError(f"text: {bad.reason}: {bad.detail}")
    if problem := instruction_problem(turn.instruction):
        raise ValueError(f"instruction: {problem}")
    if not re.fullmatch(SPEECH, turn.units):
        raise ValueError(f"units: {turn.units[:40]!r} is no <sosp>...<eosp>")
    given, wanted = (turn.units, turn.text) if turn.task == "asr" else (turn.text, turn.units)
    return TURNS[style].format(instruction=_ended(turn.instruction), given=given, wanted=wanted)


def parse_turns(text: str) -> list[Turn]:
    """The turns that a sample's text was joined of, in either style. Raises ValueError where it is none."""
    for pattern in _patterns():
        found, at = [], 0
        while part := pattern.match(text, at):
            at = part.end()
            asr = part["units"] is not None
            units, said = (part["units"], part["transcript"]) if asr else (part["speech"], part["text"])
            found.append(Turn("asr" if asr else "tts", part["instruction"], units, said))
        if found and at == len(text):
            return found
    raise ValueError(f"{text[:80]!r} is no row of cross-modal turns")


@dataclass
class ChooseTask:
    """Adds `task`, drawn by (seed, key): "asr" with probability `asr`, else "tts".

    That probability is unpublished: a field of the recipe. A text that cannot stand in a turn is rejected.
    """

    asr: float
    seed: int
    name: ClassVar = "choose_task"
    reads: ClassVar = ("key", "text")
    adds: ClassVar = {"task": pa.string()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [refused(record["text"]) or self._chosen(record["key"]) for record in records]

    def _chosen(self, key: str) -> Record:
        return {"task": "asr" if Dice(self.seed, "task", key).chance(self.asr) else "tts"}


@dataclass
class DrawInstruction:
    """Adds an `instruction` for the task, drawn of our own by (seed, key)."""

    seed: int
    instructions: Mapping[Task, Sequence[str]] = field(default_factory=our_instructions)
    name: ClassVar = "draw_instruction"
    reads: ClassVar = ("key", "task")
    adds: ClassVar = {"instruction": pa.string()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [{"instruction": self._drawn(record["key"], record["task"])} for record in records]

    def _drawn(self, key: str, task: Task) -> str:
        return Dice(self.seed, "instruction", key).pick(self.instructions[task])


@dataclass
class ComposeTurn:
    """Adds the `_turn` of task and instruction, `text` and `_units` ("<sosp><5><7><eosp>")."""

    style: Style = "lecture"
    name: ClassVar = "compose_turn"
    reads: ClassVar = ("task", "instruction", "text", "_units")
    adds: ClassVar = {"_turn": pa.string()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        turns = [Turn(r["task"], r["instruction"], r["_units"], r["text"]) for r in records]
        return [{"_turn": render_turn(turn, self.style)} for turn in turns]


def _ended(sentence: str) -> str:
    """With a full stop, where it has no end of its own: the template's own never doubles it."""
    sentence = sentence.strip()
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


@cache
def _patterns() -> list[re.Pattern[str]]:
    given = f"(?:(?P<units>{SPEECH})|(?P<text>{TEXT}))"
    wanted = f"(?(units)(?P<transcript>{TEXT})|(?P<speech>{SPEECH}))"
    parts = {"instruction": f"(?P<instruction>(?:(?!{INPUT}){CHARACTER})+)", "given": given, "wanted": wanted}
    found = []
    for template in TURNS.values():
        pattern = re.escape(template)
        for part, kind in parts.items():
            pattern = pattern.replace(rf"\{{{part}\}}", kind)
        found.append(re.compile(pattern))
    return found
