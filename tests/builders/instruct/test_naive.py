"""Naive expansion: a caption and a question that its key draws become one turn."""

from __future__ import annotations

from collections import Counter

import pytest

from builders.instruct.naive import QUESTIONS, ExpandCaption
from builders.instruct.turns import IMAGE, Turn, conversations, messages
from builders.step import Rejected, Services


def asked(expand: ExpandCaption, key: str) -> str:
    (found,) = expand([{"key": key, "caption": "a cat"}])
    assert isinstance(found, dict)
    (turn,) = found["_turns"]
    assert turn["answer"] == "a cat"
    return str(turn["question"])


@pytest.mark.parametrize(("style", "count"), [("brief", 11), ("detailed", 16)])
def test_every_question_of_the_list_is_drawn_about_as_often(style: str, count: int, services: Services) -> None:
    expand = ExpandCaption(style, seed=0)  # type: ignore[arg-type]
    expand.setup(services)

    drawn = Counter(asked(expand, f"k{i}") for i in range(200 * count))

    assert drawn.keys() == set(QUESTIONS[style])
    assert len(drawn) == count
    assert all(140 < times < 260 for times in drawn.values())


def test_the_question_depends_on_seed_and_key_alone() -> None:
    one, other = ExpandCaption("brief", seed=0), ExpandCaption("brief", seed=1)
    keys = [f"k{i}" for i in range(50)]

    assert [asked(one, key) for key in keys] == [asked(one, key) for key in reversed(keys)][::-1]
    assert [asked(one, key) for key in keys] != [asked(other, key) for key in keys]


def test_a_caption_with_the_trainers_image_token_is_rejected() -> None:
    (found,) = ExpandCaption("brief", 0)([{"key": "k", "caption": f"what {IMAGE} is"}])

    assert isinstance(found, Rejected)
    assert found.reason == "image_token"


def test_the_image_stands_once_before_or_after_the_first_question() -> None:
    turns = [Turn("What?", "A cat."), Turn("Where?", "On a mat.")]

    firsts = Counter()
    for i in range(400):
        told = conversations(turns, 0, f"k{i}")
        assert [one["from"] for one in told] == ["human", "gpt", "human", "gpt"]
        assert [one["value"] for one in told[1:]] == ["A cat.", "Where?", "On a mat."]
        firsts[told[0]["value"]] += 1

    assert firsts.keys() == {"<image>\nWhat?", "What?\n<image>"}
    assert min(firsts.values()) > 150


def test_chat_messages_hold_the_image_as_a_part_of_the_first() -> None:
    assert messages([Turn("What?", "A cat."), Turn("Where?", "There.")]) == [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
        {"role": "user", "content": [{"type": "text", "text": "Where?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "There."}]},
    ]
