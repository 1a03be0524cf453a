"""Captions as parts of sentences."""

from __future__ import annotations

import pytest

from builders.grounding.words import load_words
from builders.instruct.template.sentences import sentence

TABLE = load_words("person bicycle skateboard dog cat zebra train couch bed toothbrush suitcase boat skis bear".split())


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A dog sleeping on a couch.", "a dog sleeping on a couch"),
        ("two zebras grazing in a field ", "two zebras grazing in a field"),
        ("A dog that is looking at a can of food.", "a dog that is looking at a can of food"),
        ("A photo of a cat on a bed.", "a cat on a bed"),
        ("A close up of a cat on a bed.", "a cat on a bed"),
        ("A TRAIN IN AN OLD STATION", "a train in an old station"),
        ("A dog laying on a couch.", "a dog lying on a couch"),
        ("A cat sleeping behind a tv.", "a cat sleeping behind a TV"),
        ("Zebras standing in the tall grass", "zebras standing in the tall grass"),
    ],
)
def test_a_noun_phrase_is_read_as_one(caption: str, expected: str) -> None:
    assert sentence(TABLE, caption) == ("fragment", expected)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A dog is sleeping on a couch.", "a dog is sleeping on a couch"),
        ("A young boy rides a skateboard on a trail.", "a young boy rides a skateboard on a trail"),
        ("Two zebras graze in a field.", "two zebras graze in a field"),
        ("There is a cat on the bed.", "there is a cat on the bed"),
        ("A woman smiles as she cuts a card.", "a woman smiles as she cuts a card"),
    ],
)
def test_a_whole_sentence_is_read_as_one(caption: str, expected: str) -> None:
    assert sentence(TABLE, caption) == ("sentence", expected)


@pytest.mark.parametrize(
    "caption",
    [
        "A dog.",  # short
        "She is holding a cat on a bed.",  # nobody knows who
        "German shepherd sleeping on a couch.",  # a name is not to be made small
        "A couple of zebra standing in a field.",
        "Several dog are in a field.",
        "A dogs sleeping on a couch.",
        "A orange cat sleeping on a couch.",
        "a boy in the the field with a dog",
        "a man on skateboard with a dog",
        "a bathroom with mirror and a toothbrush",
        "A stack of old suitcases are by the wall.",
        "A boy zooms by on a skateboard.",  # may be a verb, may be a noun
        "The manager congratulated a boy on a skateboard.",
        "A crane hoists the boat at the dock.",
        "a dog , asleep on a couch",
        "A dog stand at the feet of a man.",
        "A man with a dog preparing food.",
        "A cute dog sleeping on a couch.",
        "My dog sleeping on a couch",
        "Is this a dog sleeping on a couch?",
        "A boat, 12 metres long, at the dock",
        "Ein Hund schläft auf dem Sofa",
    ],
)
def test_what_is_no_good_english_for_certain_is_not_used(caption: str) -> None:
    assert sentence(TABLE, caption) is None
