"""The captions, or their beginnings, that the others and the boxes bear out, best first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

from builders.grounding.words import WordTable
from builders.instruct.template.captions import Mention, mentions, sexes, tokens
from builders.instruct.template.english import words
from builders.instruct.template.sentences import Form, sentence

ENOUGH = 0.5
"""The least part of a caption's telling words that other captions of the photo bear out, where it has three or more."""

_SMALL = frozenset(
    "a an the of in on at with and or by to from near next over under is are that which who while as for up down out "
    "it its his her their some there this two three four one this has have be being been very top front side back into "
    "onto through along around other another off he she they them him behind beside".split()
)

_CUT = re.compile(
    r" (?=(?:in|on|at|with|near|by|next|beside|behind|during|while|as|which|along|under|against|around|above|through"
    r"|inside)\b)"
)
"""Where a caption may end before its end."""

_HANGING = frozenset(
    "sit sits sitting set stand stands standing lies lay lays lying laying rest rests resting look looks looking made "
    "full out back along in on at of to with by near and or that while as is are has have the a an his her its "
    "their".split()
)
"""What does not end a sentence, beside words in -ed: "a bear placed"."""

LEAST, CUT = 6, 0.5
"""Words, besides half of them, that are left where a caption ends before its end; its worth beside a whole one."""

_OF_STUFF = frozenset(
    "sandy grassy snowy rocky leafy muddy sunny cloudy rainy windy dusty dirty hairy curly furry bushy fluffy icy "
    "foggy cheesy juicy salty creamy messy stony hilly shiny smoky steamy tasty toothy woolly watery flowery".split()
)
"""Adjectives that are a noun and a "y"."""


@dataclass(frozen=True)
class Agreed:
    """A caption as part of a sentence. `told`: its telling words as stems; `whole`: it is told to its end."""

    form: Form
    text: str
    told: frozenset[str]
    whole: bool


def agreed(
    table: WordTable,
    captions: Sequence[str],
    told: Sequence[Sequence[Mention]],
    boxed: Counter[str],
    crowds: frozenset[str],
) -> list[Agreed]:
    """`boxed`: how many boxes each category has. `told`: what each caption names."""
    stems = [_stems(caption, named) for caption, named in zip(captions, told, strict=True)]
    found = []
    for i, caption in enumerate(captions):
        others = [those for j, those in enumerate(stems) if j != i]
        spoken = " ".join("".join(tokens(other)) for j, other in enumerate(captions) if j != i)
        one = _told(table, caption, partial(_backed, others=others, spoken=spoken, boxed=boxed))
        if one is None or not _borne_out(i, captions, told, boxed, crowds) or _misspelt(table, i, captions):
            continue
        size = max(1, len(one.told))
        share = sum(any(stem in those for those in others) for stem in one.told) / size
        if len(captions) >= 3 and share < ENOUGH:
            continue
        votes = sum(sum(stem in those for those in others) for stem in one.told) / size**0.6
        found.append((-votes * share * (1 if one.whole else CUT), i, one))
    return [one for _, _, one in sorted(found, key=lambda item: item[:2])]


def _told(table: WordTable, caption: str, backed: Callable[[str], bool]) -> Agreed | None:
    """The longest beginning of a caption, up to all of it, of which every telling word is backed."""
    if sentence(table, caption) is None:
        return None
    for beginning in _beginnings(caption):
        if made := sentence(table, beginning):
            stems = _stems(made[1], mentions(table, made[1]))
            if all(map(backed, stems)):
                return Agreed(*made, stems, beginning == caption)
    return None


def _beginnings(caption: str) -> Iterator[str]:
    yield caption
    least = max(LEAST, len(tokens(caption)) / 2)
    for cut in reversed([found.start() for found in _CUT.finditer(caption)]):
        parts = tokens(caption[:cut])
        if len(parts) < least:
            return
        if parts[-1].isalpha() and parts[-1] not in _HANGING and not parts[-1].endswith("ed"):
            yield caption[:cut]


def _backed(stem: str, others: Sequence[frozenset[str]], spoken: str, boxed: Counter[str]) -> bool:
    """Whether another caption says it too, if in one word with another ("skatepark"), or a box does.

    One other caption is too few to ask it of.
    """
    return (
        len(others) < 2
        or stem in _slight()
        or any(stem in those for those in others)
        or (len(stem) > 4 and stem in spoken)
        or any(boxed[category] for category in stem.split("/"))
    )


@cache
def _slight() -> frozenset[str]:
    return frozenset(map(_stem, words()["slight"]))


def _stems(caption: str, named: Sequence[Mention]) -> frozenset[str]:
    """What a caption tells: its categories, and the stems of its other words. Numbers are judged apart."""
    parts = tokens(caption)
    inside = {i for mention in named if mention.word not in words()["kin"] for i in range(mention.start, mention.end)}
    left_out = _SMALL | words()["numbers"].keys()
    rest = {_stem(part) for i, part in enumerate(parts) if i not in inside and part.isalpha() and part not in left_out}
    return frozenset(rest | {"/".join(mention.categories) for mention in named})


def _stem(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def _borne_out(
    i: int, captions: Sequence[str], told: Sequence[Sequence[Mention]], boxed: Counter[str], crowds: frozenset[str]
) -> bool:
    others = [those for j, those in enumerate(told) if j != i]
    return (
        _no_rival(captions[i], boxed)
        and _sexes_agree(i, captions)
        and all(mention.part or _there(mention, others, boxed, crowds) for mention in told[i])
        and all(_colour_agrees(mention, others) for mention in told[i])
        and _numbers_agree(i, told, boxed, crowds)
    )


def _no_rival(caption: str, boxed: Counter[str]) -> bool:
    parts = set(tokens(caption))
    return not any(
        boxed[one["boxed"]] and not boxed[one["unless"]] and parts & set(one["words"]) for one in words()["rivals"]
    )


def _there(mention: Mention, others: Sequence[Sequence[Mention]], boxed: Counter[str], crowds: frozenset[str]) -> bool:
    if any(boxed[category] or category in crowds for category in mention.categories):
        return True
    backing = sum(any(set(one.categories) & set(mention.categories) for one in those) for those in others)
    return backing >= 2


def _colour_agrees(mention: Mention, others: Sequence[Sequence[Mention]]) -> bool:
    """No other caption gives the thing another colour; "gray" is "grey"."""
    if mention.colour is None:
        return True
    given = {
        one.colour.replace("gray", "grey")
        for those in others
        for one in those
        if one.colour and one.categories == mention.categories
    }
    return given <= {mention.colour.replace("gray", "grey")}


def _numbers_agree(i: int, told: Sequence[Sequence[Mention]], boxed: Counter[str], crowds: frozenset[str]) -> bool:
    totals: list[dict[tuple[str, ...], int | None]] = []
    for caption in told:
        total: dict[tuple[str, ...], int | None] = {}
        for one in (one for one in caption if not one.part):
            before = total.get(one.categories, 0)
            total[one.categories] = None if before is None or one.number is None else before + one.number
        totals.append(total)
    for categories, number in totals[i].items():
        if set(categories) & crowds:
            continue
        boxes = sum(boxed[category] for category in categories)
        same = sum(total.get(categories, 0) == number for total in totals)
        if number is None:
            loose = set(categories) & set(words()["loose"])
            if (boxes == 1 and not (loose and same > 1)) or _most_say_one(i, categories, totals):
                return False
        elif number > 1:
            stated = {total[categories] for total in totals if (total.get(categories) or 0) > 1}
            here = [one for one in told[i] if one.categories == categories and not one.part]
            others = [total[categories] for k, total in enumerate(totals) if k != i and categories in total]
            if len(here) > 1 and (categories != ("person",) or (others and all(other == 1 for other in others))):
                return False  # "a boat next to a ship": one thing, named twice, or two?
            if _most_say_one(i, categories, totals):
                return False
            if len(stated) > 1 or not (boxes == number or (boxes > number and same > 1) or (boxes == 0 and same > 2)):
                return False
    return True


def _most_say_one(i: int, categories: tuple[str, ...], totals: Sequence[dict[tuple[str, ...], int | None]]) -> bool:
    others = [total[categories] for k, total in enumerate(totals) if k != i and categories in total]
    return 2 * others.count(1) > len(others) + 1


def _misspelt(table: WordTable, i: int, captions: Sequence[str]) -> bool:
    """Whether a word of one caption alone is one of another's but for a letter ("skies", "parky")."""
    others = {word for j, caption in enumerate(captions) if j != i for word in tokens(caption) if len(word) > 3}
    mine = {word for word in tokens(captions[i]) if len(word) > 4 and word not in table.forms} - others
    return any(_but_for_a_letter(word, other) for word in mine - _OF_STUFF for other in others)


def _but_for_a_letter(word: str, other: str) -> bool:
    if abs(len(word) - len(other)) > 1 or word[:2] != other[:2]:
        return False
    short, long = sorted((word, other), key=len)
    at = next((k for k in range(len(short)) if short[k] != long[k]), len(short))
    if len(short) == len(long):  # but not the last: "batter", "battle"
        return at < len(short) - 1 and short[at + 1 :] == long[at + 1 :]
    return short[at:] == long[at + 1 :] and (at < len(short) or long[-1] == "y")  # "park", "parks" is no slip


def _sexes_agree(i: int, captions: Sequence[str]) -> bool:
    """Where captions speak of men only and of women only, the one that stands alone is wrong; in a tie, all may be."""
    spoken = [sexes(caption) for caption in captions]
    mine = spoken[i]
    if len(mine) != 1:
        return True
    against = sum(len(one) == 1 and one != mine for one in spoken)
    return not against or sum(one == mine for one in spoken) > against + 1
