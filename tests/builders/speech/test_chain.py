"""Chains of modality: which template an exchange gets, and what its sample says."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.speech.chain import ChainSample, ChooseForm
from builders.speech.templates import FORMS, Form, Style, parse, refused
from builders.step import Child, Record

EVEN: dict[Form, float] = dict.fromkeys(FORMS, 1.0)
COLUMNS = ("instruction", "response", "response_words", "instruction_voice", "instruction_seconds")
STYLES: tuple[Style, ...] = ("lecture", "released")


def records(count: int) -> list[Record]:
    return [{"key": f"k{i:04d}"} for i in range(count)]


def drawn(weights: dict[Form, float], count: int = 2000, seed: int = 0) -> list[Any]:
    return [made["form"] for made in ChooseForm(weights, False, seed)(records(count)) if isinstance(made, dict)]


# ---- the template ----------------------------------------------------------------------------------------------------


def test_templates_are_shared_out_by_their_weights() -> None:
    counts = Counter(drawn({"s2s": 6, "s2t": 1, "t2s": 0, "t2t": 3}))
    assert counts["t2s"] == 0
    assert sum(counts.values()) == 2000
    for form, share in {"s2s": 0.6, "s2t": 0.1, "t2t": 0.3}.items():
        assert counts[form] / 2000 == pytest.approx(share, abs=0.04)


def test_weights_are_shares_of_their_sum() -> None:
    assert drawn(dict.fromkeys(FORMS, 0.25)) == drawn(EVEN) == drawn(dict.fromkeys(FORMS, 8.0))


@pytest.mark.parametrize("form", FORMS)
def test_a_weight_alone_takes_all(form: Form) -> None:
    assert set(drawn({**dict.fromkeys(FORMS, 0.0), form: 0.001}, 50)) == {form}


def test_a_draw_depends_on_seed_and_key_alone() -> None:
    some = records(100)
    step = ChooseForm(EVEN, False, 0)
    by_key = dict(zip((one["key"] for one in some), step(some), strict=True))
    assert [step([one])[0] for one in reversed(some)] == [by_key[one["key"]] for one in reversed(some)]
    assert drawn(EVEN, 100, seed=1) != drawn(EVEN, 100)


def test_all_templates_are_a_child_each_but_those_of_no_weight() -> None:
    made = ChooseForm({**EVEN, "t2s": 0.0}, True, 0)(records(2))
    wanted = [Child(form, {"form": form}) for form in ("s2s", "s2t", "t2t")]
    assert made == [wanted, wanted]


# ---- the sample ------------------------------------------------------------------------------------------------------


def exchange(**changes: Any) -> Record:
    """An exchange on its way, with both sides as text, speech and units."""
    return {
        "key": "moss-1",
        "form": "s2s",
        "instruction": "How are you?",
        "response": "Well; thank you: [ and ] too.",
        "_instruction_units": "<sosp><5><7><5><eosp>",
        "_response_units": "<sosp><9><eosp>",
        "_instruction_durations": [3, 2, 1],
        "_response_durations": [4],
        "response_words": 5,
        "instruction_voice": "en-us",
        "instruction_seconds": 0.06,
        **changes,
    }


def sample(record: Record, style: Style = "lecture", columns: tuple[str, ...] = COLUMNS) -> dict[str, Any]:
    (made,) = ChainSample(columns, 100.0, style)([record])
    assert isinstance(made, dict)
    told: dict[str, Any] = json.loads(made["json"])
    assert made["text_chars"] == len(told["text"])
    return told


def test_a_sample_holds_texts_units_durations_and_the_rendered_template() -> None:
    told = sample(exchange())
    assert told == {
        "id": "moss-1",
        "form": "s2s",
        "text": told["text"],
        "instruction": "How are you?",
        "instruction_units": "<sosp><5><7><5><eosp>",
        "instruction_durations": [3, 2, 1],
        "response": "Well; thank you: [ and ] too.",
        "response_units": "<sosp><9><eosp>",
        "response_durations": [4],
        "unit_hz": 100.0,
        "response_words": 5,
        "instruction_voice": "en-us",
        "instruction_seconds": 0.06,
    }


def test_speech_to_speech_is_the_lectures_template_letter_by_letter() -> None:
    assert sample(exchange())["text"] == (
        "[Human]: This is a speech instruction: <sosp><5><7><5><eosp>. And your response should be speech. You can do "
        "it step by step. You can first transcribe the instruction and get the text Instruction. Then you can think "
        "about the instruction and get the text response. Last, you should speak the response aloud <eoh>. "
        "[SpeechGPT]: [tq] How are you?; [ta] Well; thank you: [ and ] too.; [ua] <sosp><9><eosp><eoa>."
    )


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("form", FORMS)
def test_the_text_of_every_form_and_style_is_read_back(form: Form, style: Style) -> None:
    read = parse(sample(exchange(form=form), style)["text"])
    assert (read.form, read.text_r) == (form, "Well; thank you: [ and ] too.")
    assert read.text_i == "How are you?"
    assert read.speech_i == ("<sosp><5><7><5><eosp>" if form.startswith("s") else None)
    assert read.speech_r == ("<sosp><9><eosp>" if form.endswith("s") else None)


TEXTS = st.text(max_size=30).map(lambda text: f"{text}x").filter(lambda text: not refused(text))


@given(TEXTS, TEXTS, st.sampled_from(FORMS), st.sampled_from(STYLES))
def test_any_text_that_may_stand_in_a_sample_is_read_back(asked: str, said: str, form: Form, style: Style) -> None:
    told = sample(exchange(form=form, instruction=asked, response=said), style)
    assert (told["instruction"], told["response"]) == (asked, said)
    read = parse(told["text"])
    assert f"{read.text_i}|{read.text_r}" == f"{asked}|{said}"


def test_what_the_forms_do_not_hold_stands_in_the_sample_all_the_same() -> None:
    told = sample(exchange(form="t2t"))
    assert "<sosp>" not in told["text"]
    assert told["instruction_units"] == "<sosp><5><7><5><eosp>"


def test_the_step_reads_what_it_tells() -> None:
    step = ChainSample(COLUMNS, 50.0)
    assert set(step.reads) == exchange().keys()
    assert len(set(step.reads)) == len(step.reads)
    assert sample(exchange(instruction_seconds=float("nan")))["instruction_seconds"] is None, "JSON knows no NaN"


def test_a_text_that_the_template_is_told_by_is_an_error() -> None:
    with pytest.raises(ValueError, match="text_r: template_marker"):
        sample(exchange(response="Say [ta] to me."))
    with pytest.raises(ValueError, match="speech_i: .* is no <sosp>"):
        sample(exchange(_instruction_units="<5><7>"))
