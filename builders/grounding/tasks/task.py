"""What a task is, and the phrases that one can be about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from builders.grounding.tokens import Phrase

_DETERMINERS = frozenset(
    """
        a an the some several many few this that these those his her its their my our your both all another each every
        one two three four five six seven eight nine ten
    """.split()
)


@dataclass(frozen=True)
class Task:
    """What a model is given and what it shall say: the text is both, one after the other, the loss is on `target`."""

    name: str
    prompt: str
    target: str


@dataclass(frozen=True)
class Referring:
    """A phrase as it stands in the middle of a sentence, and where it is."""

    words: str
    phrase: Phrase


def unique(caption: str, phrases: Sequence[Phrase]) -> list[Referring]:
    """The phrases that the caption says once: "a dog and a dog" refers to neither, whether or not both have a box."""
    all_words = [inner(caption[phrase.start : phrase.end]) for phrase in phrases]
    pairs = zip(all_words, phrases, strict=True)
    return [Referring(words, phrase) for words, phrase in pairs if _times(words, caption) == 1]


def _times(words: str, caption: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(words.casefold())}(?!\w)", caption.casefold()))


def inner(words: str) -> str:
    """The words with the capital of a caption's beginning taken off where it belongs to no name: "A dog", "a dog"."""
    first, space, rest = words.partition(" ")
    return f"{first.lower()}{space}{rest}" if first.istitle() and first.lower() in _DETERMINERS else words
