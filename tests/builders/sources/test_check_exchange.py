"""Which exchanges are spoken: short ones of one line that the templates can hold."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builders.sources.text_instructions import CheckExchange, open_text_instructions
from builders.speech.audio import text_hash
from builders.step import Rejected, Services


def read(path: Path) -> list[dict[str, Any]]:
    source = open_text_instructions(str(path), 1000)
    found: list[dict[str, Any]] = source.read(0, sum(source.unit_sizes)).to_pylist()
    return found


def checked(step: CheckExchange, instruction: str, response: str) -> Any:
    (found,) = step([{"_instruction": instruction, "_response": response, "_problem": None}])
    return found


def test_an_exchange_is_kept_without_spaces_around_it(services: Services) -> None:
    step = CheckExchange()
    step.setup(services)
    assert checked(step, " Why?\n", "\n\nSo it is. ") == {
        "instruction": "Why?",
        "response": "So it is.",
        "instruction_text_sha256": text_hash("why"),
        "response_text_sha256": text_hash("so it is"),
        "response_words": 3,
    }


def test_a_response_has_under_35_words_or_as_many_as_are_given() -> None:
    fits, over = "word " * 34, "word " * 35
    assert checked(CheckExchange(), over, fits)["response_words"] == 34
    found = checked(CheckExchange(), "Why?", over)
    assert isinstance(found, Rejected)
    assert (found.reason, found.detail) == ("response_too_long", "35 words are over 34")
    assert found.known == {"response_words": 35}
    assert checked(CheckExchange(max_words=35), "Why?", over)["response_words"] == 35


def test_a_response_without_spaces_is_as_long_as_its_characters() -> None:
    found = checked(CheckExchange(), "为什么？", "因为" * 20)
    assert isinstance(found, Rejected)
    assert found.reason == "response_too_long"


@pytest.mark.parametrize(
    ("instruction", "response", "reason", "detail"),
    [
        ("Why?", "First.\nSecond.", "several_lines", "response: 2 lines"),
        ("Why\u2028so?", "So.", "several_lines", "instruction: 2 lines"),
        ("  ", "So.", "empty", "instruction: there is no text"),
        ("Why?", "\n", "empty", "response: there is no text"),
        ("Why [ta]?", "So.", "template_marker", "instruction: the text holds [ta], which the template is told by"),
        ("Why?", "<5>", "template_marker", "response: the text holds <5>, which the template is told by"),
    ],
)
def test_what_no_template_holds_is_rejected(instruction: str, response: str, reason: str, detail: str) -> None:
    found = checked(CheckExchange(), instruction, response)
    assert isinstance(found, Rejected)
    assert (found.reason, found.detail) == (reason, detail)


def test_a_line_with_a_problem_is_rejected_with_it(tmp_path: Path) -> None:
    lines = [json.dumps({"instruction": "Name a colour.", "output": "Red."}), "{oops", json.dumps({"instruction": "x"})]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    records = read(tmp_path / "a.jsonl")
    step = CheckExchange()
    found = step([{name: row[name] for name in step.reads} for row in records])
    assert [one.reason for one in found if isinstance(one, Rejected)] == ["bad_json", "no_response"]
    assert isinstance(found[0], dict) and (found[0]["instruction"], found[0]["response"]) == ("Name a colour.", "Red.")


def test_few_of_the_real_conversations_are_short_enough(shared: Path) -> None:
    records = read(shared / "data/text/moss_sft.jsonl")
    outcomes = {
        words: Counter(one.reason if isinstance(one, Rejected) else "kept" for one in CheckExchange(words)(records))
        for words in (34, 60)
    }
    assert outcomes == {
        34: {"response_too_long": 102, "several_lines": 2},
        60: {"response_too_long": 91, "several_lines": 2, "kept": 11},
    }
