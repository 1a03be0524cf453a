"""English captions of a scene. A caption keeps what each of its words tells, so that edits.py can exchange it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builders.dice import Dice
from builders.sources.scenes import lexicon
from builders.sources.scenes.meaning import OPPOSITE, Meaning, Phrase, Place, between, lies
from builders.sources.scenes.world import AIRBORNE, Item, Scene


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a fixed phrase; `role` is what it tells (of phrase `of`, where it tells of one)."""

    text: str
    role: str = ""
    of: int = -1


@dataclass(frozen=True, slots=True)
class Caption:
    """`sentence`: with a capital and a full stop."""

    words: tuple[Word, ...]
    meaning: Meaning
    sentence: bool

    @property
    def text(self) -> str:
        texts = [word.text for word in self.words]
        for i in range(len(texts) - 1):
            if texts[i] == "a" and texts[i + 1][0] in "aeiou":
                texts[i] = "an"
        text = " ".join(texts).replace(" ,", ",")
        return text[0].upper() + text[1:] + "." if self.sentence else text


def caption(scene: Scene, dice: Dice) -> Caption:
    """One true caption: some or all of the things, with or without a place and the background."""
    return word(mean(scene, dice), dice)


def captions(scene: Scene, dice: Dice, count: int = 5) -> list[Caption]:
    """Up to `count` true captions that differ from each other."""
    found: dict[str, Caption] = {}
    for _ in range(3 * count):
        new = caption(scene, dice)
        found.setdefault(new.text, new)
        if len(found) == count:
            break
    return list(found.values())


# ---- what to say -----------------------------------------------------------------------------------------------------


def mean(scene: Scene, dice: Dice) -> Meaning:
    """Claims that are all true of the scene."""
    kinds: dict[tuple[str, str, str], list[Item]] = {}
    for item in scene.items:
        kinds.setdefault((item.thing, item.colour, item.size), []).append(item)
    told = dice.shuffled(list(kinds))
    if len(told) > 1 and dice.chance(0.3):
        told = told[: max(1, min(2, len(told) - 1))]
    things = [thing for thing, _, _ in kinds]
    phrases = []
    for kind in told:
        thing, colour, size = kind
        nameless = things.count(thing) == 1 and dice.chance(0.08)
        tell_size = dice.chance(0.4)
        phrases.append(Phrase(thing, None if nameless else colour, size if tell_size else None, len(kinds[kind])))
    place = _place(scene, [kinds[kind] for kind in told], dice) if len(told) > 1 and dice.chance(0.65) else None
    return Meaning(tuple(phrases), place, scene.background if dice.chance(0.75) else None)


def _place(scene: Scene, things: list[list[Item]], dice: Dice) -> Place | None:
    """A place word that holds between the first phrases, for all their things."""
    if len(things) == 3 and all(between(a, b, c) for a in things[0] for b in things[1] for c in things[2]):
        return Place("between", 0, 1, 2)
    holding = [
        place
        for place in (*OPPOSITE, "near")
        if all(lies(place, a, b, scene.side) for a in things[0] for b in things[1])
    ]
    return Place(dice.pick(holding), 0, 1) if holding else None


# ---- how to say it ---------------------------------------------------------------------------------------------------


def word(meaning: Meaning, dice: Dice) -> Caption:
    """One of many wordings of a meaning."""
    phrases, place = meaning.phrases, meaning.place
    forms: tuple[str, ...]
    if place is not None:
        forms = (
            lexicon.BETWEEN if place.word == "between" else lexicon.PLACED if len(phrases) == 2 else lexicon.PLACED_AND
        )
    else:
        forms = lexicon.ONE if len(phrases) == 1 else lexicon.LISTED
    grounded = meaning.background is not None
    form = dice.pick([form for form in forms if ("{ground}" in form) == grounded])
    words: list[Word] = []
    for part in form.split():
        if part[0] != "{":
            words.append(Word(part))
        else:
            words += _slot(part[1:-1], meaning, dice)
    return Caption(tuple(words), meaning, dice.chance(0.9 if set(form.split()) & lexicon.CLAUSE else 0.25))


def _slot(slot: str, meaning: Meaning, dice: Dice) -> Iterator[Word]:
    phrases, place = meaning.phrases, meaning.place
    if slot.isdigit():
        yield from _noun_phrase(phrases[int(slot)], int(slot), dice)
    elif slot in ("all", "rest"):
        first = 0 if slot == "all" else 2
        for k in range(first, len(phrases)):
            if k > first:
                yield Word("and" if k == len(phrases) - 1 else ",")
            yield from _noun_phrase(phrases[k], k, dice)
    elif slot == "place":
        assert place is not None
        before, told, after = dice.pick(lexicon.PLACES[place.word])
        yield from (Word(text) for text in before.split())
        yield Word(told, "place")
        yield from (Word(text) for text in after.split())
    elif slot == "ground":
        assert meaning.background is not None
        wordings = lexicon.GROUNDS[meaning.background]
        if not any(phrase.thing in AIRBORNE for phrase in phrases):
            wordings = wordings + lexicon.STANDING.get(meaning.background, ())
        frame, told = dice.pick(wordings)
        yield Word(frame)
        yield Word(told, "background")
    else:  # "be0", "be2", "does"
        told_of = phrases[int(slot[2:])] if slot[2:].isdigit() else phrases[0]
        forms = lexicon.DOES.get(told_of.thing, lexicon.SEEN) if slot == "does" else lexicon.BE
        yield Word(forms[told_of.count > 1])


def _noun_phrase(phrase: Phrase, k: int, dice: Dice) -> Iterator[Word]:
    yield Word(lexicon.COUNTS[phrase.count], "count", k)
    if phrase.size:
        yield Word(dice.pick(lexicon.SIZES[phrase.size]), "size", k)
    if phrase.colour:
        yield Word(phrase.colour, "colour", k)
    yield Word(dice.pick(lexicon.NOUNS[phrase.thing])[phrase.count > 1], "thing", k)
