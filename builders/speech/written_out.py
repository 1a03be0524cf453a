"""How a text is written for a voice: what a reader says in other letters than it is written in ("$5", "Dr.", "1999").

A sample keeps the text as it was. Which texts can be spoken at all: speakable.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable


def spoken(text: str, language: str = "en") -> str:
    """The text as a voice is to read it: on one line, with plain quotes and dashes; English is written out further.

    Written out: amounts of money, years 1700..1999, decades, ranges of numbers, fractions, "#1", titles and Latin
    abbreviations, units behind a number, slashes between words. Left to the voice, as espeak-ng says them right:
    numbers, decimals, ordinals (3rd), times (9:30), %, &, +, =, °, acronyms, Roman numerals. Never raises; what is
    spoken once is not changed by a second time.
    """
    rules = [*_PLAIN, *(_ENGLISH if language.partition("-")[0].lower() == "en" else ())]
    before = None
    while text != before:  # every rule takes away what it looks for, so this ends, mostly in the second round
        before, text = text, unicodedata.normalize("NFC", text).strip()
        for pattern, new in rules:
            text = pattern.sub(new, text)
    return text


_Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
_COINS = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "")}
_SCALES = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion"}
_DECADES = ("hundreds", *"tens twenties thirties forties fifties sixties seventies eighties nineties".split())
_FRACTIONS = {"1/2": "a half", "1/3": "a third", "2/3": "two thirds", "1/4": "a quarter", "3/4": "three quarters"}
_ABBREVIATIONS = {
    "Dr": "Doctor",
    "Prof": "Professor",
    "Mr": "Mister",
    "Mrs": "Missis",
    "Ms": "Miz",
    "Jr": "Junior",
    "Sr": "Senior",
    "vs": "versus",
    "e.g": "for example",
    "i.e": "that is",
    "etc": "et cetera",
    "approx": "approximately",
    "Ph.D": "P H D",
}
_UNITS = {
    "km/h": "kilometers an hour",
    "km": "kilometers",
    "cm": "centimeters",
    "mm": "millimeters",
    "kg": "kilograms",
    "mg": "milligrams",
    "lbs": "pounds",
    "ft": "feet",
    "mph": "miles an hour",
    "°F": "degrees Fahrenheit",
    "°C": "degrees Celsius",
}


def _any(words: dict[str, str]) -> str:
    return "|".join(map(re.escape, words))


def _money(found: re.Match[str]) -> str:
    amount, scale = found["amount"], found["scale"] or ""
    unit, small = _COINS[found["sign"]]
    whole, _, cents = amount.partition(".")
    if len(cents) == 2 and small and not scale:
        said = [_count(whole, unit)] if whole.strip("0,") or not int(cents) else []
        return " and ".join([*said, *([_count(str(int(cents)), small)] if int(cents) else [])])
    scale = _SCALES.get(scale.lower(), scale)
    return _count(f"{amount} {scale}" if scale else amount, unit)


def _count(amount: str, unit: str) -> str:
    several = {"yen": "yen", "penny": "pence"}.get(unit, f"{unit}s")
    return f"{amount} {unit if amount == '1' else several}"


def _year(found: re.Match[str]) -> str:
    century, rest = found.groups()
    return (
        f"{century} hundred" if rest == "00" else f"{century} oh {rest[1]}" if rest[0] == "0" else f"{century} {rest}"
    )


def _decade(found: re.Match[str]) -> str:
    century, tens = found.groups()
    if century == "20" and tens == "0":
        return "two thousands"
    return f"{century} {_DECADES[int(tens)]}" if century else _DECADES[int(tens)]


_AMOUNT = r"(?P<amount>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_PLAIN: list[_Rule] = [
    (re.compile(r"\s+"), " "),
    (re.compile("[‘’‚‛ʼ]"), "'"),
    (re.compile("[“”„«»]"), '"'),
    (re.compile(" ?— ?| (?:--|–) "), ", "),
]
_SCALE = r"(?: ?(?P<scale>thousand|million|billion|trillion|bn|[kKmMbB])\b)?"
_ALONE, _END = r"(?<![\d.,:/–-])\b", r"\b(?![-–/:,.]\d)"
_ENGLISH: list[_Rule] = [
    (re.compile(rf"(?<!\w)(?:US)?(?P<sign>[$£€¥]){_AMOUNT}{_SCALE}(?!\w)"), _money),
    (re.compile(rf"(?<![\d.,]){_AMOUNT}(?P<scale>) ?(?P<sign>[€£])(?!\w)"), _money),
    (re.compile(r"(?<![\w.,$£€¥])(1[7-9]|20)(\d)0'?s\b"), _decade),
    (re.compile(r"(?<![\w.,$£€¥])'?()([2-9])0'?s\b"), _decade),
    (re.compile(rf"{_ALONE}(\d{{1,3}})[-–](?=\d{{1,3}}{_END})|{_ALONE}(\d{{4}})[-–](?=\d{{4}}{_END})"), r"\1\2 to "),
    (re.compile(rf"{_ALONE}(1[7-9])(\d\d){_END}"), _year),
    (re.compile(rf"(?<![\d.,/])\b(?:{_any(_FRACTIONS)})\b(?![\d/])"), lambda found: _FRACTIONS[found.group()]),
    (re.compile(r"#(?=\d)|\bNo\. ?(?=\d)"), "number "),
    (re.compile(rf"(?<![\w.])({_any(_ABBREVIATIONS)})\.(?!\w)"), lambda found: _ABBREVIATIONS[found[1]]),
    (re.compile(r"(?<![\w.])St\. (?=[A-Z])"), "Saint "),
    (re.compile(rf"(?<=\d) ?({_any(_UNITS)})(?![\w²³])"), lambda found: f" {_UNITS[found[1]]}"),
    (re.compile(r"(?<=[^\W\d_])/(?=[^\W\d_])|(?<=\b24)/(?=7\b)"), " "),
    (re.compile(r"(?<=[^\W_²³])²(?!\w)"), " squared"),
    (re.compile(r"(?<=[^\W_²³])³(?!\w)"), " cubed"),
    (re.compile(r"(?<=[^\W\d_]) - (?=[^\W\d_])"), ", "),
]
