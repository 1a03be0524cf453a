"""Answers without a language model: questions that the annotations decide, phrased in many ways. It never invents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from builders.dice import Dice
from builders.grounding.words import WordTable, load_words, plurals
from builders.instruct.context import Box
from builders.instruct.parse import Kind
from builders.instruct.template.certain import Certain, certain
from builders.instruct.template.english import noun, words
from builders.instruct.template.paragraph import paragraph
from builders.instruct.template.questions import Asked, questions
from builders.instruct.turns import Turn
from builders.step import Rejected

FEWEST, MOST = 2, 8
"""Turns of a conversation."""

TRIES = 20
"""How often a wording is drawn until it is one that the conversation does not have yet."""


@dataclass(frozen=True)
class Seen:
    """What the annotations tell of one image.

    `boxes`: without crowd regions. `crowds`: categories that have one, so that their number is unknown. `invalid`: some
    annotated box was no box, so that no number and no absence is certain.
    """

    captions: tuple[str, ...]
    boxes: tuple[Box, ...]
    crowds: frozenset[str] = frozenset()
    invalid: bool = False


class Template:
    """Composes turns; the same for the same (seed, kind, key)."""

    def __init__(self, categories: Sequence[str], synonyms: Mapping[str, Sequence[str]], seed: int) -> None:
        """`categories`: every one that the source can annotate; `synonyms`: further words -> categories.

        Raises ValueError where a synonym names a category that is not there.
        """
        self._table = load_words(categories, synonyms)
        self._own = {category: _own_words(category, self._table, synonyms) for category in categories}
        self._seed = seed

    def turns(self, seen: Seen, kind: Kind, key: str) -> list[Turn] | Rejected:
        """The turns about an image; of `detail` one, whose question asks for no more than the answer holds."""
        if kind == "complex":
            return Rejected("needs_a_model", "the annotations decide no question that takes reasoning")
        known = certain(seen.captions, seen.boxes, seen.crowds, seen.invalid, self._table, self._own)
        dice = Dice(self._seed, "template", kind, key)
        if kind == "detail":
            told = paragraph(known, dice)
            return [told] if told else Rejected("nothing_certain", "too little for a paragraph is certain")
        turns = list(_drawn(known, dice))
        if len(turns) < FEWEST:
            return Rejected("nothing_certain", f"{len(turns)} of the {FEWEST} questions that it takes can be answered")
        return turns


def _drawn(known: Certain, dice: Dice) -> Iterator[Turn]:
    """Up to a drawn number of questions, the commonest kinds first to be chosen; their order is drawn too.

    As many things that are there are asked for as things that are not, so that "yes" is no safer guess than "no".
    """
    wanted = FEWEST + 1 + dice.below(MOST - FEWEST)
    groups = questions(known, dice)
    yes, no = groups.pop("present"), groups.pop("absent")
    pairs = min(len(yes), len(no), 1 + dice.chance(0.4))
    order = dice.shuffled([(name, asked) for name, those in groups.items() for asked in those])
    first = [asked for name, asked in order if name in ("scene", "listing")]
    singles = first + [asked for name, asked in order if name not in ("scene", "listing")]
    while 2 * pairs > max(2, wanted - len(first)):
        pairs -= 1
    chosen: list[Asked] = [*yes[:pairs], *no[:pairs]]
    chosen += singles[: wanted - len(chosen)]
    mixed = dice.shuffled(chosen)
    if dice.chance(0.6):
        mixed.sort(key=lambda asked: asked.kind not in ("scene", "listing"))
    used: set[str] = set()
    for asked in mixed:
        turns = (asked.turn(dice) for _ in range(TRIES))
        turn = next((turn for turn in turns if turn.question not in used), None)
        if turn is not None:
            used.add(turn.question)
            yield turn


def _own_words(category: str, table: WordTable, synonyms: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Words that may be called by the category's name: the name, those of words.yaml, the user's own."""
    same: str | Sequence[str] = words()["same"].get(category, ())
    name = " ".join(category.lower().replace("_", " ").replace("-", " ").split())
    if same == "all":
        return frozenset(form for form, match in table.forms.items() if match.categories == (category,))
    called = noun(category)
    own = {name, *same, *(word.lower() for word, named in synonyms.items() if tuple(named) == (category,))}
    own |= {called.one} if called else set()
    return frozenset(form for word in own for form in (word, *plurals(word)))
