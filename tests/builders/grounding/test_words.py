"""What a caption's words mean, as a specification of words.py and of the table in words.yaml."""

import random
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.grounding import words
from builders.grounding.words import Match, load_words, plurals

YAML = yaml.safe_load(Path(words.__file__).with_name("words.yaml").read_text(encoding="utf-8"))
COCO = list(YAML["categories"])
TABLE = load_words(COCO)
MEANINGS = [
    (category, word, kind == "collective")
    for category, entry in YAML["categories"].items()
    for kind in ("words", "collective")
    for word in entry.get(kind, ())
]


def match(chunk: str) -> Match | None:
    return TABLE.match(chunk.split())


def one(*categories: str) -> Match:
    return Match(tuple(sorted(categories)), plural=False)


def several(*categories: str) -> Match:
    return Match(tuple(sorted(categories)), plural=True)


# -- what captions say


@pytest.mark.parametrize(
    ("chunk", "meaning"),
    [
        ("a man", one("person")),
        ("a cross country skier", one("person")),
        ("two young men", several("person")),
        ("firemen", several("person")),
        ("people", several("person")),
        ("the sofa", one("couch")),
        ("a plane", one("airplane")),
        ("an aircraft", one("airplane")),
        ("a bike", one("bicycle", "motorcycle")),
        ("a motor bike", one("motorcycle")),
        ("a television", one("tv")),
        ("buses", several("bus")),
        ("benches", several("bench")),
        ("ponies", several("horse")),
        ("knives", several("knife")),
        ("computer mice", several("mouse")),
        ("a glass", one("wine glass", "cup")),
        ("wine glasses", several("wine glass")),
        ("a racquet", one("tennis racket")),
        ("a large vehicle", one("car", "truck", "bus", "motorcycle")),
        ("a black bag", one("backpack", "handbag")),
        ("the board", one("skateboard", "surfboard", "snowboard")),
        ("a baby elephant", one("elephant")),
    ],
)
def test_a_head_noun_means_its_category_in_singular_and_plural(chunk: str, meaning: Match) -> None:
    assert match(chunk) == meaning


@pytest.mark.parametrize(
    ("chunk", "meaning"),
    [
        ("old luggage", several("suitcase", "backpack", "handbag")),
        ("brown cattle", several("cow")),
        ("a crowd", several("person")),
        ("an elderly couple", several("person")),
        ("steamed broccoli", several("broccoli")),
        ("fresh fruit", several("apple", "banana", "orange")),
    ],
)
def test_a_collective_word_means_several_in_the_singular(chunk: str, meaning: Match) -> None:
    assert match(chunk) == meaning


@pytest.mark.parametrize("chunk", ["sheep", "skis", "a pair of scissors", "aircraft", "water buffalo"])
def test_a_word_that_is_its_own_plural_does_not_tell(chunk: str) -> None:
    found = match(chunk)
    assert found is not None
    assert not found.plural


@pytest.mark.parametrize(
    ("chunk", "meaning"),
    [
        ("a red fire hydrant", one("fire hydrant")),
        ("a hot dog", one("hot dog")),
        ("hot dogs", several("hot dog")),
        ("a stuffed dog", one("teddy bear")),
        ("a brown teddy bear", one("teddy bear")),
        ("a polar bear", one("bear")),
        ("the toilet bowl", one("toilet")),
        ("a microwave oven", one("microwave")),
        ("a street car", one("train")),
        ("a pit bull", one("dog")),
        ("a plastic bag", None),
        ("a pool table", None),
        ("cutting boards", None),
    ],
)
def test_the_longest_known_ending_decides(chunk: str, meaning: Match | None) -> None:
    assert match(chunk) == meaning


@pytest.mark.parametrize(
    "chunk", ["", "-", "a", "a tennis court", "a snowman", "glasses", "street sign", "a t - shirt"]
)
def test_other_words_mean_nothing(chunk: str) -> None:
    assert match(chunk) is None


def test_hyphens_underscores_and_capitals_do_not_matter() -> None:
    assert TABLE.match(["a", "double-decker", "bus"]) == one("bus")
    assert TABLE.match(["a", "double", "-", "decker"]) == one("bus")
    assert TABLE.match(["Hot-Dogs"]) == several("hot dog")
    assert TABLE.match(["a", "T-shirt"]) is None


@pytest.mark.parametrize("word", ["group", "groups", "Bunch", "bunches", "herd", "pair", "dozens", "families", "crowd"])
def test_a_group_noun_is_known_in_both_numbers(word: str) -> None:
    assert TABLE.is_group(word)


@pytest.mark.parametrize("word", ["dog", "bowl", "piece", "slice", ""])
def test_a_thing_a_part_or_a_container_is_no_group(word: str) -> None:
    assert not TABLE.is_group(word)


# -- plurals


@pytest.mark.parametrize(
    ("singular", "written"),
    [
        ("bus", {"buses", "busses"}),
        ("box", {"boxes"}),
        ("pony", {"ponies"}),
        ("toy", {"toys"}),
        ("knife", {"knives"}),
        ("penknife", {"penknives"}),
        ("snowman", {"snowmen"}),
        ("human", {"humans"}),
        ("grandchild", {"grandchildren"}),
        ("ox", {"oxen"}),
        ("mongoose", {"mongooses"}),
        ("flamingo", {"flamingos", "flamingoes"}),
        ("fire engine", {"fire engines"}),
        ("bighorn sheep", {"bighorn sheep"}),
    ],
)
def test_plurals_are_made_by_rule_and_by_the_irregular_table(singular: str, written: set[str]) -> None:
    assert plurals(singular) == written


# -- the table as a whole


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(MEANINGS), st.lists(st.sampled_from(["a", "the", "shiny", "third", "t-shirt"]), max_size=3))
def test_every_word_and_its_plurals_match_after_any_other_words(
    meaning: tuple[str, str, bool], before: list[str]
) -> None:
    category, word, collective = meaning
    singular = TABLE.match([*before, *word.split()])
    assert singular is not None
    assert category in singular.categories
    assert singular.plural == collective
    for form in plurals(word) - {word}:
        found = TABLE.match([*before, *form.split()])
        if form not in YAML["never"]:
            assert found is not None
            assert category in found.categories
            assert found.plural or form in {other for _, other, _ in MEANINGS}


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.sets(st.sampled_from(COCO)), st.sampled_from(sorted(TABLE.forms)))
def test_a_word_never_means_what_the_user_does_not_have_nor_something_else_instead(kept: set[str], form: str) -> None:
    found, among_all = load_words(kept).match(form.split()), TABLE.match(form.split())
    expected = kept.intersection(among_all.categories if among_all else ())
    assert set(found.categories if found else ()) == expected


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_categories_and_synonyms_does_not_matter(chance: random.Random) -> None:
    extra = {"ride": ["horse", "bicycle"], "bag": ["suitcase"], "heron": []}
    shuffled = {word: chance.sample(extra[word], len(extra[word])) for word in chance.sample(sorted(extra), len(extra))}
    assert load_words(chance.sample(COCO, len(COCO)), shuffled) == load_words(COCO, extra)


def test_the_yaml_covers_coco_says_nothing_twice_and_does_not_contradict_itself() -> None:
    assert len(COCO) == 80
    pairs = [(category, word) for category, word, _ in MEANINGS]
    assert len(set(pairs)) == len(pairs)
    assert not {word for _, word, collective in MEANINGS if collective} & {
        word for _, word, collective in MEANINGS if not collective
    }
    assert not {word for _, word, _ in MEANINGS} & set(YAML["never"])
    assert all(word == " ".join(word.lower().replace("-", " ").split()) for _, word in pairs)


def test_what_is_never_meant_would_be_found_otherwise() -> None:
    known = set(TABLE.forms)
    for phrase in YAML["never"]:
        ending = phrase.split()[1:]
        assert phrase in plurals("glass") or any(" ".join(ending[start:]) in known for start in range(len(ending)))


# -- the user's own categories and synonyms


def test_given_categories_that_the_yaml_does_not_know_their_names_and_plurals_match() -> None:
    table = load_words(["rocket", "coin", "witch"])
    assert table.match(["a", "silver", "coin"]) == one("coin")
    assert table.match(["three", "rockets"]) == several("rocket")
    assert table.match(["witches"]) == several("witch")
    assert table.match(["a", "man"]) is None


def test_given_other_spellings_of_a_category_it_is_found_and_returned_as_spelled() -> None:
    table = load_words(["Traffic_Light", "hot-dog"])
    assert table.match(["a", "stoplight"]) == one("Traffic_Light")
    assert table.match(["two", "hotdogs"]) == several("hot-dog")


def test_given_only_dogs_a_hot_dog_is_no_dog() -> None:
    assert load_words(["dog"]).match(["a", "hot", "dog"]) is None


def test_given_a_category_named_like_a_synonym_the_word_means_that_category() -> None:
    table = load_words(["person", "man", "fruit", "glass", "cup"])
    assert table.match(["a", "man"]) == one("man")
    assert table.match(["men"]) == several("man")
    assert table.match(["a", "woman"]) == one("person")
    assert table.match(["a", "fruit"]) == one("fruit")
    assert table.match(["glasses"]) == several("glass")


def test_given_synonyms_of_the_users_own_they_replace_the_tables() -> None:
    table = load_words(COCO, {"Bag": ["suitcase"], "sled-dog": ["dog"], "plant": [], "pooch": ["dog", "cat"]})
    assert table.match(["bags"]) == several("suitcase")
    assert table.match(["a", "sled", "dog"]) == one("dog")
    assert table.match(["plants"]) is None
    assert table.match(["pooch"]) == one("cat", "dog")
    assert table.match(["potted", "plant"]) == one("potted plant")


def test_given_a_synonym_of_an_unknown_category_it_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'rover' names 'vehicule'.*categories: car, truck"):
        load_words(["truck", "car"], {"rover": ["car", "vehicule"]})
