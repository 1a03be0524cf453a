"""Captions: true ones are true, false ones are false, by the judge of meanings and by a reader of the plain text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.dice import Dice
from builders.sources.scenes import lexicon
from builders.sources.scenes.contrasts import KINDS, contrasts
from builders.sources.scenes.edits import ONE_WORD, SWAPS, false_captions
from builders.sources.scenes.english import caption, captions, mean
from builders.sources.scenes.foreign import LANGUAGES, noun_phrase, translate
from builders.sources.scenes.meaning import Meaning, Phrase, Place, between, judge, lies
from builders.sources.scenes.world import COLOURS, Item, Scene, scene

NUMBERS = st.integers(0, 2**40)

# ---- a reader of English that knows nothing of how captions are made -------------------------------------------------

NOUN = {form: (thing, form == forms[1]) for thing, all_ in lexicon.NOUNS.items() for forms in all_ for form in forms}
SIZE = {word: size for size, words in lexicon.SIZES.items() for word in words}
_NOUNS = "|".join(sorted(NOUN, key=len)[::-1])
PHRASE = re.compile(rf"\b(an?|two|three|four) (?:({'|'.join(SIZE)}) )?(?:({'|'.join(COLOURS)}) )?({_NOUNS})\b")
PLACE = {"left of": "left", "right of": "right", "above": "above", "over": "above"}
PLACE |= {"below": "below", "under": "below", "beneath": "below", "near": "near", "next to": "near", "beside": "near"}
PLACE |= {"close to": "near"}
STRAIGHT = re.compile(rf"P(\d+) (?:(?:is|are) )?(?:to the |on the )?({'|'.join(PLACE)}) P(\d+)")
TURNED = re.compile(rf"(?:to the |on the )?({'|'.join(PLACE)}) P(\d+) (?:, )?there (?:is|are) P(\d+)")


def read(text: str, here: Scene) -> list[bool]:
    """Whether each phrase, place and background that the text names is true of the scene, phrase by phrase."""
    groups: list[list[Item]] = []
    verdicts = []

    def one(found: re.Match[str]) -> str:
        count, size, colour, noun = found.groups()
        thing, number = NOUN[noun][0], {"a": 1, "an": 1, "two": 2, "three": 3, "four": 4}[count]
        assert count != "an" or found[0].split()[1][0] in "aeiou"
        assert NOUN[noun][1] == (number > 1) or noun == "fish"
        groups.append(
            [
                i
                for i in here.items
                if i.thing == thing and colour in (None, i.colour) and SIZE.get(size) in (None, i.size)
            ]
        )
        verdicts.append(len(groups[-1]) == number)
        return f"P{len(groups) - 1}"

    plain = PHRASE.sub(one, text[0].lower() + text[1:].rstrip(".")).replace(",", " ,")
    told = [(a, word, b) for a, word, b in STRAIGHT.findall(plain)]
    told += [(a, word, b) for word, b, a in TURNED.findall(plain)]
    for a, word, b in told:
        for x in groups[int(a)]:
            for y in groups[int(b)]:
                dx, dy = (x.x + x.w / 2) - (y.x + y.w / 2), (x.y + x.h / 2) - (y.y + y.h / 2)
                level = 0.02 * here.side
                holds = {"left": dx < -level, "right": dx > level, "above": dy < -level, "below": dy > level}
                verdicts.append(holds.get(PLACE[word], True))
    for background, wordings in lexicon.GROUNDS.items():
        for frame, word in (*wordings, *lexicon.STANDING.get(background, ())):
            if re.search(rf"\b{frame} {word}\b", plain):
                verdicts.append(background == here.background)
    return verdicts


# ---- English ---------------------------------------------------------------------------------------------------------


@given(NUMBERS, NUMBERS)
def test_captions_are_true(seed: int, i: int) -> None:
    here = scene(seed, i)
    said = captions(here, Dice(seed, i), 6)
    assert len({told.text for told in said}) == len(said) >= 3
    for told in said:
        assert judge(told.meaning, here) is True
        verdicts = read(told.text, here)
        assert verdicts and all(verdicts), told.text


@given(NUMBERS, NUMBERS)
def test_edits_are_false_and_change_one_point(seed: int, i: int) -> None:
    here = scene(seed, i)
    told = caption(here, Dice(seed, i))
    edits = false_captions(told, here, Dice(seed, i, "edits"))
    assert {"thing"} <= {edit.kind for edit in edits}
    for edit in edits:
        assert judge(edit.caption.meaning, here) is False
        old, new = told.text.lower().rstrip(".").split(), edit.caption.text.lower().rstrip(".").split()
        changed = (
            [(a, b) for a, b in zip(old, new, strict=True) if a != b and {a, b} != {"a", "an"}]
            if len(old) == len(new)
            else None
        )
        if edit.kind in ONE_WORD:
            assert changed is not None and len(changed) == 1
            assert ">".join(word.strip(",") for word in changed[0]) == edit.word
        elif edit.kind == "colour_swap":
            assert changed is not None and len(changed) == 2
        else:
            assert {word.strip(",") for word in old} - {"a", "an"} == {word.strip(",") for word in new} - {"a", "an"}
        place = edit.caption.meaning.place
        if place is None or place.word not in ("near", "between"):  # the reader knows no distances
            assert not all(read(edit.caption.text, here)), edit.caption.text


def test_every_kind_of_edit_occurs() -> None:
    kinds = set()
    for i in range(200):
        here, dice = scene(1, i), Dice(1, i)
        kinds |= {edit.kind for edit in false_captions(caption(here, dice), here, dice)}
    assert kinds == {*ONE_WORD, *SWAPS}


def test_wordings_vary() -> None:
    texts = [caption(scene(0, i), Dice(0, "caption", i)).text for i in range(1000)]
    assert len(set(texts)) > 950
    words = " ".join(texts).lower()
    for word in ("left", "right", "above", "below", "between", "two", "three", "beside", "meadow"):
        assert word in words


@pytest.mark.parametrize("kind", KINDS)
def test_contrasts_differ_in_one_point(kind: str) -> None:
    pairs = list(contrasts(77, kind, 5, side=64))
    assert pairs == list(contrasts(77, kind, 5, side=64))
    assert len(pairs) == 5
    for pair in pairs:
        assert pair.kind == kind and pair.true != pair.false
        assert all(read(pair.true, scene(77, pair.scene, 64)))


def test_no_contrast_of_an_unknown_kind() -> None:
    with pytest.raises(ValueError, match="is none of"):
        list(contrasts(0, "smell", 1))


# ---- the judge -------------------------------------------------------------------------------------------------------


def item(thing: str, colour: str, x: int, y: int, size: str = "small") -> Item:
    return Item(thing, colour, size, x, y, 20, 20, False, (0, 0, 0))


def world(*items: Item, background: str = "room") -> Scene:
    return Scene(100, background, 0.4, items, 0)


CAT, BALL = item("cat", "red", 10, 40), item("ball", "blue", 60, 40)


@pytest.mark.parametrize(
    ("word", "verdict"), [("left", True), ("right", False), ("above", False), ("below", False), ("near", None)]
)
def test_places(word: str, verdict: bool | None) -> None:
    meaning = Meaning((Phrase("cat"), Phrase("ball")), Place(word, 0, 1))
    assert judge(meaning, world(CAT, BALL)) is verdict


def test_neither_left_nor_above_is_sure_on_the_diagonal() -> None:
    far = item("ball", "blue", 70, 75)
    assert lies("left", CAT, far, 100) is True and lies("above", CAT, far, 100) is None
    assert lies("above", CAT, item("ball", "blue", 55, 85), 100) is None


def test_between_is_on_the_line() -> None:
    left, right = item("cup", "red", 0, 40), item("cup", "blue", 80, 40)
    assert between(item("cat", "red", 40, 42), left, right) is True
    assert between(item("cat", "red", 40, 70), left, right) is None
    assert between(left, item("cat", "red", 40, 42), right) is False


def test_one_of_two_is_open_and_two_of_three_false() -> None:
    three = world(*(item("ball", "red", x, 10) for x in (0, 30, 60)))
    assert judge(Meaning((Phrase("ball", "red"),)), three) is None
    assert judge(Meaning((Phrase("ball", "red", count=2),)), three) is False
    assert judge(Meaning((Phrase("ball", "red", count=3),)), three) is True
    assert judge(Meaning((Phrase("ball", "green"),)), three) is False


def test_a_beach_may_be_called_the_sea_but_no_room() -> None:
    here = world(CAT, background="beach")
    assert judge(Meaning((Phrase("cat"),), background="sea"), here) is None
    assert judge(Meaning((Phrase("cat"),), background="room"), here) is False


def test_a_group_is_left_of_something_only_as_a_whole() -> None:
    here = world(item("cat", "red", 0, 40), item("cat", "red", 75, 40), item("ball", "blue", 40, 40))
    meaning = Meaning((Phrase("cat", "red", count=2), Phrase("ball")), Place("left", 0, 1))
    assert judge(meaning, here) is False


# ---- other languages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "case", "phrase", "text"),
    [
        ("de", "nom", Phrase("house", "green", "small"), "ein kleines grünes Haus"),
        ("de", "nom", Phrase("cup", "black", "big"), "eine große schwarze Tasse"),
        ("de", "dat", Phrase("tree", "yellow"), "einem gelben Baum"),
        ("de", "dat", Phrase("cat", "white"), "einer weißen Katze"),
        ("de", "dat", Phrase("ball", "red", count=2), "zwei roten Bällen"),
        ("de", "nom", Phrase("star", "purple", "small", 3), "drei kleine lila Sterne"),
        ("fr", "nom", Phrase("star", "white", "small"), "une petite étoile blanche"),
        ("fr", "nom", Phrase("kite", "orange", "big", 2), "deux grands cerfs-volants orange"),
        ("es", "nom", Phrase("fish", "blue", "small", 2), "dos peces azules pequeños"),
        ("es", "nom", Phrase("umbrella", "yellow"), "un paraguas amarillo"),
        ("it", "nom", Phrase("butterfly", "pink", count=2), "due farfalle rosa"),
        ("it", "nom", Phrase("tree", "red", "big"), "un albero rosso grande"),
        ("nl", "nom", Phrase("house", "red", "small"), "een klein rood huis"),
        ("nl", "nom", Phrase("boat", "red", "big"), "een grote rode boot"),
        ("nl", "nom", Phrase("car", "green", count=3), "drie groene auto's"),
    ],
)
def test_adjectives_agree(language: str, case: str, phrase: Phrase, text: str) -> None:
    assert noun_phrase(phrase, case, language) == text


@given(NUMBERS, st.sampled_from(LANGUAGES))
def test_every_meaning_has_words_in_every_language(i: int, language: str) -> None:
    here, dice = scene(3, i), Dice(3, i)
    text = translate(mean(here, dice), language, dice)
    assert "{" not in text and "  " not in text and text == text.strip()
    assert text == translate(mean(here, Dice(3, i)), language, _after_meaning(here, i))


def _after_meaning(here: Scene, i: int) -> Dice:
    dice = Dice(3, i)
    mean(here, dice)
    return dice


def test_places_in_german_are_in_the_dative() -> None:
    meaning = Meaning((Phrase("cat", "red"), Phrase("house", "blue")), Place("above", 0, 1))
    texts = {translate(meaning, "de", Dice(i)).lower().rstrip(".") for i in range(40)}
    assert "eine rote katze über einem blauen haus" in texts
    assert "ein bild mit einer roten katze über einem blauen haus" in texts


def test_french_contracts_de_before_a_vowel() -> None:
    meaning = Meaning((Phrase("cat", "red"), Phrase("boat", "blue")), Place("left", 0, 1), "sea")
    texts = " ".join(translate(meaning, "fr", Dice(i)) for i in range(20))
    assert "à gauche d'un bateau bleu" in texts and "de un" not in texts
