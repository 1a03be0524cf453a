"""Answers as models write them, and the turns that they hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.instruct.parse import Unreadable, parse_turns
from builders.instruct.turns import Turn

TWO = [Turn("What is it?", "A cat."), Turn("Where?", "On a mat.\n\nIt sleeps.")]
ASKED_FOR = (
    "Question:\nWhat is it?\n===\nAnswer:\nA cat.\n===\nQuestion:\nWhere?\n===\nAnswer:\nOn a mat.\n\nIt sleeps."
)


@pytest.mark.parametrize(
    "text",
    [
        ASKED_FOR,
        ASKED_FOR.replace("\n===", ""),
        ASKED_FOR.replace("Question:\n", "Question: ").replace("Answer:\n", "Answer: "),
        ASKED_FOR.replace("Question:", "**Question:**").replace("Answer:", "**Answer:**"),
        ASKED_FOR.replace("Question:\n", "### Question 1: ").replace("Answer:\n", "### Answer 1: "),
        ASKED_FOR.replace("Question:\n", "Q: ").replace("Answer:\n", "A: "),
        ASKED_FOR.replace("Question:", "User:").replace("Answer:", "Assistant:"),
        ASKED_FOR.replace("Question", "QUESTION").replace("Answer", "ANSWER"),
        f"```text\n{ASKED_FOR}\n```",
        f"Sure, here is a conversation:\n\n{ASKED_FOR}",
        f"{ASKED_FOR}\n===\nQuestion:\nAnd what else?",
        f"\n\n{ASKED_FOR}\n===\n",
    ],
    ids=lambda text: None,
)
def test_the_same_turns_are_read_from_every_spelling(text: str) -> None:
    assert parse_turns(text, "conversation") == TWO


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("", "conversation", "no_answer"),
        ("A cat sits on a mat.", "conversation", "no_answer"),
        ("Question:\nWhat?", "conversation", "no_answer"),
        ("Question:\nWhat?\nQuestion:\nWhere?\nAnswer:\nThere.", "conversation", "labels_mixed"),
        ("Answer:\nA cat.\nQuestion:\nWhat?\nAnswer:\nA cat.", "conversation", "labels_mixed"),
        ("Question:\n\nAnswer:\nA cat.", "conversation", "no_question"),
        (ASKED_FOR, "complex", "several_questions"),
        ("```\n```", "detail", "no_answer"),
    ],
)
def test_what_cannot_be_read_for_certain_is_refused(text: str, kind: str, reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        parse_turns(text, kind)  # type: ignore[arg-type]
    assert error.value.reason == reason


def test_a_detailed_answer_stands_alone() -> None:
    assert parse_turns("```\nA cat: it sleeps.\n\nQ: is no label here.\n```", "detail") == [
        Turn("", "A cat: it sleeps.\n\nQ: is no label here.")
    ]


def test_a_short_label_inside_an_answer_is_text_where_long_labels_are_used() -> None:
    text = "Question:\nWhich?\nAnswer:\nOptions:\nA: red\nQ: who knows"
    assert parse_turns(text, "complex") == [Turn("Which?", "Options:\nA: red\nQ: who knows")]


PLAIN = st.text("abc ?.\n", min_size=1).map(str.strip).filter(bool)


@given(st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=6))
def test_whatever_is_written_in_the_format_is_read_back(pairs: list[tuple[str, str]]) -> None:
    text = "\n===\n".join(f"Question:\n{question}\n===\nAnswer:\n{answer}" for question, answer in pairs)
    assert parse_turns(text, "conversation") == [Turn(*pair) for pair in pairs]


def test_the_authors_own_conversations_are_read(shared: Path) -> None:
    for file in sorted((shared / "data/formats/llava_prompts/conversation").glob("*_conv.txt")):
        turns = parse_turns(file.read_text(), "conversation")
        assert len(turns) == file.read_text().count("Question:\n")
        assert all(turn.question.endswith("?") and turn.answer for turn in turns)
