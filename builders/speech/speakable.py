"""Which texts can be spoken: what a reader would stumble over (code, addresses, markup, formulas) is rejected.

What he would say in other letters than it is written in ("$5", "Dr.", "1999") is written out (written_out.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from builders.filters.measure import EMOJI, HTML, URL, script
from builders.speech.written_out import DATE, EUROPEAN, date_of, is_english

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

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.\w")
_SCHEME = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,15}://|\b[\w-]{1,63}\.(?:edu|gov|info|tv)\b", re.IGNORECASE)
_CODE = re.compile(
    r"`|[{}]|\w_\w|\w\((?:\w+(?:, ?\w+)+)?\)|\w\.\w+\(|\b0x[0-9A-Fa-f]+|\b[A-Za-z]:\\"
    r"|\b[a-z]{2,}[A-Z][a-z]|\b(?:[A-Z][a-z]+){3,}\b"  # sumOfNumbers, BinarySearchTree; but iPhone, YouTube, macOS
    r"|[=!<>]=|[=-]>|<-|&&|\|\||::|:=|(?<!\bC)\+\+|[-+*/]=|/\*|//|\\|=\s*[\"'(\[]"
    r"|(?:^|\s)(?:~|\.{1,2})?/\w+/"
    r"|\b[A-Za-z]\w* ?= ?[^\s;]{1,40};"
    r"|(?<!\w)\$[A-Za-z]|(?<![\d%])%(?:\.\d+)?[dsfxi]\b"
    r"|\b(?:a?sin|a?cos|a?tan|log|ln|exp|sqrt|max|min|abs|len|print|[fghpPO])\([\w, +*/.-]{1,40}\)|\w\([^()]{0,40}\) ?="
)
_FILE = re.compile(
    r"\b\w+\.(?:py|txt|json|csv|html?|css|php|cpp|exe|md|ya?ml|xml|sh|zip|pdf|rs|ts|[jt]sx|java|rb|kt|swift|sql|ipynb|lua"
    r"|toml|ini|cfg|log|bat|ps1|dll|jar|lock|docx?|xlsx?|pptx?|png|jpe?g|gif|svg|mp[34]|wav|tar|gz|tex|hpp|cs|vue)\b"
    r"|\bmain\.(?:c|h|go)\b|\b(?!(?:node|vue|react|next|nuxt|three|d3|ember|express|angular)\.)\w+\.js\b",
    re.IGNORECASE,
)
_AFTER_DASH = (
    "and|are|as|at|but|for|he|her|his|if|in|is|it|no|not|of|on|or|she|so|that|the|they|this|to|was|we|with|you"
)
"""Words that follow a dash in prose; what else follows two hyphens is a flag."""
_COMMAND = re.compile(
    r"\bSELECT\b[^.?!]{0,200}\bFROM\b|\b(?:INSERT INTO|DELETE FROM|(?:CREATE|DROP|ALTER) TABLE)\b"
    r"|\bsudo (?:apt|yum|dnf|pacman|rm|nano|vim?|systemctl|service|ch(?:mod|own)|mkdir|pip|npm|docker|snap|make)\b"
    r"|\bapt(?:-get)? (?:install|update|upgrade|remove)\b|\b(?:pip3?|npm|brew|conda|cargo) (?:install|run|build)\b"
    rf"|(?:^|\s)(?:--(?!(?:{_AFTER_DASH})\b)[a-z]{{2,}}[\w-]*(?=[\s=.,;:?!]|$)|-[B-HJ-Zb-z](?=\s|$))"
)
_LATEX = re.compile(r"(?<![A-Za-z:])\\[A-Za-z(\[]|\^|\$[A-Za-z\\][^$]{0,200}\$|\$\$")
_FACTORIAL = re.compile(
    r"\d!(?=\s*[=+*/×÷,]|\s+[a-z])|\b(?:[Cc]ompute|[Cc]alculate|[Ee]valuate|[Vv]alue of|[Ww]hat is|[Ww]hat's) \d+!"
)
_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)")
_MARKUP = re.compile(
    rf"{HTML.pattern}|^[ \t]*(?:#{{1,6}}[ \t]|[-+•>][ \t]|\d{{1,3}}[.)][ \t]|[a-zA-Z]\)[ \t])"
    r"|\|.*\||[*_\[\]]|~~|^[ \t]*(?:-{3,}|={3,})[ \t]*$",
    re.MULTILINE,
)
_PATTERNS = (
    *(("email", _EMAIL), ("url", URL), ("url", _SCHEME), ("url", _ADDRESS)),
    *(("latex", _LATEX), ("latex", _FACTORIAL)),
    *(("code", _CODE), ("code", _FILE), ("code", _COMMAND), ("markup", _MARKUP)),
)
_NUMBER = re.compile(r"\d(?:[-–,.]?\d| \d\d)*")
"""Groups of digits that are parted by a space count as one number, but not digits that stand alone: 1 2 3 4."""
_WORD = re.compile(rf"[^\W\d_]{{{WORD_LETTERS + 1},}}")


def scripts_of(language: str) -> frozenset[str]:
    """The scripts, as builders.filters.measure.script names them, in which a language ("en-us", "ru") is written."""
    language = language.lower()
    if "-latn" in language:
        return frozenset(("latin",))
    return _SCRIPTS_OF.get(language) or _SCRIPTS_OF.get(language.partition("-")[0]) or frozenset(("latin",))


def unspeakable(text: str, language: str = "en", max_words: int | None = None) -> tuple[str, str] | None:
    """Why a voice of this language cannot speak the text, as a reason that is counted and what was found; or None.

    The first of: too_long (MAX_CHARS), email, url, latex, code, markup, several_lines, symbol, script, date and
    number (of which the English reading is not clear: 5/6/2020, €1.000), long_number, long_word, empty, too_long
    (`max_words`). White space around the text does not count.
    """
    text = unicodedata.normalize("NFC", text.strip())
    if len(text) > MAX_CHARS:
        return "too_long", f"{len(text)} characters; {MAX_CHARS} at most"
    return next(_objections(text, language, max_words), None)


def _objections(text: str, language: str, max_words: int | None) -> Iterator[tuple[str, str]]:
    scripts = scripts_of(language)
    yield from _matches(text, _PATTERNS)
    lines = len(text.splitlines())
    if lines > 1:
        yield "several_lines", f"{lines} lines"
    yield from _matches(text, (("symbol", EMOJI),))
    for character in dict.fromkeys(text):
        if problem := _problem(character, scripts):
            yield problem
    if is_english(language):
        yield from (("date", found.group()) for found in DATE.finditer(text) if date_of(found) is None)
        yield from _matches(text, (("number", EUROPEAN),))
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
