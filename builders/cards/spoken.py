"""Samples of speech as they are printed: long rows of units are shortened in their middle."""

from __future__ import annotations

import re
from typing import Any

from builders.speech.templates import SPEECH

SIDES = ("instruction", "response")
"""Of an exchange."""
_ENDS = 12
"""Units that stay at either end."""


def describe_exchange(key: str, record: dict[str, Any], whole: bool = False) -> str:
    """Of a chain of modality: both sides with their units, all of them if `whole`, and the text of the sample."""
    told = [f"{key}  {record['form']}"]
    for side in SIDES:
        voice, seconds, units = (record[f"{side}_{what}"] for what in ("voice", "seconds", "units"))
        told.append(f"  {side} ({voice}, {seconds:.2f} s): {record[side]}")
        told.append(f"    {_counted(units, whole)}")
    return "\n".join([*told, f"  text: {_shortened(record['text'])}"])


def describe_turns(key: str, record: dict[str, Any]) -> str:
    """Of cross-modal turns: each with its task, what it is given, and what is wanted."""
    told = [f"{key}  {counted(len(record['turns']), 'turn')}"]
    for turn in record["turns"]:
        parts = [_counted(turn["units"]), turn["text"]]
        given, wanted = parts if turn["task"] == "asr" else parts[::-1]
        told.append(f"  {turn['task']} ({turn['key']}, {turn['seconds']:.2f} s): {turn['instruction']}")
        told += [f"    {given}", f"    -> {wanted}"]
    return "\n".join(told)


def unit_ids(units: str) -> list[int]:
    """The ids in "<sosp><5><7><eosp>". Those of `builders.speech.units` need numpy, which a reader may not have."""
    return [int(unit) for unit in re.findall(r"<(\d+)>", units)]


def counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _counted(units: str, whole: bool = False) -> str:
    return f"{units if whole else _shortened(units)} ({counted(len(unit_ids(units)), 'unit')})"


def _shortened(text: str) -> str:
    """The text with fewer units in it."""
    return re.sub(SPEECH, _without_middle, text)


def _without_middle(speech: re.Match[str]) -> str:
    units = [f"<{unit}>" for unit in unit_ids(speech[0])]
    left_out = len(units) - 2 * _ENDS
    if left_out <= 0:
        return speech[0]
    return f"<sosp>{''.join(units[:_ENDS])}…{left_out:,} more…{''.join(units[-_ENDS:])}<eosp>"
