"""Meanings in other languages, by a small grammar: gender, number and case agree; the words stand in languages.yaml."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from builders.dice import Dice
from builders.sources.scenes.meaning import Meaning, Phrase

LANGUAGES = ("de", "fr", "es", "it", "nl")
"""ISO 639-1 codes."""


def translate(meaning: Meaning, language: str, dice: Dice) -> str:
    """One of several wordings. Where a place is told, only what it relates and the background is told beside it."""
    words = _words(language)
    place = meaning.place
    if place is not None:
        meaning = replace(meaning, phrases=meaning.phrases[: 3 if place.word == "between" else 2])
    form = dice.pick([form for form in words["forms"] if meaning.background or not form.startswith("{ground}")])
    told = {case: _told(meaning, case, words, dice) for case in words["articles"] if f"{{{case}}}" in form}
    ground = dice.pick(words["grounds"][meaning.background]) if meaning.background else ""
    text = form.format(**told, ground=ground, **{"is": words["is"][_several(meaning, language)]})
    for spelled, contracted in words.get("contract", {}).items():
        text = text.replace(spelled, contracted)
    text = " ".join(text.split())
    return text[0].upper() + text[1:] + "." if dice.chance(0.4) else text


def noun_phrase(phrase: Phrase, case: str, language: str) -> str:
    """A phrase in a case ("nom", "dat") that the language has."""
    words = _words(language)
    gender, one, several, *dative = words["nouns"][phrase.thing].split()
    number = gender if phrase.count == 1 else "p"
    agree = words["agree"][case]
    form = agree[number] if number in agree else agree[gender + "p"]
    noun = one if phrase.count == 1 else dative[0] if dative and case == "dat" else several
    first = words["articles"][case][gender] if phrase.count == 1 else words["counts"][phrase.count - 2]
    rest = words["order"].format(
        size=_form(words["sizes"][phrase.size], form) if phrase.size else "",
        colour=_form(words["colours"][phrase.colour], form) if phrase.colour else "",
        noun=noun,
    )
    return " ".join(f"{first} {rest}".split())


def _told(meaning: Meaning, case: str, words: dict[str, Any], dice: Dice) -> str:
    """The phrases, with their place or as a list."""
    place, language = meaning.place, words["language"]
    if place is None:
        told = [noun_phrase(phrase, case, language) for phrase in meaning.phrases]
        return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} {words['and']} {told[-1]}"
    first = noun_phrase(meaning.phrases[place.subject], case, language)
    others = [place.other] if place.second < 0 else [place.other, place.second]
    seen_from = [noun_phrase(meaning.phrases[k], words["places_case"], language) for k in others]
    both = f" {words['and']} ".join(seen_from)
    return f"{first} {dice.pick(words['places'][place.word])} {both}"


def _several(meaning: Meaning, language: str) -> bool:
    """Whether the verb is in the plural: for several things, and for a list except where a verb opens one."""
    listed = meaning.place is None and len(meaning.phrases) > 1
    return meaning.phrases[0].count > 1 or (listed and language != "it")


def _form(adjective: str, form: int) -> str:
    forms = adjective.split()
    return forms[form] if len(forms) > 1 else adjective


@cache
def _words(language: str) -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("languages.yaml").read_text(encoding="utf-8"))
    return {**table[language], "language": language}
