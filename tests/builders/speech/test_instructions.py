"""Our lists of ways to ask for a transcript or for speech."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

import pytest

from builders.speech.instructions import Task, instruction_problem, our_instructions

every_task = pytest.mark.parametrize("task", ["asr", "tts"])


def plain(sentence: str) -> list[str]:
    """Its words, whatever their case and what stands between them."""
    return re.findall(r"[\w']+", sentence.casefold().replace("-", " "))


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Words put in, taken out or exchanged that make `b` of `a`."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]


def test_edits_count_words() -> None:
    assert edits(plain("Read this."), plain("read THIS")) == 0
    assert edits(plain("Read this."), plain("Please read this.")) == 1
    assert edits(plain("Please read this."), plain("Say this, please.")) == 3


@every_task
def test_there_are_more_than_110_and_no_two_differ_by_one_word_only(task: Task) -> None:
    listed = our_instructions()[task]
    assert len(listed) >= 110
    near = [(a, b) for a, b in combinations(listed, 2) if edits(plain(a), plain(b)) < 2]
    assert near == []


def test_none_asks_for_both() -> None:
    lists = our_instructions()
    assert not set(map(str.casefold, lists["asr"])) & set(map(str.casefold, lists["tts"]))


@every_task
def test_each_is_one_sentence_that_a_sample_can_hold(task: Task) -> None:
    for sentence in our_instructions()[task]:
        assert instruction_problem(sentence) is None
        assert re.fullmatch(r"[A-Z](?:.*[^\s.?!,;:])?[.?]", sentence), sentence
        assert "  " not in sentence


@every_task
def test_they_are_of_varied_form(task: Task) -> None:
    listed = our_instructions()[task]
    lengths = [len(sentence.split()) for sentence in listed]
    assert sum(sentence.endswith("?") for sentence in listed) >= 20
    assert sum("please" in plain(sentence) for sentence in listed) >= 15
    assert min(lengths) <= 3 and max(lengths) >= 12
    assert len({sentence.split()[0] for sentence in listed}) >= 50


@every_task
def test_none_names_a_language_or_a_voice(task: Task) -> None:
    word = re.compile(r"voice|languag|english|chinese|accent|tone\b|male\b|\b(?:wo)?man\b|native", re.IGNORECASE)
    assert [sentence for sentence in our_instructions()[task] if word.search(sentence)] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Read [ta] this.", "template_marker: the text holds [ta]"),
        ("This is input: read it.", "template_marker: it holds 'This is input:'"),
        ("Read\nthis.", "several_lines: 2 lines"),
        (" ", "empty"),
    ],
)
def test_what_a_model_writes_is_no_instruction_where_it_would_break_the_turn(text: str, problem: str) -> None:
    told = instruction_problem(text)
    assert told is not None
    assert told.startswith(problem)
