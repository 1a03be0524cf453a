"""Pairs of units and text as tasks: recognition or synthesis, in the lecture's form and the released one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.speech.crossmodal import TURNS, ChooseTask, ComposeTurn, DrawInstruction, Turn, parse_turns, render_turn
from builders.speech.instructions import Task, instruction_problem, our_instructions
from builders.speech.templates import Style, refused
from builders.step import Rejected, Services, Step

UNITS = "<sosp><5><7><5><eosp>"
ASR = Turn("asr", "What is said here?", UNITS, "Good morning.")
TTS = Turn("tts", "Read this aloud.", UNITS, "Good morning.")


def made(step: Step, **record: Any) -> dict[str, Any]:
    (found,) = step([record])
    assert isinstance(found, dict)
    return found


# ---- the form --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "style", "text"),
    [
        (
            ASR,
            "lecture",
            f"[Human]:What is said here? This is input: {UNITS}<eoh>. [SpeechGPT]: Good morning.<eos>",
        ),
        (TTS, "lecture", f"[Human]:Read this aloud. This is input: Good morning.<eoh>. [SpeechGPT]: {UNITS}<eos>"),
        (
            ASR,
            "released",
            f"[Human]: What is said here? This is input: {UNITS}<eoh> [SpeechGPT]: Good morning.<eoa> ",
        ),
        (TTS, "released", f"[Human]: Read this aloud. This is input: Good morning.<eoh> [SpeechGPT]: {UNITS}<eoa> "),
    ],
)
def test_a_turn_is_the_template_character_for_character(turn: Turn, style: Style, text: str) -> None:
    assert render_turn(turn, style) == text
    assert parse_turns(text) == [turn]


@pytest.mark.parametrize(
    ("instruction", "ended"),
    [("Read this", "Read this."), ("Read this.", "Read this."), ("Can you?", "Can you?"), (" Do it! ", "Do it!")],
)
def test_an_instruction_has_one_end(instruction: str, ended: str) -> None:
    text = render_turn(Turn("tts", instruction, UNITS, "Hi."))
    assert text.startswith(f"[Human]:{ended} This is input: Hi.<eoh>")


def test_an_input_that_says_that_it_is_one_is_read_back() -> None:
    turn = Turn("tts", "Say it.", UNITS, "This is input: This is input: yes.")
    assert parse_turns(render_turn(turn)) == [turn]


@pytest.mark.slow
@pytest.mark.parametrize("style", TURNS)
@given(
    st.lists(
        st.builds(
            Turn,
            st.sampled_from(["asr", "tts"]),
            st.sampled_from(our_instructions()["asr"]) | st.text().map(lambda text: f"{text.strip()}."),
            st.lists(st.integers(0, 999)).map(lambda ids: f"<sosp>{''.join(f'<{i}>' for i in ids)}<eosp>"),
            st.sampled_from(["This is input: ", "<eoh", ". ", "[SpeechGPT", "5>"]) | st.text(),
        ).filter(lambda turn: not refused(turn.text) and not instruction_problem(turn.instruction)),
        min_size=1,
        max_size=4,
    )
)
def test_turns_that_are_joined_are_read_back(style: Style, turns: list[Turn]) -> None:
    assert parse_turns("".join(render_turn(turn, style) for turn in turns)) == turns


NO_TURNS = ["", "Hi", render_turn(ASR)[:-1], render_turn(ASR) + " ", render_turn(ASR, "released")[1:]]


@pytest.mark.parametrize("text", NO_TURNS)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no row of cross-modal turns"):
        parse_turns(text)


def test_a_released_sample_is_read_and_written_again_as_it_was(shared: Path) -> None:
    sample = json.loads((shared / "data/formats/sample_cross-modal.jsonl").read_text())["plain_text"]

    (turn,) = parse_turns(sample)

    assert (turn.task, turn.instruction) == ("tts", "Try to speak out this sentence, please.")
    assert turn.text == "The alchemist rode in front, with the falcon on his shoulder."
    assert render_turn(turn, "released") == sample


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"text": "a [ta] b"}, "text: template_marker"),
        ({"instruction": "Say <eoh>"}, "instruction: template_marker"),
        ({"units": "<5><7>"}, "units: '<5><7>' is no <sosp>...<eosp>"),
    ],
)
def test_a_part_that_would_break_the_turn_is_refused(changed: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        render_turn(Turn(**{**vars(ASR), **changed}))


# ---- the steps -------------------------------------------------------------------------------------------------------


def test_every_instruction_of_a_task_is_drawn_about_as_often(services: Services) -> None:
    step = DrawInstruction(seed=0)
    step.setup(services)
    for task, sentences in our_instructions().items():
        keys = (f"k{i}" for i in range(40 * len(sentences)))
        drawn = Counter(made(step, key=key, task=task)["instruction"] for key in keys)

        assert drawn.keys() == set(sentences)
        assert all(15 < times < 75 for times in drawn.values())


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.25, 200, 300), (1.0, 1000, 1000)])
def test_the_task_is_recognition_with_the_probability_that_is_given(share: float, low: int, high: int) -> None:
    step = ChooseTask(asr=share, seed=3)
    tasks = [made(step, key=f"k{i}", text="Hi.")["task"] for i in range(1000)]
    assert low <= tasks.count("asr") <= high and low <= 1000 - tasks.count("tts") <= high


def test_a_task_and_its_instruction_depend_on_seed_and_key_alone() -> None:
    keys = [f"k{i}" for i in range(50)]

    def drawn(seed: int, keys: list[str]) -> list[tuple[str, str]]:
        tasks = [made(ChooseTask(0.5, seed), key=key, text="Hi.")["task"] for key in keys]
        sentences = [made(DrawInstruction(seed), key=key, task="tts")["instruction"] for key in keys]
        return list(zip(tasks, sentences, strict=True))

    assert drawn(0, keys) == drawn(0, keys[::-1])[::-1]
    assert drawn(0, keys) != drawn(1, keys)


@pytest.mark.parametrize("turn", [ASR, TTS])
@pytest.mark.parametrize("style", TURNS)
def test_the_turn_holds_the_records_text_and_units(style: Style, turn: Turn) -> None:
    found = made(ComposeTurn(style), task=turn.task, instruction=turn.instruction, text=turn.text, _units=turn.units)
    assert found["_turn"] == render_turn(turn, style)


def test_instructions_may_be_others() -> None:
    lists: dict[Task, list[str]] = {"asr": ["Listen"], "tts": ["Speak"]}
    assert made(DrawInstruction(0, lists), key="k", task="asr") == {"instruction": "Listen"}


@pytest.mark.parametrize(
    ("text", "reason"), [("a [ua] b", "template_marker"), ("a\nb", "several_lines"), ("  ", "empty")]
)
def test_a_text_that_would_break_the_turn_is_rejected(text: str, reason: str) -> None:
    (found,) = ChooseTask(0.5, 0)([{"key": "k", "text": text}])
    assert isinstance(found, Rejected)
    assert found.reason == reason
