"""The step that has a language model write the instructions of cross-modal turns, as SpeechGPT's were.

A record does not ask for an instruction of its own: it draws one of so many numbered requests for its task, which are
equal for all records that draw the same, so each is paid for once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from builders.dice import Dice
from builders.instruct.quality import REFUSAL, broken
from builders.instruct.turns import Turn
from builders.llm.asker import NOT_ANSWERED
from builders.llm.request import Entry, Request
from builders.speech.instructions import Task, instruction_problem, our_instructions
from builders.step import Asks, Failed, Record, Rejected, Result, Services

SYSTEM = (
    "You write single sentences that people say or type to an assistant which hears and speaks. Answer with the "
    "sentence alone: one line, no quotation marks, no number in front, no explanation. Name no language, no voice and "
    "no particular text or recording: the material follows after the sentence, so the sentence must not contain any."
)
WANTED: Mapping[Task, str] = {
    "asr": "The person wants the assistant to write down what is said in a piece of speech.",
    "tts": "The person wants the assistant to say a piece of written text aloud.",
}
MANNERS = (
    "as short as it can be",
    "polite, as to a stranger",
    "casual, as to a friend",
    "as a question",
    "with the reason why it is wanted",
    "matter-of-fact, as in a manual",
    "in a hurry",
    "careful about getting every word right",
    "as somebody who has never used such an assistant",
    "in two short sentences",
)
EXAMPLES = 3
"""Of our own instructions, which each request shows."""
TRIES = 10
"""Requests that a record draws one after the other while the answers cannot be used."""
MOST_CHARS = 300
_QUOTED = re.compile(r"\A[\"“”'‘’«»]+|[\"“”'‘’«»]+\Z")
_NUMBERED = re.compile(r"\A(?:[-*•]|\d{1,3}[.)])\s+")


@dataclass
class AskInstruction:
    """Adds an `instruction` for the task, the `model` that wrote it and the hash of the `request`.

    `count`: how many different requests there are for each task. An answer that cannot be used makes a record draw
    another request; one that could not be had does not: the record has failed, so that it is the same once it is had.
    """

    count: int
    seed: int
    provider: str
    model: str
    parameters: Mapping[str, Any]
    name: ClassVar = "ask_instruction"
    reads: ClassVar = ("key", "task")
    adds: ClassVar = {"instruction": pa.string(), "model": pa.string(), "request": pa.string()}
    _llm: Asks | None = None

    def setup(self, services: Services) -> None:
        self._llm = services.llm

    def __call__(self, records: list[Record]) -> Sequence[Result]:
        assert self._llm is not None, "nobody to ask"
        results: dict[int, Result] = {}
        for attempt in range(TRIES):
            left = [i for i in range(len(records)) if i not in results or type(results[i]) is Rejected]
            entries = self._llm.ask([self._request(records[i], attempt) for i in left]) if left else []
            for i, entry in zip(left, entries, strict=True):
                if not attempt or entry.outcome != NOT_ANSWERED:  # the Batch API is asked before, and once
                    results[i] = _read(entry)
        return [results[i] for i in range(len(records))]

    def requests(self, records: list[Record]) -> list[Request]:
        """What is asked about each record, at first."""
        return [self._request(record, 0) for record in records]

    def expected_tokens(self, records: list[Record]) -> list[float]:
        """How long each answer may be expected to be: a sentence."""
        return [20.0] * len(records)

    def _request(self, record: Record, attempt: int) -> Request:
        number = Dice(self.seed, "instruction", attempt, record["key"]).below(self.count)
        body = {"model": self.model, "messages": self.messages(record["task"], number), **self.parameters}
        return Request(self.provider, "chat/completions", body)

    def messages(self, task: Task, number: int) -> list[dict[str, str]]:
        """The chat that asks for instruction `number` of a task."""
        shown = Dice(self.seed, "examples", task, number).shuffled(our_instructions()[task])[:EXAMPLES]
        wanted = (
            f"{WANTED[task]} Write what the person says, {MANNERS[number % len(MANNERS)]}.\nOthers have said:\n"
            + "".join(f"{sentence}\n" for sentence in shown)
            + f"Say it in other words than these, and as no one else would: this is wording {number + 1}."
        )
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": wanted}]


def _read(entry: Entry) -> Result:
    """The instruction in an answer, without what models put around one."""
    if not entry.answered:
        return Failed(entry.outcome, entry.detail or "", {"model": entry.model, "request": entry.hash})
    told = (entry.text or "").rpartition("</think>")[2].strip()
    sentence = _QUOTED.sub("", _NUMBERED.sub("", told)).strip()
    whole = entry.finish_reason not in ("length", "content_filter", "refusal")
    problem = instruction_problem(sentence) if whole else f"the model ended with {entry.finish_reason!r}"
    if not problem and (refused := broken([Turn(sentence, "")], [REFUSAL])):
        problem = ": ".join(refused)
    if len(sentence) > MOST_CHARS:
        problem = f"{len(sentence)} characters are over {MOST_CHARS}"
    known = {"model": entry.model, "request": entry.hash}
    return Rejected("bad_instruction", problem, known) if problem else {"instruction": sentence, **known}
