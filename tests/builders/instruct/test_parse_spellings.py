"""How models spell labels, and what of it belongs to a turn."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.instruct.parse import Kind, Unreadable, parse_turns
from builders.instruct.turns import Turn

CAT = [Turn("What?", "A cat.")]
TWO = [*CAT, Turn("Where?", "Here.")]


def reason(text: str, kind: Kind = "conversation") -> str:
    with pytest.raises(Unreadable) as error:
        parse_turns(text, kind)
    return error.value.reason


# ---- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "**Question**\nWhat?\n\n**Answer**\nA cat.",
        "### Question 1\nWhat?\n### Answer 1\nA cat.",
        "Question 1\nWhat?\n===\nAnswer 1\nA cat.",
        "Question\nWhat?\nAnswer\nA cat.",
        "Question #1: What?\nAnswer #1: A cat.",
        "**Question 1:** What?\n**Answer 1:** A cat.",
        "**1. Question:** What?\n**Answer:** A cat.",
        "Q1. What?\nA1. A cat.",
        "Q1) What?\nA1) A cat.",
        "**Q1** - What?\n**A1** - A cat.",
        "**Q:** What?\n**A:** A cat.",
        "**Q1**\nWhat?\n**A1**\nA cat.",
        "[Question]\nWhat?\n[Answer]\nA cat.",
        "[Question 1]: What?\n[Answer 1]: A cat.",
        "Question:\nWhat?\n===Answer:\nA cat.",
        "Question:\nWhat?\n=== Answer: A cat. ===",
        "=== Question ===\nWhat?\n=== Answer ===\nA cat.",
        "Questions:\nWhat?\n===\nAnswers:\nA cat.",
        "Question: What? Answer: A cat.",
        "Question:\nWhat? **Answer:** A cat.",
        "Q: What? A: A cat.",
        "Q1. What? A1. A cat.",
        "> Question:\n> What?\n> ===\n> Answer:\n> A cat.",
        "- Question: What?\n- Answer: A cat.",
        "* **Q:** What?\n  **A:** A cat.",
        "1. Question: What?\n   Answer: A cat.",
        "\ufeffQuestion:\nWhat?\n===\nAnswer:\nA cat.",
        "\u200bQuestion:\nWhat?\n===\n\u200bAnswer:\nA cat.\u200b",
        "Question:\rWhat?\r===\rAnswer:\rA cat.\r",
        "Question:\u2028What?\u2028===\u2028Answer:\u2028A cat.",
        "问题：What?\n===\n答案：A cat.",
        "问题1：What?\n答案1：A cat.",
        "Pregunta:\nWhat?\n===\nRespuesta:\nA cat.",
        "Frage:\nWhat?\n===\nAntwort:\nA cat.",
        "Question :\nWhat?\n===\nRéponse :\nA cat.",
        "Question:\nWhat?\n==\nAnswer:\nA cat.",
        "Question:\nWhat?\n**===**\nAnswer:\nA cat.\n\\===",
    ],
)
def test_labels_are_read_as_models_spell_them(text: str) -> None:
    assert parse_turns(text, "complex") == CAT


def test_all_turns_on_one_line_are_told_apart() -> None:
    assert parse_turns("Question: What? Answer: A cat. Question: Where? Answer: Here.", "conversation") == TWO


@pytest.mark.parametrize(
    "answer",
    [
        "The riddle ends: Answer: a cat.",
        "Sizes:\nA4 is larger.\nA\nQuestions remain.",
        "Answers differ.\nThe answer: none.",
        "Q: is no label where long ones are used.\nA: neither.",
    ],
)
def test_a_word_that_is_no_label_of_the_style_is_text(answer: str) -> None:
    assert parse_turns(f"Question:\nWhat?\n===\nAnswer:\n{answer}", "complex") == [Turn("What?", answer)]


@pytest.mark.parametrize(
    "text",
    [
        "Question:\nWhat?\n===\nAnswer:\nA riddle:\nAnswer: a cat.",
        "Q: Which?\nA: Options:\nA: red\nB: blue",
        "Questions:\n1. What?\n2. Where?\nAnswers:\n1. A cat.\n2. Here.",
        "Question:\nWhat?\n===\nA cat.\n===\nQuestion:\nWhere?\n===\nAnswer:\nHere.",
        "Question:\nHow?\nAnswer:\nWrite\n```\nQuestion: a\nAnswer: b\n```",
    ],
)
def test_labels_out_of_turn_are_refused(text: str) -> None:
    assert reason(text) == "labels_mixed"


@pytest.mark.parametrize(
    "end", ["Question:\nWhere?", "Question:\nWhere?\n===\nAnswer:", "Question:\nWhere?\nAnswer:\u200b"]
)
def test_a_question_at_the_end_without_an_answer_is_dropped(end: str) -> None:
    assert parse_turns(f"Question:\nWhat?\n===\nAnswer:\nA cat.\n===\n{end}", "conversation") == CAT


def test_an_empty_answer_between_others_stays_for_the_rules_to_tell() -> None:
    text = "Question:\nWhat?\nAnswer:\n\nQuestion:\nWhere?\nAnswer:\nHere."
    assert parse_turns(text, "conversation") == [Turn("What?", ""), Turn("Where?", "Here.")]


# ---- emphasis and code -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ("**Question: What?**\n**Answer: A cat.**", Turn("What?", "A cat.")),
        ("**Question:** What?\n**Answer:** **A cat**", Turn("What?", "**A cat**")),
        ("Question: *What?*\nAnswer: **Red**, with white.", Turn("*What?*", "**Red**, with white.")),
        ("**Question: What?**\n**Answer: Red**, with **white**.", Turn("What?", "Red, with **white**.")),
        ("_Question:_ What?\n_Answer:_ * one\n* two", Turn("What?", "* one\n* two")),
        ("Question: What?\nAnswer: - one\n- two", Turn("What?", "- one\n- two")),
        (
            "Question: What?\nAnswer:\nUse\n```python\nprint(1)\n```\nok",
            Turn("What?", "Use\n```python\nprint(1)\n```\nok"),
        ),
        ("Question: What?\nAnswer: One\n\n\ntwo  \nthree", Turn("What?", "One\n\n\ntwo  \nthree")),
    ],
)
def test_only_emphasis_around_a_label_or_its_line_is_taken_away(text: str, turn: Turn) -> None:
    assert parse_turns(text, "complex") == [turn]


@pytest.mark.parametrize(
    "text",
    [
        "```\nQuestion:\nWhat?\n===\nAnswer:\nA cat.\n```",
        "``` plain text\nQuestion:\nWhat?\n===\nAnswer:\nA cat.\n```\nHope this helps!",
        "Sure:\n~~~\nQuestion:\nWhat?\n===\nAnswer:\nA cat.\n~~~",
        "Question:\nWhat?\n===\nAnswer:\nA cat.\n```",
    ],
)
def test_a_fence_around_all_turns_is_taken_away(text: str) -> None:
    assert parse_turns(text, "complex") == CAT


def test_turns_in_fences_of_their_own_are_read() -> None:
    text = "```\nQuestion: What?\nAnswer: A cat.\n```\n\n```\nQuestion: Where?\nAnswer: Here.\n```"
    assert parse_turns(text, "conversation") == TWO


def test_code_inside_a_fence_around_all_turns_stays_in_its_answer() -> None:
    text = "```\nQuestion: How?\nAnswer: So:\n```python\nprint(1)\n```\nDone.\n```"
    assert parse_turns(text, "complex") == [Turn("How?", "So:\n```python\nprint(1)\n```\nDone.")]


# ---- parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "polite",
    [
        "I hope this conversation meets your requirements! Let me know if you need more.",
        "*Note: This conversation was generated from the notes.*",
        "(Feel free to ask for changes.)",
        "Let me know if you’d like more questions.",
        "If you'd like more questions, I’m happy to help!",
    ],
)
@pytest.mark.parametrize("border", ["\n===\n\n", "\n\n---\n", "\n\n"])
def test_polite_words_behind_the_last_answer_are_dropped(border: str, polite: str) -> None:
    assert parse_turns(f"Question:\nWhat?\n===\nAnswer:\nA cat.{border}{polite}", "conversation") == CAT


@pytest.mark.parametrize("text", ["Where is it?\n===\nOn the mat.", "It sleeps."])
def test_other_words_behind_a_separator_are_refused(text: str) -> None:
    assert reason(f"Question:\nWhat?\n===\nAnswer:\nA cat.\n===\n{text}") == "labels_mixed"
    assert reason(f"```\nQuestion:\nWhat?\n===\nAnswer:\nA cat.\n```\n{text}") == "labels_mixed"


@pytest.mark.parametrize("rule", ["---", "***", "___", "* * *"])
def test_a_rule_inside_an_answer_is_text_where_equals_signs_separate(rule: str) -> None:
    answer = f"Title\n{rule}\ntext"
    text = f"Question:\nWhat?\n===\nAnswer:\n{answer}\n{rule}\n===\nQuestion:\nWhere?\nAnswer:\nHere."
    assert parse_turns(text, "conversation") == [Turn("What?", answer), Turn("Where?", "Here.")]


def test_a_rule_separates_where_it_stands_before_labels_and_nothing_else_does() -> None:
    text = "Question: What?\n---\nAnswer: A cat.\n---\nQuestion: Where?\n---\nAnswer: Here."
    assert parse_turns(text, "conversation") == TWO
    assert reason(f"{text}\n---\nAnd why?") == "labels_mixed"
    assert parse_turns("Question: What?\nAnswer: One\n---\ntwo", "complex") == [Turn("What?", "One\n---\ntwo")]


@pytest.mark.parametrize(
    "thought",
    [
        "<think>\nQuestion: hm\nAnswer: no\n</think>\n",
        "Question: hm\nAnswer: no\n</think>\n",
        "<THINKING>a<think>b</think>",
    ],
)
def test_what_a_model_thinks_aloud_is_no_part_of_its_answer(thought: str) -> None:
    assert parse_turns(f"{thought}Question:\nWhat?\n===\nAnswer:\nA cat.", "complex") == CAT


def test_a_thought_without_an_end_is_no_answer_but_one_in_the_midst_is_text() -> None:
    assert reason("<think>Question: What?\nAnswer: A cat.") == "no_answer"
    assert reason("\n <think>A cat.", "detail") == "no_answer"
    assert parse_turns("A sign says <think> twice.", "detail") == [Turn("", "A sign says <think> twice.")]


# ---- any turns -------------------------------------------------------------------------------------------------------

LABELS = [
    ("Question:\n", "Answer:\n"),
    ("Question: ", "Answer: "),
    ("**Question:** ", "**Answer:** "),
    ("**Question**\n", "**Answer**\n"),
    ("### Question {}\n", "### Answer {}\n"),
    ("Question #{}: ", "Answer #{}: "),
    ("[Question {}]\n", "[Answer {}]\n"),
    ("Q: ", "A: "),
    ("Q{}. ", "A{}. "),
    ("**Q{}:** ", "**A{}:** "),
    ("- Q{}) ", "- A{}) "),
    ("User: ", "Assistant: "),
    ("Pregunta: ", "Respuesta: "),
    ("问题{}：", "答案{}："),
]
WORDS = st.text("bcde ,.\n?", min_size=1).map(str.strip).filter(lambda text: any(one.isalpha() for one in text))


@given(
    st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5),
    st.sampled_from(list(itertools.product(LABELS, ["\n===\n", "\n", "\n\n", "\n---\n", "\n\n===\n\n"]))),
)
def test_turns_in_any_spelling_are_read_back(pairs: list[tuple[str, str]], form: tuple[tuple[str, str], str]) -> None:
    (asked, told), border = form
    pieces = [
        label.format(number) + text
        for number, pair in enumerate(pairs, 1)
        for label, text in zip((asked, told), pair, strict=True)
    ]
    assert parse_turns(border.join(pieces), "conversation") == [Turn(*pair) for pair in pairs]


MARKS = "Question: Answer: Q: A: === --- ``` ```py ** * # > <think> </think> Sure! Note: Description: 1. [ ] 。 “ |"
PIECES = st.sampled_from(["\n", "\n\n", " ", *MARKS.split()]) | st.text(max_size=5)


@given(st.lists(PIECES, max_size=30).map("".join), st.sampled_from(["conversation", "detail", "complex"]))
def test_any_text_is_read_or_refused(text: str, kind: Kind) -> None:
    try:
        turns = parse_turns(text, kind)
    except Unreadable as error:
        assert error.reason in {"no_answer", "no_question", "labels_mixed", "several_questions"}
    else:
        assert turns
        assert all(turn.question.strip() for turn in turns) or kind == "detail"
