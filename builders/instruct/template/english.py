"""Categories in English sentences: one of them, several of them, with an article or a number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from builders.grounding.words import plurals

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_VOWEL = re.compile(r"(?!uni|use|usu|eu|one\b|ukulele|ute)[aeiou]|hour|honest|heir|mp3|x-ray", re.IGNORECASE)
_NAME = re.compile(r"[a-z]+(?: [a-z]+)*")


@dataclass(frozen=True)
class Noun:
    """`one` and `several` without an article; `mass` is stuff that is not counted ("some broccoli")."""

    one: str
    several: str
    mass: bool = False
    uncounted: str = ""

    @property
    def some(self) -> str:
        """Several of them, nobody says how many: "ovens", "scissors"."""
        return self.uncounted or self.several

    @property
    def a(self) -> str:
        """With its indefinite article: "an oven", "some broccoli"."""
        return f"some {self.one}" if self.mass else f"{article(self.one)} {self.one}"

    @property
    def any(self) -> str:
        """As in a question: "an oven", "any broccoli"."""
        return f"any {self.one}" if self.mass else self.a

    def counted(self, number: int) -> str:
        """ "one oven", "three ovens"."""
        return f"{NUMBERS[number]} {self.one if number == 1 else self.several}"


def noun(category: str) -> Noun | None:
    """The noun of a category, or None where no rule tells its English for certain (a plural of an unknown word)."""
    name = " ".join(category.replace("_", " ").split())
    known: Mapping[str, Sequence[str]] = words()["called"]
    if found := known.get(name.lower()):
        return Noun(found[0], found[1], uncounted="".join(found[2:]))
    name = name.lower()
    if name.rsplit(" ", 1)[-1] in words()["mass"]:
        return Noun(name, name, mass=True)
    if not _NAME.fullmatch(name) or re.search(r"(?<!s)s$|ing$", name) or len(forms := plurals(name)) != 1:
        return None
    return Noun(name, next(iter(forms)))


def article(words: str) -> str:
    """ "a" or "an", by how the word is said."""
    return "an" if _VOWEL.match(words) else "a"


def listed(parts: Sequence[str]) -> str:
    """ "a cat", "a cat and a dog", "a cat, a dog and a bed"."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def capital(text: str) -> str:
    """The first letter as a capital; the others stay."""
    return text[:1].upper() + text[1:]


@cache
def words() -> dict[str, Any]:
    """What words.yaml holds."""
    return _read("words.yaml")


@cache
def phrases() -> dict[str, Any]:
    """What phrases.yaml holds."""
    return _read("phrases.yaml")


def _read(name: str) -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return table
