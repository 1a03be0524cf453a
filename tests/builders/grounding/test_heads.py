"""Head nouns in the singular."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.grounding.heads import head_noun, singular
from builders.grounding.words import known_categories, plurals, vocabulary


@pytest.mark.parametrize(
    ("chunk", "head"),
    [
        ("a brown dog", "dog"),
        ("Two Dogs", "dog"),
        ("several people", "person"),
        ("a T-shirt", "shirt"),
        ("the children", "child"),
        ("the dog's", "dog's"),
        ("zwei Hunde", "hunde"),
        ("这只狗", "这只狗"),
        ("…", "…"),
        ("a dog,", "dog"),
        ("do\u0301g", "do\u0301g"),
        ("two काले कुत्ते", "कुत्ते"),
        ("a 👩\u200d👧", "👩\u200d👧"),
        ("👍🏽", "👍🏽"),
        ("a dog ❤️", "dog"),
        ("🇩🇪", "🇩🇪"),
        ("\u200d", ""),
        ("dog\u200d", "dog"),
        ("… …", "……"),
    ],
)
def test_the_head_is_the_last_word_in_the_singular(chunk: str, head: str) -> None:
    assert head_noun(chunk) == head


@pytest.mark.parametrize(
    ("chunk", "after", "head"),
    [
        ("A group", " of young people on skis", "person"),
        ("two pairs", " of scissors", "scissors"),
        ("a bunch", " of orange kites flying", "kite"),
        ("a herd", " of", "herd"),
        ("A pile", " of luggage", "luggage"),
        ("a number", " of quaint hovels", "hovel"),
        ("a row", " of coins on a table", "coin"),
        ("a bunch", " of roses", "rose"),
        ("a crowd", " of the fans, waiting", "fan"),
        ("a pile", " of orange pumpkins", "pumpkin"),
        ("a mix", " of red and white roses", "rose"),
        ("a collection", " of old, rusty tools", "tool"),
        ("two rows", " of stacks of freshly baked pretzels cooling", "pretzel"),
        ("a pile", " of rubble", "rubble"),
        ("a group", " of 4", "group"),
        ("a group", " of four", "group"),
        ("a group", " of three tents", "tent"),
        ("a flock", " of sheep grazing", "sheep"),
        ("a group", " of people playing games", "person"),
        ("glasses", " of wine", "glass"),
        ("glasses", "", "glasses"),
        ("a cup", " of coffee", "cup"),
        ("a bowl", " of fruit", "bowl"),
        ("a couple", " with a dog", "couple"),
        ("a couple", " often seen with a dog", "couple"),
        ("a row", " of rows of cars", "car"),
        ("a dog", " of people", "dog"),
    ],
)
def test_of_a_group_the_noun_after_of_is_the_head_and_of_a_vessel_it_is_not(chunk: str, after: str, head: str) -> None:
    assert head_noun(chunk, after) == head


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        *(("buses", "bus"), ("benches", "bench"), ("leaves", "leaf"), ("gloves", "glove"), ("tomatoes", "tomato")),
        *(("shoes", "shoe"), ("cities", "city"), ("movies", "movie"), ("boxes", "box"), ("dresses", "dress")),
        *(("horses", "horse"), ("slices", "slice"), ("geese", "goose"), ("cacti", "cactus"), ("quizzes", "quiz")),
        *(
            ("grass", "grass"),
            ("tennis", "tennis"),
            ("bus", "bus"),
            ("gas", "gas"),
            ("skis", "skis"),
            ("pants", "pants"),
        ),
        *(("glasses", "glasses"), ("sheep", "sheep"), ("species", "species"), ("axes", "axe"), ("us", "us")),
    ],
)
def test_plurals_are_undone_and_singulars_stay(plural: str, one: str) -> None:
    assert singular(plural) == one


@pytest.mark.parametrize("word", [word for word in known_categories() if " " not in word])
def test_every_plural_of_a_category_is_that_category(word: str) -> None:
    assert singular(word) == word
    assert {singular(form) for form in plurals(word)} == {word}


@given(st.sampled_from(vocabulary()), st.data())
def test_what_is_singular_stays_so(word: str, data: st.DataObject) -> None:
    once = singular(data.draw(st.sampled_from([word, *sorted(plurals(word))])))
    assert singular(once) == once


@given(st.text(max_size=20))
def test_any_chunk_has_a_head_without_white_space(chunk: str) -> None:
    assert not any(character.isspace() for character in head_noun(chunk))
