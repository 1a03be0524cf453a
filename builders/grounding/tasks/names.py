"""What an image surely shows, and what it may not be asked about as absent.

Things are the categories of a word table (builders/grounding/words.py), so that a man and a skier are persons on both
sides of a question. An image "shows" what its boxes hold. "Never absent" is far more: every category that any word of
its captions could mean, or that is usual where a word of them places the scene (tasks/company.yaml).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from builders.grounding.heads import singular
from builders.grounding.words import WordTable

_LONGEST = 4
"""Words of a name, at most."""


@dataclass(frozen=True)
class Named:
    """Categories by name: those that boxes show, in order, and those that may not be called absent."""

    shown: tuple[str, ...]
    never_absent: frozenset[str]


@dataclass(frozen=True)
class Names:
    """Finds categories in words. `table` comes from `load_words`."""

    table: WordTable
    _company: Mapping[str, frozenset[str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        company = {word: frozenset(self._spelled(with_it)) for word, with_it in _usual_company().items()}
        object.__setattr__(self, "_company", company)

    def _spelled(self, things: Iterable[str]) -> Iterator[str]:
        """The categories that things of company.yaml are, as the user spells them."""
        for thing in things:
            if match := self.table.forms.get(thing):
                yield from match.categories

    def of(self, captions: Iterable[str], chunks: Iterable[str], boxed: Iterable[str]) -> Named:
        """What `captions` of one photo, its boxed noun chunks, and the categories of annotated boxes come to.

        A chunk that may be of several categories shows none of them for certain.
        """
        sure = [*(name for chunk in chunks if len(found := self.meant(chunk)) == 1 for name in found), *boxed]
        maybe = {name for caption in captions for name in self.possible(caption)}
        return Named(tuple(dict.fromkeys(sure)), frozenset(maybe.union(sure)))

    def meant(self, chunk: str) -> tuple[str, ...]:
        """The categories that a noun chunk may be of, by its longest known ending."""
        found = self.table.match(_words(chunk))
        return found.categories if found else ()

    def possible(self, caption: str) -> set[str]:
        """Every category that a run of the caption's words could mean, or that is usual company of one of them."""
        words = _words(caption)
        found: set[str] = set()
        for start in range(len(words)):
            for end in range(start + 1, min(start + _LONGEST, len(words)) + 1):
                run = " ".join(words[start:end])
                match = self.table.forms.get(run)
                found.update(match.categories if match else ())
                found.update(self._company.get(run, ()))
            found.update(self._company.get(singular(words[start]), ()))
        return found


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


@cache
def _usual_company() -> dict[str, frozenset[str]]:
    """For each word of company.yaml the categories that may well be there, too."""
    data: list[dict[str, Sequence[Any]]] = yaml.safe_load(
        Path(__file__).with_name("company.yaml").read_text(encoding="utf-8")
    )
    company: dict[str, frozenset[str]] = {}
    for group in data:
        for word in group["words"]:
            company[word] = company.get(word, frozenset()) | frozenset(group["with"])
    return company
