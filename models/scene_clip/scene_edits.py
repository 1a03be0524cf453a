"""True captions made false, by words alone: a trainer has shards, not the scenes that they were drawn from.

What may stand in for what is learned from the shards' own false captions (`truth_word`, "red>blue"). Captions are
lists of lower-case words and signs, which CLIP's tokenizer takes for the same as the sentence.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from itertools import combinations

Words = list[str]

_OVER, _UNDER = ("above", "over"), ("below", "under", "beneath")
DIRECTIONS: Mapping[str, tuple[str, ...]] = {
    "left": ("right",), "right": ("left",), **dict.fromkeys(_OVER, _UNDER), **dict.fromkeys(_UNDER, _OVER),
}  # fmt: skip
"""Words of place, and what is surely false where they are true."""
OPEN = frozenset({"near"})
"""What may be true beside another word of place: only the shards' own false captions know."""
ALIKE = {"over": "above", "under": "below", "beneath": "below"}
OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
BETWEEN_THEM = frozenset({"is", "are", "to", "the", "on"})
"""What may stand between a thing and the word of its place."""
SEVERAL = ("two", "three", "four")
ONE_OR_SEVERAL = "fish"


def split(caption: str) -> Words:
    """A caption's words and signs."""
    return re.findall(r"[a-z]+|[,.]", caption.lower())


def undone(words: Words, exchanged: str) -> Words | None:
    """The true caption that a false one was made of; None where the word is there twice, and either may be it."""
    old, new = exchanged.split(">")
    return _with(words, words.index(new), old) if words.count(new) == 1 else None


class Edits:
    """What can be exchanged, from (true word, false word) as the shards have them."""

    def __init__(self, seen: Iterable[tuple[str, str]]) -> None:
        pairs = {(old, new) for old, new in seen if old not in DIRECTIONS and not {old, new} & OPEN}
        self._others: dict[str, tuple[str, ...]] = dict(DIRECTIONS)
        for word in sorted({old for old, _ in pairs}):
            self._others[word] = tuple(sorted(new for old, new in pairs if old == word))
        self._things = {"cat"}
        for _ in range(3):  # what stands in for a cat, for that, and for that again: a kitten too, and cats
            self._things |= {new for word in self._things for new in self._others.get(word, ())}

    def runs(self, words: Words) -> list[range]:
        """Where the words that tell of one thing stand: "two small red cats". A background is a run of its own."""
        found: list[range] = []
        for i, word in enumerate(words):
            if word in self._others and word not in DIRECTIONS:
                if found and found[-1].stop == i:
                    found[-1] = range(found[-1].start, i + 1)
                else:
                    found.append(range(i, i + 1))
        return found

    def one_word(self, words: Words, chance: random.Random) -> Words | None:
        """A word exchanged for another of its kind; every word that can be is as likely as any other."""
        places = [i for i, word in enumerate(words) if word in self._others]
        for i in chance.sample(places, len(places)):
            others = self._fitting(words, i)
            if not others:
                continue
            edited = _with(words, i, chance.choice(others))
            told = [tuple(edited[k] for k in run[-2:]) for run in self.runs(edited)]
            if len(set(told)) == len(told):  # nobody says "a red ball beside a red ball"
                return edited
        return None

    def swapped(self, words: Words, chance: random.Random) -> Words | None:
        """Two things exchange their colours, sizes, counts, names or places, without a new word."""
        runs = self.runs(words)
        choices = [
            (i, j)
            for one, two in combinations(runs, 2)
            for i in one
            for j in two
            if self._exchangeable(words, i, j) and self._rest_differs(words, one, two, i, j)
        ]
        moved = self._moved(words, runs)
        if moved and (not choices or chance.random() < 0.25):
            return moved
        if not choices:
            return None
        i, j = chance.choice(choices)
        return _with(_with(words, i, words[j]), j, words[i])

    def placed(self, words: Words) -> set[str]:
        """Which thing lies where, as seen from the other: of "a cat over a ball", "cat above" and "ball below"."""
        things = [run for run in self.runs(words) if words[run[-1]] in self._things]
        for p, word in enumerate(words):
            if word in DIRECTIONS and words[p + 1 : p + 3] != ["a", "starry"]:
                after = [run for run in things if run.start > p]
                before = [run for run in things if run.stop <= p and BETWEEN_THEM.issuperset(words[run.stop : p])]
                subject = before[-1] if before else after[1] if len(after) > 1 else None
                if subject and after:
                    place = ALIKE.get(word, word)
                    return {f"{words[subject[-1]]} {place}", f"{words[after[0][-1]]} {OPPOSITE[place]}"}
        return set()

    def _fitting(self, words: Words, i: int) -> tuple[str, ...]:
        """What can stand in place of word `i`: several things for several."""
        others = self._others[words[i]]
        if words[i] not in self._things:
            return others
        several = _several(words, i)
        return tuple(other for other in others if other == ONE_OR_SEVERAL or other.endswith("s") == several)

    def _exchangeable(self, words: Words, i: int, j: int) -> bool:
        """Whether word `j` may stand for word `i` and the sentence be good English."""
        same_number = words[i] not in self._things or _several(words, i) == _several(words, j)
        return same_number and words[j] in self._others[words[i]]

    def _rest_differs(self, words: Words, one: range, two: range, i: int, j: int) -> bool:
        """Whether the things differ in something else: else "a red cat and a blue cat" would stay true."""
        return any(words[b] in self._others[words[a]] for a in one if a != i for b in two if b != j)

    def _moved(self, words: Words, runs: list[range]) -> Words | None:
        """Two things that a direction relates change places: "a cat above a duck", "a duck above a cat"."""
        things = [run for run in runs if words[run[-1]] in self._things]
        if len(things) != 2 or not set(words) & DIRECTIONS.keys():
            return None
        if any(not run.start or words[run.start - 1] not in ("a", "an") for run in things):
            return None  # of several things: the verb might no longer fit
        one, two = things
        moved = words[: one.start] + words[two.start : two.stop] + words[one.stop : two.start]
        return _articles(moved + words[one.start : one.stop] + words[two.stop :])


def _several(words: Words, i: int) -> bool:
    """Whether the phrase of word `i` tells of several."""
    return any(word in SEVERAL for word in words[max(0, i - 3) : i])


def _with(words: Words, i: int, word: str) -> Words:
    return _articles([*words[:i], word, *words[i + 1 :]])


def _articles(words: Words) -> Words:
    """The same with "a" and "an" as the next word wants them."""
    return [
        ("an" if after[:1] in tuple("aeiou") else "a") if word in ("a", "an") else word
        for word, after in zip(words, [*words[1:], ""], strict=True)
    ]
