"""Which texts can be spoken, and how those are written for a voice; a sample keeps the text as it was.

Two measures: what a reader would stumble over (code, addresses, markup, formulas) is rejected by `unspeakable`; what he
would say in other letters than it is written in ("$5", "Dr.", "1999") is written out by `spoken`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from builders.filters.measure import EMOJI, HTML, URL, script

MAX_CHARS = 5000
"""A longer text is no utterance: about 5 minutes of speech. What is looked for is looked for in so many at most."""
NUMBER_DIGITS = 12
"""More digits than this are no number that is said: a card's, an account's, a product's."""
WORD_LETTERS = 40
"""More letters than this without a space are no word, where words are parted by spaces."""

_SCRIPTS = {
    "arabic": "ar fa sd ug ur",
    "armenian": "hy hyw",
    "bengali": "as bn bpy",
    "cherokee": "chr",
    "cjk": "cmn hak yue zh",
    "cyrillic": "ba be bg cv kk ky mk nog ru tt uk",
    "devanagari": "hi kok mr ne",
    "ethiopic": "am ti",
    "georgian": "ka",
    "greek": "el grc",
    "gujarati": "gu",
    "gurmukhi": "pa",
    "hangul": "ko",
    "hebrew": "he",
    "hiragana katakana cjk": "ja",
    "kannada": "kn",
    "latin cyrillic": "bs sr",
    "malayalam": "ml",
    "myanmar": "my shn",
    "oriya": "or",
    "shavian": "en-shaw",
    "sinhala": "si",
    "tamil": "ta",
    "telugu": "te",
    "thai": "th",
}
"""Languages that are not written in Latin letters, of those that espeak-ng speaks."""
_SCRIPTS_OF = {code: frozenset(names.split()) for names, codes in _SCRIPTS.items() for code in codes.split()}
_UNMARKED = frozenset(("latin", "cyrillic", "greek", "cjk", "hiragana", "katakana", "hangul"))
_UNSPACED = frozenset(("cjk", "hiragana", "thai", "myanmar"))

_SAID = frozenset(".,;:!?'\"()-/&%$#@+=‘’‚“”„«»‹›–—…¿¡£€¥°×÷§©®™½¼¾²³")
_SAID_ELSEWHERE = frozenset("。，、！？；：「」『』《》（）〈〉・～،؟؛۔।॥·־׳״՞՜՛։၊။።፣፤፥፧")

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w")
_SCHEME = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,15}://|\b[\w-]{1,63}\.(?:edu|gov|info|tv)\b", re.IGNORECASE)
_CODE = re.compile(
    r"`|[{}]|\w_\w|\w\((?:\w+(?:, ?\w+)+)?\)|\w\.\w+\(|\b0x[0-9A-Fa-f]+|\b[A-Za-z]:\\"
    r"|\b[a-z]{2,}[A-Z][a-z]|\b(?:[A-Z][a-z]+){3,}\b"  # sumOfNumbers, BinarySearchTree; but iPhone, YouTube, macOS
    r"|[=!<>]=|[=-]>|<-|&&|\|\||::|:=|(?<!\bC)\+\+|[-+*/]=|/\*|//|\\|=\s*[\"'(\[]"
    r"|\b\w+\.(?:py|txt|json|csv|html?|css|php|cpp|exe|md|ya?ml|xml|sh|zip|pdf)\b"
    r"|(?:^|\s)(?:~|\.{1,2})?/\w+/"
)
_LATEX = re.compile(r"(?<![A-Za-z:])\\[A-Za-z(\[]|\^|\$[A-Za-z\\][^$]{0,200}\$|\$\$")
_MARKUP = re.compile(
    rf"{HTML.pattern}|^[ \t]*(?:#{{1,6}}[ \t]|[-+•>][ \t]|\d{{1,3}}[.)][ \t]|[a-zA-Z]\)[ \t])"
    r"|\|.*\||[*_\[\]]|~~|^[ \t]*(?:-{3,}|={3,})[ \t]*$",
    re.MULTILINE,
)
_PATTERNS = (
    *(("email", _EMAIL), ("url", URL), ("url", _SCHEME)),
    *(("latex", _LATEX), ("code", _CODE), ("markup", _MARKUP)),
)
_NUMBER = re.compile(r"\d(?:[-,.]?\d)*")
_WORD = re.compile(rf"[^\W\d_]{{{WORD_LETTERS + 1},}}")


def scripts_of(language: str) -> frozenset[str]:
    """The scripts, as builders.filters.measure.script names them, in which a language ("en-us", "ru") is written."""
    language = language.lower()
    if "-latn" in language:
        return frozenset(("latin",))
    return _SCRIPTS_OF.get(language) or _SCRIPTS_OF.get(language.partition("-")[0]) or frozenset(("latin",))


def unspeakable(text: str, language: str = "en", max_words: int | None = None) -> tuple[str, str] | None:
    """Why a voice of this language cannot speak the text, as a reason that is counted and what was found; or None.

    The first of: too_long (MAX_CHARS), email, url, latex, code, markup, several_lines, symbol, script, long_number,
    long_word, empty, too_long (`max_words`). White space around the text does not count.
    """
    text = unicodedata.normalize("NFC", text.strip())
    if len(text) > MAX_CHARS:
        return "too_long", f"{len(text)} characters; {MAX_CHARS} at most"
    return next(_objections(text, scripts_of(language), max_words), None)


def _objections(text: str, scripts: frozenset[str], max_words: int | None) -> Iterator[tuple[str, str]]:
    yield from _matches(text, _PATTERNS)
    lines = len(text.splitlines())
    if lines > 1:
        yield "several_lines", f"{lines} lines"
    yield from _matches(text, (("symbol", EMOJI),))
    for character in dict.fromkeys(text):
        if problem := _problem(character, scripts):
            yield problem
    for number in _NUMBER.findall(text):
        if (digits := sum(map(str.isdigit, number))) > NUMBER_DIGITS:
            yield "long_number", f"{digits} digits; {NUMBER_DIGITS} at most"
    if not scripts & _UNSPACED:
        yield from _matches(text, (("long_word", _WORD),))
    if not any(map(str.isalnum, text)):
        yield "empty", "no letter and no digit"
    if max_words is not None and (words := len(text.split())) > max_words:
        yield "too_long", f"{words} words; {max_words} at most"


def _matches(text: str, patterns: tuple[tuple[str, re.Pattern[str]], ...]) -> Iterator[tuple[str, str]]:
    for reason, pattern in patterns:
        if found := pattern.search(text):
            yield reason, found.group()[:40].strip()


def _problem(character: str, scripts: frozenset[str]) -> tuple[str, str] | None:
    if character in _SAID or character.isspace() or (character in _SAID_ELSEWHERE and scripts != {"latin"}):
        return None
    kind = unicodedata.category(character)
    if kind[0] == "L" and unicodedata.normalize("NFKC", character) == character:
        name = script(character)
        return None if name in scripts or not name else ("script", f"{name}: {character}")
    if (kind == "Nd" and character.isascii()) or (kind in ("Nd", "Mn", "Mc", "Cf") and not scripts <= _UNMARKED):
        return None
    return "symbol", f"U+{ord(character):04X} {unicodedata.name(character, kind)}"


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
