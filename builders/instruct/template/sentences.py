"""Captions as parts of good sentences, or not at all: what no rule reads for certain is not used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from builders.grounding.words import WordTable
from builders.instruct.quality import broken
from builders.instruct.template.captions import AFTER_NOUN, thirds, tokens
from builders.instruct.template.english import article, words
from builders.instruct.turns import Turn

Form = Literal["fragment", "sentence"]

_LEAD = re.compile(
    r"^(?:this is |here is |it is |there is )?(?:an? |the )?"
    r"(?:(?:digital|color|colour|blurry|cartoon|computer generated|cgi) )?"
    r"(?:picture|photo|photograph|image|shot|snapshot)"
    r" (?:of|with|showing|shows|that shows) (?=\w)"
    r"|^(?:we (?:can )?see|just) (?=\w)"
    r"|^(?:an? |the )?(?:close[- ]?up|(?:top|side|aerial|close|overhead|close[- ]up) (?:view|shot))"
    r"(?: view| shot)? of (?=\w)",
    re.IGNORECASE,
)
_SHORTEST, _LONGEST = 5, 26
"""Words of a caption that is taken up: shorter ones tell little, longer ones are seldom good English."""

_UNFIT = re.compile(
    r" [,']|[\"?!()\[\]{}<>;:/#*~_\d]|[^\x20-\x7e]|\b(?:i|we|my|our|me|us|you|your|it's|lol|etc"  # signs, chatter
    r"|unknown|maybe|probably|perhaps|beautiful|cute|pretty|ghost|like"  # opinions, guesses
    r"|caption|photos?|images?|pictures?|camera|photographer"  # about the photo, not of what it shows
    r"|along side|a lots|a top|infront|looking of|(?:with|of|and) \w+ed and|males?|females?|persons)\b",  # bad English
    re.IGNORECASE,
)
_LYING = re.compile(r"\b([Ll])aying (?=down|on|in|next|near|under|beside|across|against|by|at|together)")

_OPENERS = frozenset("that which who where while as because when whose what if".split())
_FINITE = frozenset("is are was were has have had".split())
_DOUBTFUL = frozenset("set cut put hit read come run line race cover can will could like".split())
"""After a plural, a verb or something else."""
_PAST = frozenset("sat stood flew took went ran rode held wore ate lay got made came hung drove caught threw".split())
_ANIMALS = frozenset("bird cat dog horse sheep cow elephant bear zebra giraffe".split())
_HUMAN = frozenset(
    "preparing cooking wearing holding reading talking using making cutting serving working writing riding".split()
)
"""What animals do not do: after one, it is said of somebody else."""

_PREPOSITIONS = frozenset("across as towards besides is has was its this".split())
_SEVERAL = frozenset("group number couple lot bunch variety crowd pair handful majority herd flock".split())
_WITHOUT = frozenset("with to of near by on in".split())
_NOUN_TOO = frozenset(
    "sails waves plays looks rides stands walks parks rests cuts hits lines races dances shows displays faces lands "
    "watches flies drinks catches drives runs covers fills leaves checks works talks smiles sets reads puts "
    "turns".split()
)
"""After anything but a noun that is known, these may be nouns."""

_BEFORE_NOUN = frozenset(
    "a an the of in on at with and or by to from near over under his her its their some several many two three four "
    "five six seven no for into onto behind beside between other different various all".split()
)


def sentence(table: WordTable, caption: str) -> tuple[Form, str] | None:
    """A caption as a noun phrase or as a whole sentence, its first letter small and no full stop; None in doubt."""
    text = " ".join(caption.split()).rstrip(" .,")
    if sum(letter.isupper() for letter in text) > len(text) / 2:
        text = text.lower()
    text = _LEAD.sub("", text)
    text = re.sub(r"\btv\b", "TV", _LYING.sub(lambda found: found[1] + "ying ", text))
    parts = tokens(text)
    if (
        not _SHORTEST <= len(parts) <= _LONGEST
        or not (parts[0] in words()["starts"] or _plural(table, parts[0]))
        or _UNFIT.search(text)
    ):
        return None
    if "." in parts or parts.count("with") > 1 or not _sound(table, parts) or broken([Turn("", text)]):
        return None
    form = _form(table, parts)
    return form and (form, text[0].lower() + text[1:])


def _sound(table: WordTable, parts: Sequence[str]) -> bool:
    """No "a dogs", "two dog", "a apple" or "the the"."""
    several = {name for name, number in words()["numbers"].items() if number > 1} - {"couple", "pair", "trio"}
    several |= {"several", "many", "multiple", "various", "few", "these", "those"}
    for i in range(len(parts) - 1):
        this, after = parts[i], parts[i + 1]
        if this == after or (this in ("a", "an") and this != article(after) and after != "x"):
            return False
        if this in ("a", "an", "single", "another") and _plural(table, after):
            return False
        if this in several and any(_singular(table, word) for word in parts[i + 1 : i + 3]):
            return False
        if this == "of" and parts[i - 1] in ("couple", "group", "herd", "bunch", "pair") and _singular(table, after):
            return False
        if (after in _HUMAN and _is(table, this, _ANIMALS)) or (
            after == "looking" and not _alive(table, parts[: i + 1])
        ):
            return False
        if _singular(table, this) and after in words()["verbs"]:  # "a dog stand"
            return False
        if this in _WITHOUT and (after in words()["countable"] or _bare(table, parts, i + 1)):
            return False
        if (_plural(table, this) and after in ("is", "has")) or (_singular(table, this) and after in ("are", "have")):
            nearer = parts[max(0, i - 8) : i]
            if not {"of", "and", "with", "that", "on", "in", "by"} & set(nearer):
                return False
    return True


def _is(table: WordTable, word: str, categories: frozenset[str]) -> bool:
    match = table.forms.get(word)
    return match is not None and bool(categories & set(match.categories))


def _alive(table: WordTable, parts: Sequence[str]) -> bool:
    return any(_is(table, word, _ANIMALS | {"person"}) for word in parts)


def _bare(table: WordTable, parts: Sequence[str], at: int) -> bool:
    """A thing that is counted, without its article ("on skateboard"); no part of a longer noun ("on train tracks")."""
    pair = " ".join(parts[at : at + 2])
    word, after = (pair, at + 2) if " " in pair and pair in table.forms else (parts[at], at + 1)
    ended = after == len(parts) or parts[after] in AFTER_NOUN or parts[after].endswith("ing")
    return _singular(table, word) and word not in words()["mass"] and word not in ("bed", "toilet") and ended


def _form(table: WordTable, parts: Sequence[str]) -> Form | None:
    if parts[0] in ("there", "this", "these"):
        return "sentence" if parts[1] in ("is", "are") else None
    pending = 0
    for i in range(1, len(parts)):
        this, last = parts[i], parts[i - 1]
        if this in _PAST or (this in _DOUBTFUL and _plural_like(table, last)):
            return None
        if this in _OPENERS:
            pending += 1
        elif this in _NOUN_TOO and last not in _BEFORE_NOUN and not _singular(table, last):
            return None
        elif this in _FINITE or _verb(table, this, last):
            if this in table.forms and this not in _FINITE:
                return None
            if not pending:
                return "sentence" if _agrees(parts, i) else None
            pending -= 1
        elif _unknown_verb(table, this, last) or _takes_object(this, parts[i + 1 : i + 2]):
            return None
    return None if pending and parts[-1] in _OPENERS else "fragment"


def _unknown_verb(table: WordTable, word: str, last: str) -> bool:
    """Whether a word may be a verb that no table holds."""
    if _singular(table, last):
        return word.endswith("s") and not word.endswith("ss") and word not in table.forms
    return _plural(table, last) and not word.endswith(("ing", "ed", "en", "ly")) and word not in AFTER_NOUN


def _takes_object(word: str, after: Sequence[str]) -> bool:
    """Whether a word is likely a verb that no table holds, as an article comes next ("congratulates a worker")."""
    return (
        word.endswith(("s", "ed")) and word not in _PREPOSITIONS and after in (["a"], ["an"], ["the"], ["his"], ["her"])
    )


def _agrees(parts: Sequence[str], at: int) -> bool:
    """No "a stack of suitcases are": in good English only some words for several take a verb of several."""
    if parts[0] not in ("a", "an", "the", "one") or "of" not in parts[1:5]:
        return True
    head = parts[parts.index("of") - 1]
    return (
        head in _SEVERAL
        or head.endswith("s")
        or (parts[at] not in ("are", "have") and parts[at] not in words()["verbs"])
    )


def _verb(table: WordTable, word: str, last: str) -> bool:
    """Whether a word is a verb in the present after what stands before it."""
    if last in _BEFORE_NOUN:
        return False
    if word in thirds():
        return True
    return word in words()["verbs"] and _plural_like(table, last)


def _plural_like(table: WordTable, word: str) -> bool:
    return _plural(table, word) or (word.endswith("s") and not word.endswith("ss") and len(word) > 3)


def _plural(table: WordTable, word: str) -> bool:
    match = table.forms.get(word)
    return match is not None and match.plural and word.endswith(("s", "people", "men", "children", "mice", "geese"))


def _singular(table: WordTable, word: str) -> bool:
    match = table.forms.get(word)
    same = (
        "sheep",
        "skis",
        "scissors",
        "fish",
        "deer",
        "aircraft",
        "broccoli",
        "glasses",
        "cattle",
        "luggage",
        "orange",
    )
    return match is not None and not match.plural and word not in same
