"""The four templates of SpeechGPT's chain of modality: speech or text in, speech or text out.

Two styles of each: the lecture's, with a sentence that says what is wanted, and that of the released files. Of the
released ones only speech to speech has been seen; the other three leave out of the lecture's what it leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from builders.step import Rejected

Form = Literal["s2s", "s2t", "t2s", "t2t"]
"""Speech (s) or text (t) of the instruction, to that of the response."""
Style = Literal["lecture", "released"]

FORMS: tuple[Form, ...] = ("s2s", "s2t", "t2s", "t2t")
TEMPLATES: Mapping[Style, Mapping[Form, str]] = {
    "lecture": {
        "s2s": "[Human]: This is a speech instruction: {speech_i}. And your response should be speech. "
        "You can do it step by step. You can first transcribe the instruction and get the text Instruction. "
        "Then you can think about the instruction and get the text response. "
        "Last, you should speak the response aloud <eoh>. "
        "[SpeechGPT]: [tq] {text_i}; [ta] {text_r}; [ua] {speech_r}<eoa>.",
        "s2t": "[Human]: This is a speech instruction: {speech_i}. And your response should be text. "
        "You can do it step by step. You can first transcribe the instruction and get the text instruction. "
        "Then you can think about the instruction and get the text response. <eoh>. "
        "[SpeechGPT]: [tq] {text_i}; [ta] {text_r}<eoa>.",
        "t2s": "[Human]: This is a text instruction: {text_i}. And your response should be speech. "
        "You can do it step by step. You can think about the instruction and get the text response. "
        "Then you should speak the response aloud <eoh>. "
        "[SpeechGPT]: [ta] {text_r}; [ua] {speech_r}<eoa>.",
        "t2t": "[Human]: This is a text instruction: {text_i}. And your response should be text. "
        "You can think about the instruction and get the text response. "
        "[SpeechGPT]: [ta] {text_r}<eoa>.",
    },
    "released": {
        "s2s": "[Human]: {speech_i}<eoh>. [SpeechGPT]: {text_i}; [ta] {text_r}; [ua] {speech_r}<eoa>.",
        "s2t": "[Human]: {speech_i}<eoh>. [SpeechGPT]: {text_i}; [ta] {text_r}<eoa>.",
        "t2s": "[Human]: {text_i}<eoh>. [SpeechGPT]: [ta] {text_r}; [ua] {speech_r}<eoa>.",
        "t2t": "[Human]: {text_i}<eoh>. [SpeechGPT]: [ta] {text_r}<eoa>.",
    },
}

MARKER = r"\[(?:Human|SpeechGPT)\]:?|\[(?:tq|ta|ua)\]|<(?:sosp|eosp|eoh|eoa|eos|\d+)>"
"""What a template or a unit is told by."""
CHARACTER = rf"(?:(?!{MARKER}).)"
"""One of a text's: no marker begins at it."""
TEXT = rf"{CHARACTER}+"
SPEECH = r"<sosp>(?:<\d+>)*<eosp>"
_MARKER = re.compile(MARKER)
_SPEECH = re.compile(SPEECH)


@dataclass(frozen=True)
class Exchange:
    """A spoken or written instruction and its response. None: a part that the form does not hold."""

    form: Form
    speech_i: str | None
    text_i: str
    text_r: str
    speech_r: str | None


def render(
    form: Form, speech_i: str | None, text_i: str, text_r: str, speech_r: str | None, style: Style = "lecture"
) -> str:
    """The sample's text. Speech is units ("<sosp><5>...<eosp>"); what the form does not hold is ignored.

    Raises ValueError for a part that is missing, or that could not be told from the template around it.
    """
    template = TEMPLATES[style][form]
    for part, text in {"text_i": text_i, "text_r": text_r}.items():
        if bad := refused(text):
            raise ValueError(f"{part}: {bad.reason}: {bad.detail}")
    for part, units in {"speech_i": speech_i, "speech_r": speech_r}.items():
        if f"{{{part}}}" in template and not _SPEECH.fullmatch(units or ""):
            raise ValueError(f"{part}: {(units or '')[:40]!r} is no <sosp>...<eosp>")
    return template.format(speech_i=speech_i, text_i=text_i, text_r=text_r, speech_r=speech_r)


def parse(text: str) -> Exchange:
    """What `render` made the text of, in either style, the lecture's first. Raises ValueError where it is none."""
    for form, pattern in _patterns():
        if found := pattern.fullmatch(text):
            parts = found.groupdict()
            return Exchange(form, parts.get("speech_i"), found["text_i"], found["text_r"], parts.get("speech_r"))
    raise ValueError(f"{text[:80]!r} follows none of the templates")


def refused(text: str) -> Rejected | None:
    """Why a text cannot stand in a sample of one line of marked parts, or None."""
    if not text.strip():
        return Rejected("empty", "there is no text")
    if text.splitlines() != [text]:
        return Rejected("several_lines", f"{len(text.splitlines())} lines")
    if marker := _MARKER.search(text):
        return Rejected("template_marker", f"the text holds {marker.group()}, which the template is told by")
    return None


@cache
def _patterns() -> list[tuple[Form, re.Pattern[str]]]:
    parts = {"speech_i": SPEECH, "text_i": TEXT, "text_r": TEXT, "speech_r": SPEECH}
    found: list[tuple[Form, re.Pattern[str]]] = []
    for templates in TEMPLATES.values():
        for form, template in templates.items():
            pattern = re.escape(template)
            for part, kind in parts.items():
                pattern = pattern.replace(rf"\{{{part}\}}", f"(?P<{part}>{kind})")
            found.append((form, re.compile(pattern)))
    return found
