"""What answers are rejected for."""

from __future__ import annotations

import pytest

from builders.instruct.quality import RULES, broken
from builders.instruct.turns import Turn


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("  ", "empty_answer"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("As an AI language model, I have no eyes.", "refusal"),
        ("I cannot see the image.", "refusal"),
        ("The bounding box of the cat is on the left.", "names_its_source"),
        ("According to the captions, it is a cat.", "names_its_source"),
        ("It is at [0.1, 0.25, 0.4, 0.5].", "names_its_source"),
        ("The provided description tells of a cat.", "names_its_source"),
        ("Look at <image>.", "image_token"),
    ],
)
def test_an_answer_that_breaks_a_rule_is_told_by_its_reason(answer: str, reason: str) -> None:
    found = broken([Turn("What is it?", "A cat."), Turn("And this?", answer)])
    assert found is not None
    assert found[0] == reason


def test_a_question_asked_twice_is_told_whatever_its_signs() -> None:
    assert broken([Turn("What is it?", "A cat."), Turn("what is IT", "A cat.")]) == ("repeated_question", "what is IT")


@pytest.mark.parametrize(
    "answer",
    [
        "The man looks sorry for the dog.",
        "She holds a captain's hat.",
        "There are 3 boxes on the shelf.",
        "It costs [about] 0.5 dollars.",
    ],
)
def test_good_answers_pass(answer: str) -> None:
    assert broken([Turn("What is it?", answer)]) is None


def test_every_rule_has_a_reason_of_its_own() -> None:
    assert len({rule.reason for rule in RULES}) == len(RULES)
