"""Ways to ask for a transcript or for speech, of cross-modal samples."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

from builders.speech.templates import refused

Task = Literal["asr", "tts"]
"""Speech to text, or text to speech."""

INPUT = "This is input: "
"""What stands between the instruction and what is to be transcribed or spoken."""


@cache
def our_instructions() -> Mapping[Task, tuple[str, ...]]:
    """More than 110 for each task, all different by two words at least; sentences, each with its full stop or "?"."""
    lists = yaml.safe_load(Path(__file__).with_name("instructions.yaml").read_text(encoding="utf-8"))
    return {"asr": tuple(lists["asr"]), "tts": tuple(lists["tts"])}


def instruction_problem(text: str) -> str | None:
    """Why a text, a language model's say, cannot be the instruction of a sample, or None."""
    if bad := refused(text):
        return f"{bad.reason}: {bad.detail}"
    return f"template_marker: it holds {INPUT.strip()!r}" if INPUT.strip() in text else None
