"""The four templates of chain of modality, written and read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.speech.templates import FORMS, TEMPLATES, Exchange, Form, Style, parse, refused, render

IN, OUT = "<sosp><5><7><5><eosp>", "<sosp><999><0><eosp>"
RELEASED = re.compile(r"\[Human\]: (.*) \[SpeechGPT\]: (.*); \[ta\] (.*); \[ua\] (.*)")
"""Reads the released chain samples (facts, section 3)."""

THINK = "Then you can think about the instruction and get the text response. "
LECTURE: dict[Form, str] = {
    "s2s": "[Human]: This is a speech instruction: <sosp><5><7><5><eosp>. And your response should be speech. "
    "You can do it step by step. You can first transcribe the instruction and get the text Instruction. "
    f"{THINK}Last, you should speak the response aloud <eoh>. "
    "[SpeechGPT]: [tq] Why is the sky blue?; [ta] Because of Rayleigh.; [ua] <sosp><999><0><eosp><eoa>.",
    "s2t": "[Human]: This is a speech instruction: <sosp><5><7><5><eosp>. And your response should be text. "
    "You can do it step by step. You can first transcribe the instruction and get the text instruction. "
    f"{THINK}<eoh>. [SpeechGPT]: [tq] Why is the sky blue?; [ta] Because of Rayleigh.<eoa>.",
    "t2s": "[Human]: This is a text instruction: Why is the sky blue?. And your response should be speech. "
    "You can do it step by step. You can think about the instruction and get the text response. "
    "Then you should speak the response aloud <eoh>. "
    "[SpeechGPT]: [ta] Because of Rayleigh.; [ua] <sosp><999><0><eosp><eoa>.",
    "t2t": "[Human]: This is a text instruction: Why is the sky blue?. And your response should be text. "
    "You can think about the instruction and get the text response. [SpeechGPT]: [ta] Because of Rayleigh.<eoa>.",
}
LEFT_OUT: dict[Form, tuple[str, ...]] = {
    "s2s": (),
    "s2t": ("speech_r",),
    "t2s": ("speech_i",),
    "t2t": ("speech_i", "speech_r"),
}
MARKERS = "[Human]: [Human] [SpeechGPT]: [SpeechGPT] [tq] [ta] [ua] <sosp> <eosp> <eoh> <eoa> <eos> <5> <1234>".split()

every_form = pytest.mark.parametrize("form", FORMS)
every_style = pytest.mark.parametrize("style", TEMPLATES)
pieces = ["[", "ta", "]", "<", "eoh", ">", ";", ". ", ": ", "5", "[tq", "{}", "And your response should be text."]
pieces += ["You can think about the instruction and get the text response.", "This is a text instruction: "]
texts = st.text(min_size=1) | st.lists(st.sampled_from(pieces), min_size=1).map("".join)
whole_texts = texts.filter(lambda text: not refused(text))
units = st.lists(st.integers(0, 999), max_size=5).map(lambda ids: f"<sosp>{''.join(f'<{i}>' for i in ids)}<eosp>")


# ---- written ---------------------------------------------------------------------------------------------------------


@every_form
def test_a_sample_is_the_lectures_template_character_for_character(form: Form) -> None:
    assert render(form, IN, "Why is the sky blue?", "Because of Rayleigh.", OUT) == LECTURE[form]


@every_form
def test_our_templates_are_those_of_the_facts(form: Form, shared: Path) -> None:
    names = {"speech_i": "SpeechI", "text_i": "TextI", "text_r": "TextR", "speech_r": "SpeechR"}
    told = re.sub(r"\{(\w+)\}", lambda part: f"{{{names[part[1]]}}}", TEMPLATES["lecture"][form])
    assert f"- {form[0].upper()}->{form[2].upper()} `{told}`\n" in (shared / "facts.md").read_text()


def test_the_released_form_leaves_out_what_is_wanted_and_the_mark_of_the_transcript() -> None:
    assert render("s2s", IN, "Why?", "So.", OUT, "released") == (
        f"[Human]: {IN}<eoh>. [SpeechGPT]: Why?; [ta] So.; [ua] {OUT}<eoa>."
    )


@pytest.mark.parametrize("part", ["speech_i", "speech_r"])
def test_what_a_form_does_not_hold_need_not_be_there(part: str) -> None:
    given = {"speech_i": IN, "speech_r": OUT, part: None}
    without = [form for form in FORMS if part in LEFT_OUT[form]]
    assert len(without) == 2
    for form in FORMS:
        if form in without:
            render(form, text_i="a", text_r="b", **given)
        else:
            with pytest.raises(ValueError, match=f"{part}: '' is no <sosp>"):
                render(form, text_i="a", text_r="b", **given)


@pytest.mark.parametrize(
    "speech", ["", "<5><7>", "<sosp><5>", "<sosp>5<eosp>", " <sosp><5><eosp>", "<sosp><5><eosp>\n"]
)
def test_speech_that_is_no_row_of_units_is_refused(speech: str) -> None:
    with pytest.raises(ValueError, match="speech_i"):
        render("s2s", speech, "a", "b", OUT)


# ---- read ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@every_style
@every_form
@given(text_i=texts, text_r=texts, speech_i=units, speech_r=units)
def test_what_is_written_is_read_back(
    form: Form, style: Style, text_i: str, text_r: str, speech_i: str, speech_r: str
) -> None:
    parts = {"speech_i": speech_i, "text_i": text_i, "text_r": text_r, "speech_r": speech_r}
    if refused(text_i) or refused(text_r):
        with pytest.raises(ValueError, match="text_[ir]: "):
            render(form, **parts, style=style)
        return

    sample = render(form, **parts, style=style)

    assert parse(sample) == Exchange(form, **{name: None if name in LEFT_OUT[form] else parts[name] for name in parts})


@every_style
@given(text_i=whole_texts, text_r=whole_texts)
def test_the_regex_of_the_facts_reads_speech_to_speech(style: Style, text_i: str, text_r: str) -> None:
    found = RELEASED.fullmatch(render("s2s", IN, text_i, text_r, OUT, style))

    assert found is not None
    assert found[2].removeprefix("[tq] " if style == "lecture" else "") == text_i
    assert (found[3], found[4]) == (text_r, f"{OUT}<eoa>.")
    assert IN in found[1]


def test_a_released_sample_is_read_and_written_again_as_it_was(shared: Path) -> None:
    line = (shared / "data/formats/sample_chain-of-modality.jsonl").read_text()
    sample = json.loads(line)["plain_text"]

    found = parse(sample)

    assert (found.form, found.text_r[:39]) == ("s2s", "A bad term for poop is excrement. It is")
    assert render(*vars(found).values(), style="released") == sample


@pytest.mark.parametrize(
    "text",
    ["", "Hello", LECTURE["t2t"] + "\n", LECTURE["t2t"] * 2, LECTURE["s2s"].replace("[tq] ", ""), LECTURE["t2s"][:-1]]
    + [LECTURE["s2t"].replace("text instruction.", "text Instruction.")],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="follows none of the templates"):
        parse(text)


# ---- texts that cannot stand in a sample -----------------------------------------------------------------------------


@pytest.mark.parametrize("marker", MARKERS)
def test_a_text_with_a_marker_is_rejected_with_the_marker(marker: str) -> None:
    bad = refused(f"What does {marker} mean?")
    assert bad is not None
    assert (bad.reason, marker in bad.detail) == ("template_marker", True)


@pytest.mark.parametrize("text", ["a < b > c", "see [1] and [tab]", "{text_i}", "5 > 4", "What is <eo>?", " spaced "])
def test_a_text_that_only_looks_like_one_is_taken(text: str) -> None:
    assert refused(text) is None


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_a_text_of_several_lines_is_rejected_whatever_ends_them(end: str) -> None:
    for text in (f"one{end}two", f"one{end}"):
        bad = refused(text)
        assert bad is not None
        assert bad.reason == "several_lines"


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_no_text_is_rejected(text: str) -> None:
    bad = refused(text)
    assert bad is not None
    assert bad.reason == "empty"
