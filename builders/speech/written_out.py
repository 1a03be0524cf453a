"""How a text is written for a voice: what a reader says in other letters than it is written in ("$5", "Dr.", "1999").

A sample keeps the text as it was. Which texts can be spoken at all: speakable.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable


def is_english(language: str) -> bool:
    """Whether a language ("en-gb") is written out by the rules for English."""
    return language.partition("-")[0].lower() == "en"


def spoken(text: str, language: str = "en") -> str:
    """The text as a voice is to read it: on one line, with plain quotes and dashes; English is written out further.

    Written out: amounts of money, years 1700..1999, decades, dates, ranges of numbers, ratios, fractions, "#1", titles,
    streets, months and Latin abbreviations, units behind a number, keys (Ctrl+C), slashes between words. Left to the
    voice, as espeak-ng says them right: numbers, decimals, ordinals (3rd), times (9:30), %, &, +, =, °, acronyms, Roman
    numerals, Node.js. Never raises; what is spoken once is not changed by a second time.
    """
    rules = [*_PLAIN, *(_ENGLISH if is_english(language) else ())]
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
_FRACTION_SIGNS = {"½": "a half", "¼": "a quarter", "¾": "three quarters"}
_PARTS = {"5": "fifth", "6": "sixth", "8": "eighth", "10": "tenth", "16": "sixteenth", "32": "thirty-second"}
_ABBREVIATIONS = {
    "e.g": "for example",
    "i.e": "that is",
    "etc": "et cetera",
    "Ph.D": "P H D",
    **dict(
        pair.split("=")
        for pair in (
            "Prof=Professor Mr=Mister Mrs=Missis Ms=Miz Jr=Junior Sr=Senior Lt=Lieutenant Sgt=Sergeant Capt=Captain "
            "Col=Colonel Gen=General Maj=Major Gov=Governor Sen=Senator Rep=Representative Rev=Reverend Hon=Honorable "
            "Mt=Mount Ft=Fort Blvd=Boulevard Ave=Avenue Rd=Road Vol=Volume vs=versus approx=approximately "
            "Feb=February Apr=April Jun=June Jul=July Aug=August Sep=September Sept=September Oct=October "
            "Nov=November Dec=December"
        ).split()
    ),
}
_NUMBERED = {
    "No": "number",
    "Fig": "Figure",
    "fig": "figure",
    "vol": "volume",
    "Ch": "Chapter",
    "p": "page",
    "pp": "pages",
}
_MONTHS = tuple("January February March April May June July August September October November December".split())
_SHORT_MONTHS = {name[:3]: name for name in _MONTHS if name != "May"} | {"Sept": "September"}
_UNITS = {
    "km/h": ("kilometer an hour", "kilometers an hour"),
    "mph": ("mile an hour", "miles an hour"),
    "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "lbs": ("pound", "pounds"),
    "lb": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°C": ("degree Celsius", "degrees Celsius"),
}
_INCHES = ("inch", "inches")
_PER = {
    "h": "hour",
    "hr": "hour",
    "wk": "week",
    "mo": "month",
    "yr": "year",
    "lb": "pound",
    "oz": "ounce",
    "kg": "kilogram",
}
_KEYS = {"ctrl": "control", "cmd": "command", "del": "delete", "esc": "escape"}
_NO_NAMES = frozenset(
    "A An And As At But By For From He Here His Her How I If In It Its My Near Of On Or Our She So That The Their Then "
    "There They This To Visit We What When Where Who Why With You Your".split()
)
"""Words that begin a sentence with a capital letter and are no name."""


def _any(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, words))


def _money(found: re.Match[str]) -> str:
    per = found["per"]
    return _amount(found["sign"], found["amount"], found["scale"]) + (f" per {_PER.get(per, per)}" if per else "")


def _money_range(found: re.Match[str]) -> str:
    sign, low, scale = found["sign"], found["low"], found["low_scale"] or ""
    high = _money(found)
    if "." in low or "." in found["amount"]:
        said = _amount(sign, low, scale or found["scale"])
    else:
        said = f"{low} {_SCALES.get(scale.lower(), scale)}".strip()
    return f"{said} to {high}"


def _amount(sign: str, amount: str, scale: str | None) -> str:
    unit, small = _COINS[sign]
    whole, _, cents = amount.partition(".")
    if len(cents) == 2 and small and not scale:
        said = [_count(whole, unit)] if whole.strip("0,") or not int(cents) else []
        return " and ".join([*said, *([_count(str(int(cents)), small)] if int(cents) else [])])
    scale = _SCALES.get((scale or "").lower(), scale)
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


def date_of(found: re.Match[str]) -> str | None:
    """What DATE found as it is said, "January 15, 2023"; None where it is none or could be two (5/6/2020)."""
    if found["y"]:
        year, readings = found["y"], {(int(found["m"]), int(found["d"]))}
    else:
        first, second, year = int(found["a"]), int(found["b"]), found["year"]
        readings = {(first, second), (second, first)}
    readings = {(month, day) for month, day in readings if 1 <= month <= 12 and 1 <= day <= 31}
    if len(readings) != 1:
        return None
    ((month, day),) = readings
    year = f"oh {year[1]}" if len(year) == 2 and year[0] == "0" else year
    return f"{_MONTHS[month - 1]} {day}, {year}"


def _year_range(found: re.Match[str]) -> str:
    first, last = found.groups()
    return f"{first} to {last}" if last > first[2:] else found.group()


def _ratio(found: re.Match[str]) -> str:
    """A verse (John 3:2) has a name before it, a ratio has none."""
    return f"{found[1]}{' ' if _is_name(_word_before(found)) else ' to '}{found[2]}"


def _word_before(found: re.Match[str]) -> str:
    """With what parts it from the abbreviation; "" where the text begins or another sentence ends."""
    word = re.search(r"[\w.'!?-]+ $", found.string[max(0, found.start() - 30) : found.start()])
    return word.group().strip() if word else ""


def _is_name(word: str) -> bool:
    return len(word) > 1 and word[0].isupper() and word[-1].isalnum() and word not in _NO_NAMES


def _street(found: re.Match[str]) -> str:
    """St. and Dr. before a name are a saint and a doctor, behind one a street and a drive."""
    place, person = {"St": ("Street", "Saint"), "Dr": ("Drive", "Doctor")}[found[1]]
    follows = found["follows"] or ""
    named = bool(follows) and follows.strip() not in _NO_NAMES
    before = _word_before(found)
    behind_name = _is_name(before) or bool(re.fullmatch(r"\d+(?:st|nd|rd|th)", before))
    if not named and (behind_name or found[1] == "St"):
        ends = follows or not found.string[found.end() :].strip("\"') ")
        return f"{place}{'.' if ends else ''}{follows}"
    starts = _FIRST_WORD.search(found.string, max(0, found.start() - 40), found.start())
    if named and behind_name and found[1] == "St" and not starts and before not in _BEFORE_SAINTS:
        return f"{place}{follows}"
    return f"{person}{follows}"


def _unit(found: re.Match[str]) -> str:
    one, several = _UNITS[found["unit"]] if found["unit"] else _INCHES
    before = found.string[max(0, found.start() - 6) : found.start()]
    unit = one if found["joint"] == "-" or _ONE.search(before) else several
    return f" {unit}"


def _keys(found: re.Match[str]) -> str:
    return " ".join(_KEYS.get(key.lower(), key) for key in re.split(r" ?\+ ?|-", found.group()))


def _european(found: re.Match[str]) -> str:
    return found.group().translate(str.maketrans(".,", ",."))


def _part(found: re.Match[str]) -> str:
    whole, count, part = found.groups()
    return f"{whole} and {count} {_PARTS[part]}{'' if count == '1' else 's'}"


_BEFORE_SAINTS = frozenset("Mount Mt Port Fort Ft Lake Sault Point Cape Isle Rue Old New East West North South".split())
_FIRST_WORD = re.compile(r"(?:^|[.!?]['\")]* )[\w'-]+ $")
_ONE = re.compile(r"(?<![\d.,/–-])(?<!\d )(?:1|[123]/[234]|[½¼¾])$")
_GROUPED = r"(?<![\d.,])\d{1,3}(?:\.\d{3})"
EUROPEAN = re.compile(rf"€ ?\d{{1,3}}(?:\.\d{{3}})+(?![\d.,]?\d)|{_GROUPED}+(?= ?€)")
"""An amount that is a thousand in one country and one in another; what has more groups or a comma is clear."""
DATE = re.compile(
    r"(?<![\w/.,-])(?:(?P<y>[12]\d{3})(?P<dash>[-/])(?P<m>\d{1,2})(?P=dash)(?P<d>\d{1,2})"
    r"|(?P<a>\d{1,2})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)"
    r"(?P<year>[12]\d{3}|(?<=/)\d\d))(?!\w|[-/.,:]\w)"
)
"""Year, month and day; or day, month and year in either order, of which the year may have two digits behind slashes."""
_AMOUNT = r"(?P<amount>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_PLAIN: list[_Rule] = [
    (re.compile(r"\s+"), " "),
    (re.compile("[‘’‚‛ʼ]"), "'"),
    (re.compile("[“”„«»]"), '"'),
    (re.compile(" ?— ?| (?:--|–) "), ", "),
]
_SCALE = r"(?: ?(?P<scale>thousand|million|billion|trillion|bn|[kKmMbB])\b)?"
_LOW = r"(?P<low>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<low_scale>[kKmMbB])?"
_PER_END = r"(?:/(?P<per>[A-Za-z]+))?(?!\w)"
_UNIT = re.compile(
    rf"(?<=[\d½¼¾])(?P<joint>[ -]?)(?:(?P<unit>{_any(_UNITS)})|in(?=\.))(?![\w²³])(?P<dot>\.(?=,? [a-z]))?"
)
_KEY = re.compile(
    r"\b(?:Ctrl|Alt|Shift|Cmd)(?:(?: ?\+ ?|-)(?:Ctrl|Alt|Shift|Cmd|Del(?:ete)?|Esc|Tab|Enter|F\d{1,2}|[A-Z]))+\b",
    re.IGNORECASE,
)
_ALONE, _END = r"(?<![\d.,:/–-])\b", r"\b(?![-–/:,.]\d)"
_ENGLISH: list[_Rule] = [
    (re.compile(rf"{_GROUPED}+,\d{{1,2}}(?![.,]?\d)|{_GROUPED}{{2,}}(?![.,]?\d)"), _european),
    (re.compile(r"(?<=[$£€])(\d+),(?=\d\d(?![.,]?\d))|(?<![\d.,])(\d+),(?=\d\d ?€)"), r"\1\2."),
    (re.compile(rf"(?<!\w)(?:US)?(?P<sign>[$£€¥]){_LOW}[-–](?P=sign)?{_AMOUNT}{_SCALE}{_PER_END}"), _money_range),
    (re.compile(rf"(?<!\w)(?:US)?(?P<sign>[$£€¥]){_AMOUNT}{_SCALE}{_PER_END}"), _money),
    (re.compile(rf"(?<![\d.,]){_AMOUNT}(?P<scale>) ?(?P<sign>[€£$]){_PER_END}"), _money),
    (DATE, lambda found: date_of(found) or found.group()),
    (re.compile(r"(?<![\w/.,-])(?:(9)/(?=11\b)|(24)/(?=7\b)|(50)/(?=50\b)|(20)/(?=20\b))(?!\d+/)"), r"\1\2\3\4 "),
    (re.compile(rf"{_ALONE}(\d{{1,3}}):(\d|(?<=\b1:)\d{{3,4}}){_END}"), _ratio),
    (re.compile(r"(?<=\d)/(?=(?:second|minute|hour|day|week|month|year|person)\b)"), " per "),
    (re.compile(r"(?<![\w.,$£€¥])(1[7-9]|20)(\d)0'?s\b"), _decade),
    (re.compile(r"(?<![\w.,$£€¥])'?()([2-9])0'?s\b"), _decade),
    (re.compile(rf"{_ALONE}(\d{{1,3}})[-–](?=\d{{1,3}}{_END})|{_ALONE}(\d{{4}})[-–](?=\d{{4}}{_END})"), r"\1\2 to "),
    (re.compile(rf"{_ALONE}((?:1[7-9]|20)\d\d)[-–](\d\d){_END}"), _year_range),
    (re.compile(rf"{_ALONE}(1[7-9])(\d\d){_END}"), _year),
    (re.compile(r"\bw/o\b"), "without"),
    (re.compile(r"(?<![\w/])w/ ?(?=\w)"), "with "),
    (_UNIT, _unit),
    (re.compile(r"(?<![\w/-])km/h(?!\w)"), "kilometers an hour"),
    (re.compile(r"(?<![\w/-])mph(?!\w)"), "miles an hour"),
    (re.compile(rf"(?<![\w.,/:-])(\d{{1,3}})[ -](?=(?:{_any(_FRACTIONS)})\b(?![\d/]))"), r"\1 and "),
    (re.compile(rf"(?<![\w.,/:-])(\d{{1,3}})[ -](\d{{1,2}})/({_any(_PARTS)})\b(?![\d/])"), _part),
    (re.compile(r"(?<=\d) ?(?=[½¼¾])"), " and "),
    (re.compile("[½¼¾]"), lambda found: _FRACTION_SIGNS[found.group()]),
    (re.compile(rf"(?<![\d.,/])\b(?:{_any(_FRACTIONS)})\b(?![\d/])"), lambda found: _FRACTIONS[found.group()]),
    (re.compile(r"#(?=\d)"), "number "),
    (re.compile(rf"(?<![\w.])({_any(_NUMBERED)})\. ?(?=\d)"), lambda found: f"{_NUMBERED[found[1]]} "),
    (re.compile(rf"(?<![\w.])({_any(_SHORT_MONTHS)})(?:\. ?| )(?=\d)"), lambda found: f"{_SHORT_MONTHS[found[1]]} "),
    (re.compile(r"(?:(?<=\d )|(?<=\b(?:in|of|by) ))(Jan|Mar)\.(?!\w)"), lambda found: _SHORT_MONTHS[found[1]]),
    (_KEY, _keys),
    (re.compile(r"(?<![\w.])(St|Dr)\.(?!\w)(?P<follows> [A-Z][\w']*)?"), _street),
    (re.compile(rf"(?<![\w.])({_any(_ABBREVIATIONS)})\.(?!\w)"), lambda found: _ABBREVIATIONS[found[1]]),
    (re.compile(r"(?<=[^\W\d_])/(?=[^\W\d_])"), " "),
    (re.compile(r"(?<=[^\W_²³])²(?!\w)"), " squared"),
    (re.compile(r"(?<=[^\W_²³])³(?!\w)"), " cubed"),
    (re.compile(r"(?<=[^\W\d_]) - (?=[^\W\d_])"), ", "),
]
