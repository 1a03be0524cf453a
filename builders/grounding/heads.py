"""The head noun of a noun chunk in the singular, as a name for what a box shows.

An English noun chunk ends with its head. The singular is by rule and a table, so that it needs no model: it is wrong
for a rare plural ("headaches"), and a name of no word then, never the name of another thing.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import dropwhile, takewhile

from builders.grounding.words import group_nouns, plurals, vocabulary

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
_MEMBERS = 4
"""Words after "a group of" among which its noun is looked for."""
_ENDS_AS_SINGULARS_DO = ("ss", "us", "is", "'s", "’s")


def head_noun(chunk: str, after: str = "") -> str:
    """The last word of a noun chunk, lower-cased, in the singular; of "a t-shirt" the part after the hyphen.

    `after`: what its expression says after it. "a group" with " of young people on skis" after it is a person: the
    first noun that is known there, or the last of several that follow each other ("of orange kites").
    """
    words = _words(chunk)
    head = singular(words[-1]) if words else chunk.strip().lower()
    if head not in group_nouns() or not (members := re.match(r"\s+of\b(.*)", after, re.DOTALL)):
        return head
    behind = map(singular, _words(members[1])[:_MEMBERS])
    known = takewhile(_is_thing, dropwhile(lambda word: not _is_thing(word), behind))
    return [head, *known][-1]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


def _is_thing(word: str) -> bool:
    return word in _known() and word not in group_nouns()


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
