"""A description stands alone: what models write around it is taken away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders.instruct.parse import Unreadable, parse_turns
from builders.instruct.quality import broken
from builders.instruct.turns import Turn


@pytest.mark.parametrize(
    "text",
    [
        "Here is a detailed description of the image:\n\nA cat sits.",
        "Here’s a detailed description of the image: A cat sits.",
        "Certainly! Here is a detailed description of the photograph.\n\nA cat sits.",
        "Certainly!\n\nA cat sits.",
        "Sure, here's the description:\n\nA cat sits.",
        "Sure! Here's the description:\n\n---\n\nA cat sits.\n\n---",
        "Answer:\nA cat sits.",
        "**Answer:** A cat sits.",
        "**Answer: A cat sits.**",
        "**Description:**\nA cat sits.",
        "**Description**\nA cat sits.",
        "# Description\n\nA cat sits.",
        "Detailed description of the image: A cat sits.",
        "# A cat\n\nA cat sits.",
        "**A cat on a mat**\n\nA cat sits.",
        "A cat sits.\n\nLet me know if you need anything else!",
        "A cat sits. Let me know if you’d like more details!",
        "A cat sits.\n\n---\n*Note: This description is based on the notes.*",
        '"A cat sits."',
        "“A cat sits.”",
        "```\nA cat sits.\n```",
        "Sure!\n```text\nA cat sits.\n```\nI hope this helps!",
        "Question:\nDescribe the image.\n===\nAnswer:\nA cat sits.",
        "Question: Describe the image. Answer: A cat sits.",
        "<think>The captions say cat.</think>\nA cat sits.",
        "\ufeffA cat sits.\n===",
    ],
)
def test_what_stands_around_a_description_is_taken_away(text: str) -> None:
    assert parse_turns(text, "detail") == [Turn("", "A cat sits.")]


@pytest.mark.parametrize(
    "text",
    [
        "Here is a cat: it sits.",
        "Surely a cat.\n\nIt sits.",
        'A sign says "Stop", another "Go"',
        '"Stop" is on a sign, and on another "Go"',
        "A cat sits.\n\n---\n\nA dog lies.",
        "A description of the museum hangs on its door.",
        "A sign shows this:\n\n```\nprint(1)\n```",
    ],
)
def test_a_description_that_only_begins_alike_stays_whole(text: str) -> None:
    assert parse_turns(text, "detail") == [Turn("", text)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\u200b\u2060", "no_answer"),
        ("Certainly!", "no_answer"),
        ("Let me know!", "no_answer"),
        ("**Description:**", "no_answer"),
        ("```", "no_answer"),
        ("Question: Describe the image.", "no_answer"),
        ("Question: What?\nAnswer: A cat.\nQuestion: Where?\nAnswer: Here.", "several_questions"),
        ("Answer: A cat.\nAnswer: A dog.", "labels_mixed"),
        ("A cat sits.\n\nQuestion: What?\nAnswer: A cat.", "labels_mixed"),
        ("Answer: Answer: A cat.", "labels_mixed"),
    ],
)
def test_a_description_that_cannot_be_told_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        parse_turns(text, "detail")
    assert error.value.reason == reason


def test_what_the_authors_and_people_wrote_of_images_stays_as_it_is_and_breaks_no_rule(shared: Path) -> None:
    formats = shared / "data/formats"
    texts = [file.read_text() for file in (formats / "llava_prompts/detail_description").glob("*_conv.txt")]
    for line in (formats / "llava_context_coco2014_val_40.jsonl").read_text().splitlines():
        texts += json.loads(line)["captions"]

    assert len(texts) > 100
    for text in texts:
        turns = parse_turns(text, "detail")
        assert turns == [Turn("", text.strip())]
        assert broken(turns) is None
