"""What answers are rejected for."""

from __future__ import annotations

import re

import pytest

from builders.instruct.quality import RULES, broken, rules
from builders.instruct.turns import Turn


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("  ", "empty_answer"),
        ("\u200b\ufeff \u2060", "empty_answer"),
        ("A c\x00at.", "broken_text"),
        ("A c\x1b[1mat.", "broken_text"),
        ("A c\x85at.", "broken_text"),
        ("A c\ufffdt.", "broken_text"),
        ("A c\ud800t.", "broken_text"),
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


def test_broken_text_is_told_by_its_first_such_character_in_a_question_too() -> None:
    assert broken([Turn("What\x07?", "A\ufffd.")]) == ("broken_text", "U+0007")
    assert broken([Turn("What?", "A\tcat.\n\nTwo 👩‍👩‍👧, नमस्ते.")]) is None


# ---- a recipe's own --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [Turn("x" * 11, "A cat."), Turn("What?", "🐕" * 11)])
def test_a_text_over_the_recipes_length_is_told_with_both_lengths(turn: Turn) -> None:
    told = ("too_long", "11 characters are over 10")

    assert broken([Turn("Who?", "A cat."), turn], rules(10, {})) == told
    assert broken([turn], rules(11, {})) is None


def test_large_lengths_are_grouped() -> None:
    assert broken([Turn("Who?", "x" * 5001)], rules(5000, {})) == ("too_long", "5,001 characters are over 5,000")


@pytest.mark.parametrize(
    ("turn", "found"),
    [
        (Turn("Who?", "A truck by Acme."), ("brand", "Acme")),
        (Turn("Is it by INITECH?", "It is."), ("brand", "INITECH")),
        (Turn("Who?", "It was in 1999."), ("year", "1999")),
        (Turn("Who?", "Acme, in 1999."), ("brand", "Acme")),
        (Turn("Who?", "An acmetal."), None),
    ],
)
def test_a_recipes_own_patterns_are_looked_for_in_any_case_and_in_their_order(
    turn: Turn, found: tuple[str, str] | None
) -> None:
    own = rules(5000, {"brand": r"\b(acme|initech)\b", "year": r"\d{4}"})

    assert broken([Turn("What?", "A cat."), turn], own) == found


def test_the_lists_own_rules_come_before_a_recipes() -> None:
    turn = Turn("Who?", "I'm sorry, Acme.")

    assert broken([turn], rules(5, {"brand": "acme"})) == ("refusal", "I'm sorry")
    assert rules(5, {"brand": "acme"})[: len(RULES)] == RULES


def test_a_pattern_that_finds_an_empty_text_is_broken_all_the_same() -> None:
    assert broken([Turn("Who?", "A cat.")], rules(100, {"any": "x*"})) == ("any", "")


def test_a_pattern_that_is_none_is_told_at_once() -> None:
    with pytest.raises(re.error):
        rules(100, {"bad": "("})


@pytest.mark.parametrize(
    "answer",
    [
        "I am not able to see the picture.",
        "Speaking as a large language model: a cat.",
        "I couldn't determine that.",
        "As an artificial intelligence I have no view.",
    ],
)
def test_a_refusal_in_other_words_is_one_too(answer: str) -> None:
    found = broken([Turn("What is it?", answer)])
    assert found is not None
    assert found[0] == "refusal"


@pytest.mark.parametrize(
    "question", ["What do the coordinates tell?", "What do the given annotations say?", "Where is [.1, .2, .3, .4]?"]
)
def test_a_question_that_names_its_source_is_told_as_well_as_an_answer(question: str) -> None:
    found = broken([Turn(question, "A cat.")])
    assert found is not None
    assert found[0] == "names_its_source"


def test_rules_of_the_list_can_be_left_out_by_their_names() -> None:
    turn = Turn("What does the caption say?", "I'm sorry.")

    assert broken([turn], rules(100, {})) == ("refusal", "I'm sorry")
    assert broken([turn], rules(100, {}, ["refusal"])) == ("names_its_source", "does the caption say")
    assert broken([turn], rules(100, {"sorry": "sorry"}, {"refusal", "names_its_source"})) == ("sorry", "sorry")
    assert rules(100, {}, [rule.reason for rule in RULES])[0].reason == "too_long"


@pytest.mark.parametrize("name", ["politeness", "too_long", "", "own"])
def test_a_rule_that_the_list_has_not_cannot_be_left_out(name: str) -> None:
    with pytest.raises(ValueError, match="take of empty_answer, broken_text, refusal, names_its_source"):
        rules(100, {"own": "x"}, ["refusal", name])
