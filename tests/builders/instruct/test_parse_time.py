"""Texts made to be slow are read in time that grows with their length alone: the processor's time is bounded here."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from builders.instruct.parse import Kind, Unreadable, parse_turns
from builders.instruct.quality import RULES, broken
from builders.instruct.turns import Turn

pytestmark = pytest.mark.slow

SECONDS = 30
"""Of the processor; each text takes less than one, and many minutes where a pattern is quadratic."""
TO_PARSE, TO_CHECK = 300_000, 100_000
"""Characters: an answer, and a text that is held to the rules; each longer than any that is read."""
BLANKS_AND_SIGNS = [" ", "\n", "\n ", "*", "#", "_", "=", "-", "`", ">", '"', ".", "a", "Q", "[", "[0.", "\u200b"]
LINES = ["=\n", "===\n", "---\n", "```\n", "# a\n", "Q:\n", "Question:\nAnswer:\n", "a\n\n"]
WORDS = ["Q: ", "Answer: ", "<think>", "<think></think>", "Let me know. ", "Let me know.\n\n", "Sure! ", "Here is "]
NAMED = ["[0.1 ", "[ ", "as a ", "i am a ", "i can't ", "the caption ", "according to the ", "ich kann ", "\ufdfa"]


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    def over(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"over {SECONDS} s of the processor")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("piece", [*BLANKS_AND_SIGNS, *LINES, *WORDS])
@pytest.mark.parametrize("kind", ["conversation", "detail"])
def test_a_very_long_answer_is_read_in_bounded_time(kind: Kind, piece: str) -> None:
    text = "Question:" * (kind == "conversation") + piece * (TO_PARSE // len(piece)) + "!"
    try:
        parse_turns(text, kind)
    except Unreadable as error:
        assert len(str(error)) < 200


@pytest.mark.parametrize("piece", [*BLANKS_AND_SIGNS, *NAMED])
def test_long_texts_are_held_to_the_rules_in_bounded_time(piece: str) -> None:
    turn = Turn("", "a" + piece * (TO_CHECK // len(piece)) + "!")
    for rule in RULES:
        broken([turn], [rule])
