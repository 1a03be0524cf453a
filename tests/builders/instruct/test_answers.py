"""From an answer, or from the annotations, to turns that a sample may hold."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from builders.instruct.answers import LONGEST, CheckTurns, ComposeAnswer, ReadAnswer
from builders.instruct.context import Box
from builders.instruct.parse import Kind
from builders.instruct.quality import RULES, broken, rules
from builders.instruct.questions import DETAILED
from builders.instruct.template.compose import Seen, Template
from builders.instruct.turns import Turn
from builders.step import Rejected, Result, Services

TWO = "Question:\nWhat is it?\n===\nAnswer:\nA cat.\n===\nQuestion:\nWhere?\n===\nAnswer:\nOn a mat."


# ---- an answer is read -----------------------------------------------------------------------------------------------


def read(text: str | None, response: str = "conversation", ended: str | None = "stop") -> Result:
    (found,) = ReadAnswer()([{"response": response, "_text": text, "_finish_reason": ended}])
    return found


@pytest.mark.parametrize("ended", ["stop", "eos", None])
def test_a_whole_answer_becomes_its_turns(ended: str | None, services: Services) -> None:
    step = ReadAnswer()
    step.setup(services)

    assert read(TWO, ended=ended) == {
        "_read": [{"question": "What is it?", "answer": "A cat."}, {"question": "Where?", "answer": "On a mat."}]
    }


def test_a_description_becomes_one_turn_whose_question_is_still_open() -> None:
    assert read(" A cat.\n\nIt sleeps. ", "detail") == {"_read": [{"question": "", "answer": "A cat.\n\nIt sleeps."}]}


@pytest.mark.parametrize(
    ("ended", "reason"), [("length", "truncated"), ("refusal", "refusal"), ("content_filter", "content_filter")]
)
@pytest.mark.parametrize("text", [TWO, "x" * 300 + "the end", "", None])
def test_an_answer_that_the_api_does_not_call_whole_is_rejected_with_its_end(
    ended: str, reason: str, text: str | None
) -> None:
    found = read(text, ended=ended)

    assert found == Rejected(reason, (text or "")[-200:])


@pytest.mark.parametrize(
    ("text", "response", "reason", "detail"),
    [
        ("A cat.", "conversation", "no_answer", "no question with an answer: 'A cat.'"),
        (TWO, "complex", "several_questions", f"2 where one is asked for: {TWO!r}"),
        ("", "detail", "no_answer", "there is no text: ''"),
        (None, "detail", "no_answer", "there is no text: ''"),
    ],
)
def test_an_answer_that_cannot_be_read_is_rejected_with_its_beginning(
    text: str | None, response: str, reason: str, detail: str
) -> None:
    assert read(text, response) == Rejected(reason, detail)


def test_of_a_long_unreadable_answer_the_beginning_is_told() -> None:
    found = read("x" * 100_000)

    assert isinstance(found, Rejected)
    assert len(found.detail) < 300


@pytest.mark.parametrize("response", ["conversation", "detail"])
def test_an_answer_over_the_bound_is_rejected_before_it_is_looked_at(response: str) -> None:
    row = {"response": response, "_text": "I'm sorry. A cat", "_finish_reason": "stop"}

    assert ReadAnswer(longest=15)([row]) == [Rejected("too_long", "16 characters are over 15")]
    assert ReadAnswer(longest=16)([row]) != [Rejected("too_long", "16 characters are over 16")]
    assert read("x" * (LONGEST + 1), response) == Rejected("too_long", "100,001 characters are over 100,000")


@pytest.mark.parametrize(
    "text",
    [
        "I’m sorry, but I can’t assist with that.",
        "Could you please provide the notes?",
        "There is no image attached.",
        "Question: What?\n\nI cannot describe the image.",
    ],
)
def test_a_refusal_without_a_turn_is_rejected_as_one(text: str) -> None:
    found = read(text)

    assert isinstance(found, Rejected)
    assert found.reason == "refusal"


def test_one_unreadable_answer_spoils_no_other() -> None:
    rows = [{"response": "detail", "_text": text, "_finish_reason": "stop"} for text in ("A cat.", "", "A dog.")]

    assert [type(one) for one in ReadAnswer()(rows)] == [dict, Rejected, dict]


# ---- an answer is composed -------------------------------------------------------------------------------------------


class Told:
    """In place of the template: keeps what it is told, and answers what it was made with."""

    def __init__(self, answer: list[Turn] | Rejected) -> None:
        self.answer, self.seen = answer, list[tuple[Seen, Kind, str]]()

    def turns(self, seen: Seen, kind: Kind, key: str) -> list[Turn] | Rejected:
        self.seen.append((seen, kind, key))
        return self.answer


def item(category: str, crowd: bool = False) -> dict[str, Any]:
    return {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.4, "category": category, "crowd": crowd, "instance": 0}


def annotated(*gold: dict[str, Any], invalid: int = 0) -> dict[str, Any]:
    return {
        "key": "k",
        "response": "conversation",
        "_told": ["A man.", "A dog."],
        "_gold": list(gold),
        "boxes_invalid": invalid,
    }


def compose(template: Any, one: dict[str, Any]) -> Result:
    (found,) = ComposeAnswer(template)([one])
    return found


def test_the_template_is_told_captions_and_boxes_with_crowds_apart() -> None:
    template = Told([Turn("What?", "A dog.")])

    compose(template, annotated(item("person", crowd=True), item("dog"), item("person"), item("sheep", crowd=True)))

    corners = (0.1, 0.2, 0.3, 0.4)
    seen = Seen(("A man.", "A dog."), (Box("dog", corners), Box("person", corners)), frozenset({"person", "sheep"}))
    assert template.seen == [(seen, "conversation", "k")]


@pytest.mark.parametrize(("invalid", "told"), [(0, False), (1, True), (3, True)])
def test_the_template_is_told_whether_a_box_was_none(invalid: int, told: bool) -> None:
    template = Told([Turn("What?", "A dog.")])

    compose(template, annotated(invalid=invalid))

    assert template.seen[0][0].invalid is told


def test_what_is_composed_is_marked_as_written_by_no_model() -> None:
    found = compose(Told([Turn("What?", "A dog."), Turn("Where?", "There.")]), annotated(item("dog")))

    assert found == {
        "_read": [{"question": "What?", "answer": "A dog."}, {"question": "Where?", "answer": "There."}],
        "model": "template",
    }


def test_what_cannot_be_composed_is_rejected_and_marked_too() -> None:
    found = compose(Told(Rejected("nothing_certain", "why")), annotated())

    assert found == Rejected("nothing_certain", "why", {"model": "template"})


def test_the_real_template_composes_what_the_checks_let_pass(services: Services) -> None:
    step = ComposeAnswer(Template(["dog", "cat", "person", "car"], {}, 0))
    step.setup(services)
    rows = [annotated(item("dog"), item("cat")) | {"key": f"k{i}", "_told": ["A dog and a cat."]} for i in range(20)]

    composed = [one for one in step(rows) if isinstance(one, dict)]

    assert composed
    assert all(broken([Turn(**turn) for turn in one["_read"]]) is None for one in composed)


# ---- turns are checked -----------------------------------------------------------------------------------------------


def check(*turns: Turn, key: str = "k", seed: int = 0, rules_: Any = RULES) -> Result:
    (found,) = CheckTurns(rules_, seed)([{"key": key, "_read": [vars(turn) for turn in turns]}])
    return found


def test_turns_that_break_no_rule_stay_as_they_are(services: Services) -> None:
    CheckTurns(RULES, 0).setup(services)
    turns = [Turn("What is it?", "A cat."), Turn("Where?", "On a mat.")]

    assert check(*turns) == {"_turns": [vars(turn) for turn in turns]}


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        (Turn("Which?", " "), "empty_answer"),
        (Turn("Which?", "I'm sorry, I cannot tell."), "refusal"),
        (Turn("What does the caption say?", "A cat."), "names_its_source"),
        (Turn("what is IT", "A cat."), "repeated_question"),
        (Turn("Is this an <image>?", "It is."), "image_token"),
        (Turn("Which?", "long " * 20), "too_long"),
        (Turn("Which?", "One by ACME."), "brand"),
    ],
)
def test_turns_of_which_one_breaks_a_rule_are_rejected_by_its_reason(turn: Turn, reason: str) -> None:
    found = check(Turn("What is it?", "A cat."), turn, rules_=rules(50, {"brand": r"\bacme\b"}))

    assert isinstance(found, Rejected)
    assert found.reason == reason
    assert found.detail


def test_a_description_gets_a_question_of_the_detailed_list_each_about_as_often() -> None:
    asked = Counter()
    for i in range(3200):
        found = check(Turn("", "A cat sleeps."), key=f"k{i}")
        assert isinstance(found, dict)
        (turn,) = found["_turns"]
        assert turn["answer"] == "A cat sleeps."
        asked[turn["question"]] += 1

    assert asked.keys() == set(DETAILED)
    assert all(140 < times < 260 for times in asked.values())


def test_a_descriptions_question_depends_on_seed_and_key_alone() -> None:
    keys = [f"k{i}" for i in range(50)]
    described = Turn("", "A cat sleeps.")

    def asked(seed: int, texts: list[str]) -> list[Result]:
        return CheckTurns(RULES, seed)([{"key": key, "_read": [vars(described)]} for key in texts])

    assert asked(0, keys) == asked(0, keys[::-1])[::-1]
    assert asked(0, keys) != asked(1, keys)


def test_no_question_of_the_list_would_break_a_rule_itself() -> None:
    assert [one for one in DETAILED if broken([Turn(one, "A cat.")])] == []
