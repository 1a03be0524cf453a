"""The same caption with one point made false: a true one with a word exchanged, and judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from builders.dice import Dice
from builders.sources.scenes import lexicon
from builders.sources.scenes.english import Caption
from builders.sources.scenes.meaning import OPPOSITE, Meaning, Phrase, judge
from builders.sources.scenes.world import BACKGROUNDS, COLOURS, THINGS, Scene

ONE_WORD = ("colour", "thing", "size", "place", "count", "background")
"""What one exchanged word can make false."""
SWAPS = ("colour_swap", "place_swap")
"""What can be made false without a new word: two things exchange their colours, or their places."""


@dataclass(frozen=True, slots=True)
class FalseCaption:
    """`kind` of ONE_WORD or SWAPS; `word` is what was exchanged, as "red>blue"."""

    caption: Caption
    kind: str
    word: str


def false_captions(
    true: Caption, scene: Scene, dice: Dice, kinds: Sequence[str] = ONE_WORD + SWAPS
) -> list[FalseCaption]:
    """For each kind, where there is one, a caption with a word exchanged that is surely false of the scene."""
    found = []
    for kind in kinds:
        for edited in dice.shuffled(list(_edits(true, kind, dice))):
            if judge(edited.caption.meaning, scene) is False and _tells_apart(edited.caption.meaning):
                found.append(edited)
                break
    return found


def _edits(true: Caption, kind: str, dice: Dice) -> Iterator[FalseCaption]:
    """Captions that differ from a true one in one point; not all of them are false."""
    if kind == "colour_swap":
        yield from _colour_swaps(true)
    elif kind == "place_swap":
        yield from _place_swaps(true)
    else:
        for i, told in enumerate(true.words):
            if told.role == kind:
                for text, meaning in _others(true, i, dice):
                    words = (*true.words[:i], replace(told, text=text), *true.words[i + 1 :])
                    yield FalseCaption(Caption(words, meaning, true.sentence), kind, f"{told.text}>{text}")


def _others(true: Caption, i: int, dice: Dice) -> Iterator[tuple[str, Meaning]]:
    """What else could stand in place of word `i`, and what the caption would then mean."""
    told, meaning = true.words[i], true.meaning
    phrase = meaning.phrases[told.of] if told.of >= 0 else None
    if told.role == "background":
        frame = true.words[i - 1].text
        for background in BACKGROUNDS:
            for other_frame, text in (*lexicon.GROUNDS[background], *lexicon.STANDING.get(background, ())):
                if other_frame == frame and background != meaning.background:
                    yield text, replace(meaning, background=background)
    elif told.role == "place" and meaning.place:
        family = next((family for family in lexicon.PLACE_WORDS if told.text in family), {})
        for text, place in family.items():
            if place != meaning.place.word:
                yield text, replace(meaning, place=replace(meaning.place, word=place))
    elif phrase is None:
        return
    elif told.role == "colour":
        for colour in COLOURS:
            if colour != phrase.colour:
                yield colour, _with(meaning, told.of, replace(phrase, colour=colour))
    elif told.role == "thing":
        for thing in THINGS:
            if thing != phrase.thing:
                noun = dice.pick(lexicon.NOUNS[thing])[phrase.count > 1]
                yield noun, _with(meaning, told.of, replace(phrase, thing=thing))
    elif told.role == "size":
        size = "big" if phrase.size == "small" else "small"
        yield dice.pick(lexicon.SIZES[size]), _with(meaning, told.of, replace(phrase, size=size))
    elif told.role == "count" and phrase.count > 1:
        for count in range(2, len(lexicon.COUNTS)):
            if count != phrase.count:
                yield lexicon.COUNTS[count], _with(meaning, told.of, replace(phrase, count=count))


def _tells_apart(meaning: Meaning) -> bool:
    """Whether no two phrases may mean one thing: nobody says "a red ball beside a red ball"."""
    return not any(
        one.thing == two.thing and (one.colour == two.colour or None in (one.colour, two.colour))
        for one, two in combinations(meaning.phrases, 2)
    )


def _with(meaning: Meaning, k: int, phrase: Phrase) -> Meaning:
    return replace(meaning, phrases=(*meaning.phrases[:k], phrase, *meaning.phrases[k + 1 :]))


def _colour_swaps(true: Caption) -> Iterator[FalseCaption]:
    told = [i for i, word in enumerate(true.words) if word.role == "colour"]
    for n, i in enumerate(told):
        for j in told[n + 1 :]:
            one, two = true.words[i], true.words[j]
            if one.text != two.text:
                words = list(true.words)
                words[i], words[j] = replace(one, text=two.text), replace(two, text=one.text)
                meaning = true.meaning
                meaning = _with(meaning, one.of, replace(meaning.phrases[one.of], colour=two.text))
                meaning = _with(meaning, two.of, replace(meaning.phrases[two.of], colour=one.text))
                swapped = f"{one.text}>{two.text} {two.text}>{one.text}"
                yield FalseCaption(Caption(tuple(words), meaning, true.sentence), "colour_swap", swapped)


def _place_swaps(true: Caption) -> Iterator[FalseCaption]:
    """The two things that a place word relates change places: "a cat above a dog", "a dog above a cat"."""
    place = true.meaning.place
    if place is None or place.word not in OPPOSITE:
        return
    a, b = place.subject, place.other
    spans = {k: [i for i, word in enumerate(true.words) if word.of == k] for k in (a, b)}
    first, second = sorted((a, b), key=lambda k: spans[k][0])
    (f0, f1), (s0, s1) = ((spans[k][0], spans[k][-1] + 1) for k in (first, second))
    if true.meaning.phrases[a].count > 1 or true.meaning.phrases[b].count > 1:
        return  # the verb might no longer fit
    words = true.words
    swapped = words[:f0] + words[s0:s1] + words[f1:s0] + words[f0:f1] + words[s1:]
    meaning = replace(true.meaning, place=replace(place, subject=b, other=a))
    nouns = [next(word.text for word in true.words if word.of == k and word.role == "thing") for k in (a, b)]
    yield FalseCaption(
        Caption(swapped, meaning, true.sentence), "place_swap", f"{nouns[0]}>{nouns[1]} {nouns[1]}>{nouns[0]}"
    )
