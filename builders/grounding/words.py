"""Which category a caption's words mean: words.yaml, made into a table that is looked up by the end of a noun chunk.

The boxes of an annotated set carry category names ("person", "couch"), captions carry words ("two skiers", "the sofa").
A lemmatizer would need a model and still not know that a skier is a person. A readable table, with every plural written
out when it is loaded, needs no model, gives the same answer everywhere, and is mended by editing a line.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Match:
    """The categories that a chunk may be, as the user spells them, and whether the words mean several of them.

    `plural` is False where the words do not tell ("sheep", "skis", "scissors"): ask the tagger and the numerals.
    """

    categories: tuple[str, ...]
    plural: bool


@dataclass(frozen=True)
class WordTable:
    """Every singular and plural that is known; one without categories is known to be something else."""

    forms: Mapping[str, Match]
    groups: frozenset[str]

    def match(self, words: Sequence[str]) -> Match | None:
        """What a chunk means, given its words up to and including its head noun: the longest known ending decides."""
        parts = _plain(" ".join(words)).split()
        for start in range(len(parts)):
            if found := self.forms.get(" ".join(parts[start:])):
                return found if found.categories else None
        return None

    def is_group(self, word: str) -> bool:
        """Whether the noun stands for several of what follows "of". Ask this first: "a crowd of birds" is no people."""
        return _plain(word) in self.groups


def load_words(categories: Collection[str], extra: Mapping[str, Sequence[str]] | None = None) -> WordTable:
    """The table for the categories of one set of boxes.

    A category's own name always means it. `extra`, the user's own synonyms (word -> categories), replaces what
    words.yaml says of a word; no categories silence it. Words of categories that the user lacks stay as words that
    match nothing, so that "hot dog" is no dog where only dogs are boxed.
    """
    spelled: dict[str, set[str]] = defaultdict(set)
    for category in categories:
        spelled[_plain(category)].add(category)
    table = _table()
    meanings: dict[str, set[str]] = {_plain(word): set() for word in table["never"]}
    collective: set[str] = set()
    for category, entry in table["categories"].items():
        name, several = _plain(category), [_plain(word) for word in entry.get("collective", ())]
        for word in (name, *map(_plain, entry["words"]), *several):
            meanings.setdefault(word, set()).update(spelled.get(name, ()))
        collective.update(word for word in several if word == name or word not in spelled)
    own = {name: set(names) for name, names in spelled.items()}
    for word, named in (extra or {}).items():
        own.setdefault(_plain(word), set()).update(*(_spellings(category, word, spelled) for category in named))
    for form in _with_plurals(own):  # "glasses" are not several glasses, unless "glass" is a category
        meanings.pop(form, None)
    return WordTable(_forms(meanings | own, collective), frozenset(_with_plurals(map(_plain, table["groups"]))))


def known_categories() -> list[str]:
    """The categories that words.yaml has words for: COCO's."""
    return list(_table()["categories"])


@cache
def group_nouns() -> frozenset[str]:
    """The nouns, in the singular, that stand for several of what follows "of": group, pair, herd."""
    return frozenset(map(_plain, _table()["groups"]))


@cache
def determiners() -> frozenset[str]:
    """Words before a noun that name nothing: the, several, two."""
    return frozenset(_table()["determiners"])


@cache
def phrase_ends() -> frozenset[str]:
    """Words at which a noun phrase ends: of, on, who, are."""
    return frozenset(_table()["ends_noun_phrase"])


def vocabulary() -> list[str]:
    """Every noun that words.yaml knows, in the singular: category names, their words, groups, irregular ones."""
    table = _table()
    entries = table["categories"].items()
    named = (word for name, entry in entries for word in (name, *entry["words"], *entry.get("collective", ())))
    irregular = (word.removeprefix("-") for word in table["irregular_plurals"])
    return list(dict.fromkeys(map(_plain, (*named, *table["groups"], *irregular))))


def plurals(words: str) -> frozenset[str]:
    """The plurals of a noun, or of a phrase that ends in one: several where people write several."""
    before, space, last = words.rpartition(" ")
    irregular: Mapping[str, Sequence[str]] = _table()["irregular_plurals"]
    for start in range(len(last)):  # the longest entry first
        stem, ending = last[:start], last[start:]
        if found := irregular.get("-" + ending) or (not stem and irregular.get(ending)):
            return frozenset(before + space + stem + plural.removeprefix("-") for plural in found)
    return frozenset(before + space + plural for plural in _regular(last))


def _regular(noun: str) -> tuple[str, ...]:
    after_consonant = len(noun) > 1 and noun[-2] not in "aeiou"
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return (noun + "es",)
    if noun.endswith("y") and after_consonant:
        return (noun[:-1] + "ies",)
    if noun.endswith("o") and after_consonant:
        return noun + "s", noun + "es"  # flamingos, flamingoes: both are written
    return (noun + "s",)


def _forms(meanings: Mapping[str, set[str]], collective: Collection[str]) -> dict[str, Match]:
    """A form that is also a word of its own keeps that word's meaning: "sheep" does not tell that it is several."""
    several: dict[str, set[str]] = defaultdict(set)
    for word, meant in meanings.items():
        for plural in plurals(word) - meanings.keys():
            several[plural].update(meant)
    forms = {word: Match(tuple(sorted(meant)), plural=word in collective) for word, meant in meanings.items()}
    return forms | {form: Match(tuple(sorted(meant)), plural=True) for form, meant in several.items()}


def _with_plurals(words: Iterable[str]) -> set[str]:
    return {form for word in words for form in (word, *plurals(word))}


def _spellings(category: str, word: str, spelled: Mapping[str, set[str]]) -> set[str]:
    if names := spelled.get(_plain(category)):
        return names
    known = ", ".join(sorted(name for names in spelled.values() for name in names))
    raise ValueError(f"the synonym {word!r} names {category!r}, which the boxes do not have; their categories: {known}")


def _plain(name: str) -> str:
    """Lower case, with hyphens and underscores as spaces: how names and words are compared."""
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))
    return table
