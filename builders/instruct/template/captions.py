"""What captions say: the categories that they name, how many of each, in which colour, and where they disagree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from builders.grounding.words import WordTable
from builders.instruct.template.english import words

_LONGEST = 4
"""Words in the longest entry of words.yaml."""

_BREAK = frozenset("of in on at with and or by to from near over under is are that which while as for . ,".split())


AFTER_NOUN = frozenset(
    "in on at with and or by to near next behind under over through along that who which while are of for from into is "
    "onto around inside outside above below beside between down up across against together out off as has have was "
    "were right alone there high low here . , ; :".split()
)
"""What stands after a noun that is no part of a longer one; a participle or a verb may too."""


@dataclass(frozen=True)
class Mention:
    """A category, or several where the word may mean any, as named at tokens start..end (excluded).

    `number`: what a numeral or the singular says, None where it is several and not said how many. `colour`: the one
    that stands before it, None without or with more than one. `part`: of a longer noun, such as "toothbrush holder".
    """

    categories: tuple[str, ...]
    word: str
    start: int
    end: int
    number: int | None
    colour: str | None
    part: bool


def tokens(caption: str) -> list[str]:
    """Lower-case words and the signs that end a part of a sentence."""
    return re.findall(r"[a-z0-9']+|[.,;:]", caption.lower().replace("-", " "))


def mentions(table: WordTable, caption: str) -> list[Mention]:
    """The categories that a caption names, from left to right, the longest words first ("teddy bear" is no bear)."""
    parts = tokens(caption)
    spans: list[tuple[int, int]] = []
    for end in range(1, len(parts) + 1):
        start = next((i for i in range(max(0, end - _LONGEST), end) if " ".join(parts[i:end]) in table.forms), None)
        if start is not None:
            while spans and spans[-1][0] >= start:
                spans.pop()
            spans.append((start, end))
    return [found for start, end in spans if (found := _mention(table, parts, start, end))]


def named_at_all(table: WordTable, captions: Sequence[str]) -> frozenset[str]:
    """Every category that any run of words could mean, also as part of a longer one ("toy train tracks": train)."""
    found: set[str] = set()
    for parts in map(tokens, captions):
        for end in range(1, len(parts) + 1):
            for start in range(max(0, end - _LONGEST), end):
                if match := table.forms.get(" ".join(parts[start:end])):
                    found.update(match.categories)
    return frozenset(found)


def _mention(table: WordTable, parts: Sequence[str], start: int, end: int) -> Mention | None:
    word = " ".join(parts[start:end])
    match = table.forms[word]
    colours = words()["colours"]
    if not match.categories or (word == "orange" and end < len(parts) and parts[end] not in _BREAK):
        return None
    before = list(_before(parts, start))
    tints = [part for part in before if part in colours]
    mixed = len(before) < start and parts[start - len(before) - 1] in ("and", ",") and bool(tints)
    colour = tints[0] if len(tints) == 1 and not mixed else None
    part = not match.plural and end < len(parts) and not _ends_noun(parts[end])
    return Mention(match.categories, word, start, end, _number(parts, start, before, match.plural), colour, part)


def _ends_noun(after: str) -> bool:
    return after in AFTER_NOUN or after.endswith(("ing", "ed", "ly")) or after in thirds()


@cache
def thirds() -> frozenset[str]:
    """The verbs of captions after one noun: "sits", "watches", "carries"."""
    return frozenset(
        verb[:-1] + "ies"
        if re.search(r"[^aeiou]y$", verb)
        else verb + ("es" if re.search(r"(s|x|z|ch|sh|o)$", verb) else "s")
        for verb in words()["verbs"]
    )


def _before(parts: Sequence[str], start: int) -> Iterator[str]:
    """Up to four words before a noun that belong to it, the nearest first."""
    for i in range(start - 1, max(-1, start - 5), -1):
        if parts[i] in _BREAK:
            return
        yield parts[i]
        if parts[i] in ("a", "an", "the"):
            return


def _number(parts: Sequence[str], start: int, before: Sequence[str], plural: bool) -> int | None:
    numbers: Mapping[str, int] = words()["numbers"]
    head = start - len(before) - 1
    of = list(parts[max(0, head - 3) : head]) if head > 0 and parts[head] == "of" else []
    told = [numbers[part] for part in [*before, *of] if part in numbers]
    if told:
        return told[0]
    if plural or set(words()["many"]) & {*before, *of}:
        return None
    return 1


@dataclass(frozen=True)
class Said:
    """What all captions of an image say of one category.

    `by`: the captions (their places) whose words are safely the category's own; `several`: how many of those
    mean more than one; `numbers`: how many each caption counts, None for several; `colours`: the colours given;
    `forms`: the words used; `other`: whether some of them are not its own; `numerals`: every number over one.
    """

    by: frozenset[int]
    several: int
    numbers: tuple[int | None, ...]
    colours: tuple[str, ...]
    forms: tuple[str, ...]
    other: bool
    numerals: frozenset[int]


def said_of(category: str, told: Sequence[Sequence[Mention]], own: frozenset[str]) -> Said:
    """`own`: the words that are safely the category's own."""
    by: set[int] = set()
    several = 0
    numbers: list[int | None] = []
    colours: list[str] = []
    forms: list[str] = []
    numerals: set[int] = set()
    for i, caption in enumerate(told):
        here = [mention for mention in caption if category in mention.categories and not mention.part]
        here = [mention for mention in here if mention.categories == (category,)] or here
        if not here:
            continue
        if any(mention.word in own for mention in here):
            by.add(i)
            own_here = [mention.number for mention in here if mention.word in own]
            several += set(own_here) != {1} or (category == "person" and len(own_here) > 1)
        counts = [mention.number for mention in here]
        numbers.append(None if None in counts else sum(number for number in counts if number))
        numerals.update(count for count in counts if count and count > 1)
        colours += [mention.colour for mention in here if mention.colour]
        forms += [mention.word for mention in here]
    return Said(
        frozenset(by),
        several,
        tuple(numbers),
        tuple(colours),
        tuple(forms),
        not own.issuperset(forms),
        frozenset(numerals),
    )


def sexes(caption: str) -> frozenset[str]:
    """Which of "he" and "she" a caption speaks of."""
    parts = set(tokens(caption))
    return frozenset(sex for sex, those in words()["sexes"].items() if parts & set(those))
