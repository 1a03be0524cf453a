"""The head noun of a noun chunk in the singular, as a name for what a box shows.

An English noun chunk ends with its head. The singular is by rule and a table, so that it needs no model: it is wrong
for a rare plural ("headaches"), and a name of no word then, never the name of another thing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from builders.grounding.words import determiners, group_nouns, phrase_ends, plurals, vocabulary

_AS_THEY_ARE = frozenset(
    "gas lens canvas atlas christmas news chess clothes pajamas pyjamas overalls thanks swiss texas las vegas".split()
)
_IN_IE = frozenset(
    """
        movie cookie pie tie selfie zombie hoodie smoothie brownie birdie calorie genie veggie pixie rookie necktie
        bowtie magpie auntie prairie collie goalie foodie indie barbie freebie doggie lassie laddie newbie bourgeoisie
    """.split()
)
_IN_OE = frozenset("shoe toe canoe hoe foe doe oboe tiptoe horseshoe snowshoe mistletoe".split())
_IN_CHE = frozenset("ache cache headache toothache moustache mustache quiche niche avalanche axe".split())
_SPECTACLES = {"glasses": "glass"}
"""Words that are another thing before "of": spectacles are of nothing."""
_MEMBERS = 8
"""Words after "a group of" among which its noun is looked for."""
_OF = re.compile(r"\s+of\b(.*)", re.DOTALL)
_TOKEN = re.compile(r"w(?:[wm]|j(?=w)|'(?=w))*|e[mt]*(?:je[mt]*)*|rr?|,")
"""By the kinds of characters, see `_kind`: a word, a symbol with what varies and joins it, a flag, a comma."""
_ENDS_AS_SINGULARS_DO = ("ss", "us", "is", "'s", "’s")


def head_noun(chunk: str, after: str = "") -> str:
    """The last word of a noun chunk, lower-cased, in the singular; of "a t-shirt" the part after the hyphen.

    `after`: what its expression says after it. "a group" with " of young people on skis" after it is a person, and "a
    cup" with " of coffee" a cup. Symbols, an emoji with all that it is joined of, are heads of chunks without other
    words. "" where nothing can be seen.
    """
    return _head(named_words(chunk, after), after)


def named_words(chunk: str, after: str = "") -> str:
    """The words that say what a noun chunk shows: its own, or of "a group of young people" the last two.

    A group's members end where a preposition, a verb or, after a noun, "and", a comma or a participle stands.
    """
    while _head(chunk, after) in group_nouns() and (of := _OF.match(after)):
        words, end = _members(of[1])
        if not words:
            break
        chunk, after = " ".join(words), of[1][end:]
    return chunk


def _head(chunk: str, after: str) -> str:
    words = [word for word, _ in _tokens(chunk) if word != ","]
    if all(word in determiners() for word in words if word[0].isalnum()):
        words = [word for word in words if not word[0].isalnum()] or words
    else:
        words = [word for word in words if word[0].isalnum()]
    if not words:
        return "".join(c for c in chunk.lower() if unicodedata.category(c)[0] not in "CZ")
    if words[-1] in _SPECTACLES and _OF.match(after):
        return _SPECTACLES[words[-1]]
    return singular(words[-1])


def _members(text: str) -> tuple[list[str], int]:
    """The words of the noun phrase at the start of a text, without determiners, and the character where they end."""
    words: list[str] = []
    at = 0
    for word, end in _tokens(text)[:_MEMBERS]:
        if word in phrase_ends():
            break
        if word in (",", "and", "or") or word.endswith(("ing", "ed")):
            if words and _is_noun(words[-1]):
                break
            if word in (",", "and", "or"):
                continue
        if word not in determiners() and not word[0].isdigit():
            words.append(word)
            at = end
    return words, at


def _is_noun(word: str) -> bool:
    """Whether it surely is one: known, or a plural."""
    return word in _known() or singular(word) != word


def _tokens(text: str) -> list[tuple[str, int]]:
    """Words, symbols and commas in lower case, each with where it ends."""
    kinds = "".join(map(_kind, text))
    return [(text[found.start() : found.end()].lower(), found.end()) for found in _TOKEN.finditer(kinds)]


def _kind(character: str) -> str:
    """w: of a word, m: varies the one before (an accent), j: joins, t: a skin tone, r: half a flag, e: a symbol."""
    category = unicodedata.category(character)
    if character.isalnum():
        return "w"
    if category[0] == "M":
        return "m"
    if character in "\u200c\u200d":
        return "j"
    if "\U0001f3fb" <= character <= "\U0001f3ff":
        return "t"
    if "\U0001f1e6" <= character <= "\U0001f1ff":
        return "r"
    if category == "So" and character > "\u2190":  # not ©, °, ™
        return "e"
    return {"’": "'", "'": "'", ",": ","}.get(character, " ")


@cache
def singular(word: str) -> str:
    """The singular of a lower-case noun; the word itself where it is one, or no rule tells."""
    if known := _known().get(word):
        return known
    if word in _AS_THEY_ARE or not word.endswith("s") or len(word) < 4 or word.endswith(_ENDS_AS_SINGULARS_DO):
        return word
    stem = word[:-1]
    if stem in _IN_IE | _IN_OE | _IN_CHE:
        return stem
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("oes", "ches", "shes", "sses", "xes", "zzes")):
        return word[:-2]
    return stem


@cache
def _known() -> dict[str, str]:
    """Every form of the nouns that words.yaml knows; a word that is a singular of its own stays one."""
    singulars = {word: word for word in vocabulary() if " " not in word}
    return {plural: word for word in singulars for plural in plurals(word)} | singulars
