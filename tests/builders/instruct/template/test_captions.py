"""Which captions are told: those that boxes and the other captions bear out."""

from __future__ import annotations

from collections import Counter

import pytest

from builders.grounding.words import load_words
from builders.instruct.template.agreed import agreed
from builders.instruct.template.captions import mentions
from builders.instruct.template.compose import Template
from builders.instruct.template.english import phrases
from builders.step import Rejected
from tests.builders.instruct.template.images import BOTTOM, COCO, LEFT, RIGHT, TOP, answers, asked, seen

DOG = "A dog sleeping on a couch.|A brown dog sleeping on the couch.|A dog is sleeping on a couch."


@pytest.mark.parametrize(
    "wrong",
    [
        "A dog sleeping on a couch beside a cat.",  # a cat that nobody boxed or saw
        "A dog sleepung on a couch beside a wall.",  # a slip
        "An angry guard resting after a long shift in a warm office.",  # of something else
    ],
)
def test_a_caption_that_stands_alone_is_not_told(wrong: str) -> None:
    image = seen(f"{DOG}|{wrong}", dog=LEFT, couch=BOTTOM)
    told = answers(image) + answers(image, "detail")
    assert "sleeping on a couch" in told
    assert not any(word in told for word in ("cat", "sleepung", "guard"))


def test_a_thing_that_is_named_twice_in_other_words_is_not_two() -> None:
    image = seen("A white boat next to a ship at the dock.|A white boat at the dock.", boat=[LEFT, RIGHT])
    assert "ship" not in answers(image) + answers(image, "detail")


def test_a_part_of_a_longer_noun_is_not_counted() -> None:
    captions = "Four toothbrushes in a toothbrush holder.|Four toothbrushes standing in a toothbrush holder."
    corners = [(0.05, 0.1, 0.3, 0.4), (0.5, 0.1, 0.8, 0.4), (0.05, 0.5, 0.3, 0.9), (0.5, 0.5, 0.8, 0.9)]
    assert "four toothbrushes can be seen here" in answers(seen(captions, toothbrush=corners))


def test_a_man_is_called_a_man_where_most_captions_do_and_none_says_otherwise() -> None:
    captions = "A man next to a dog.|A man and a dog.|A man with his dog."
    assert "a man" in answers(seen(captions, person=LEFT, dog=RIGHT))
    assert "the man is to the left of the dog" in answers(seen(captions, person=LEFT, dog=RIGHT))
    doubted = answers(seen(f"{captions}|A woman and a dog.", person=LEFT, dog=RIGHT))
    assert "the person is to the left of the dog" in doubted


def test_only_what_fills_its_box_takes_up_much_of_the_picture() -> None:
    large = (0.0, 0.0, 0.9, 0.9)
    assert "the dog takes up a large part" in answers(seen(DOG, dog=large, couch=BOTTOM), "detail")
    bat = "A baseball bat leaning against a wall.|A baseball bat on a wall.|A baseball bat by a wall."
    assert "large part" not in answers(seen(bat, baseball_bat=large), "detail")


def test_of_two_it_is_told_where_each_is_only_if_they_are_on_different_sides() -> None:
    captions = "Two dogs sleeping on the grass.|Two dogs lying on the grass.|Two dogs on the grass."
    assert "one is on the left side" in answers(seen(captions, dog=[LEFT, RIGHT]), "detail")
    assert "one is on the left side" not in answers(seen(captions, dog=[TOP, BOTTOM]), "detail")


def test_where_all_of_a_kind_are_is_told_unless_some_may_be_unboxed() -> None:
    captions = "Several dogs playing on the grass.|Several dogs on the grass.|Dogs playing on the grass."
    boxes = [(0.1, 0.6, 0.3, 0.9), (0.4, 0.6, 0.6, 0.9), (0.7, 0.6, 0.9, 0.9)]
    assert "the dogs are in the lower part" in answers(seen(captions, dog=boxes), "detail")
    assert "the dogs are in" not in answers(seen(captions, crowds=("dog",), dog=boxes), "detail")


@pytest.mark.slow
def test_no_conversation_asks_the_same_twice_nor_in_other_words() -> None:
    for turns in (asked(seen(DOG, dog=LEFT, couch=BOTTOM), keys=1, seed=seed) for seed in range(60)):
        questions = [turn.question for turn in turns]
        assert len(set(questions)) == len(questions)
        assert sum(question in phrases()["scene"]["ask"] for question in questions) <= 1


def test_a_photo_of_which_only_captions_tell_makes_no_conversation() -> None:
    captions = "A sunset over a calm lake.|A sunset over a lake.|The calm lake is lit by a sunset."
    rejected = Template(COCO, {}, 0).turns(seen(captions), "conversation", "key")
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "nothing_certain"


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ("Two cows lying in a barn behind a tractor.", "two cows lying in a barn"),  # where it ends well before
        ("Two cows with tubing on their faces lying in a barn.", None),  # in its midst
        ("Two muddy cows lying in a barn.", None),
        ("Two friends lying in a barn beside two cows.", None),  # friends of each other, as nobody else says
        ("A couple of cows lying in a barn near the pond.", "a couple of cows lying in a barn"),
        ("Two cows in a barn behind a tractor with a blue cabin on its top.", None),  # little of it is left
        ("Two brown cows in the barn are lying behind a tractor.", None),  # "two brown cows in the barn are lying"
        ("Two cows lying in a cowbarn.", "two cows lying in a cowbarn"),  # two words of another
        ("Two large cows lying in a barn together.", "two large cows lying in a barn together"),  # claims little
    ],
)
def test_what_one_caption_alone_says_is_left_out_or_the_caption_is(first: str, told: str | None) -> None:
    table = load_words(COCO)
    captions = [first, "Brown cows lying in a cow barn.", "The brown cows are in a barn.", "Brown cattle in the barn."]
    named = [mentions(table, one) for one in captions]
    found = agreed(table, captions, named, Counter(cow=2, person=2), frozenset())
    assert [one.text for one in found if one.text.startswith(("two", "a couple"))] == ([told] if told else [])


def test_a_caption_that_is_told_to_its_end_comes_before_one_that_is_not() -> None:
    table = load_words(COCO)
    captions = [
        "A dog sleeping on a couch by the window.",
        "The dog sleeping on a couch.",
        "The dog on a couch sleeps.",
    ]
    named = [mentions(table, one) for one in captions]
    found = agreed(table, captions, named, Counter(dog=1, couch=1), frozenset())
    assert [(one.text, one.whole) for one in found if "sleeping" in one.text] == [
        ("the dog sleeping on a couch", True),
        ("a dog sleeping on a couch", False),
    ]


def test_a_group_is_not_told_where_most_captions_see_one() -> None:
    table = load_words(COCO)
    captions = ["A group of people skiing on a slope.", "A person skiing on a slope.", "A person on the slope skiing."]
    named = [mentions(table, one) for one in captions]
    found = agreed(table, captions, named, Counter(person=3), frozenset())
    assert sorted(one.text for one in found) == ["a person on the slope skiing", "a person skiing on a slope"]


@pytest.mark.parametrize(
    ("captions", "kept"),
    [
        (["A dog sleeping on a couch.", "A dog sleeping on a couch beside a cat."], [0]),  # a cat that nobody boxed
        (
            ["A dog sleeping on a couch.", "A dog sleeping on the couch.", "A dog sleepung on a couch."],
            [0, 1],
        ),  # a slip
        (["A dog on a couch.", "A dog on the couch.", "A dog near the ruined tower in dense fog."], [0, 1]),
        (["A dog on the grey couch.", "A dog on the brown couch."], []),  # which?
        (["Two dogs on the couch.", "A dog on a couch."], [1]),
    ],
)
def test_a_caption_is_kept_where_boxes_and_others_bear_it_out(captions: list[str], kept: list[int]) -> None:
    table = load_words(COCO)
    found = agreed(table, captions, [mentions(table, one) for one in captions], Counter(dog=1, couch=1), frozenset())
    assert {one.text for one in found} == {captions[i].rstrip(".").lower() for i in kept}


def test_a_boat_and_a_ship_may_be_one() -> None:
    table = load_words(COCO)
    captions = ["A boat next to a ship at the dock.", "Two boats at the dock by a house."]
    found = agreed(table, captions, [mentions(table, one) for one in captions], Counter(boat=2), frozenset())
    assert [one.text for one in found] == ["two boats at the dock by a house"]


def test_no_number_is_told_where_one_may_be_something_like_it() -> None:
    captions = "Two toilets in a room.|Two toilets by a wall.|A toilet and a bidet by a wall."
    assert "two toilets can" not in answers(seen(captions, toilet=[LEFT, RIGHT]))


def test_a_thing_of_two_colours_is_not_said_to_have_one() -> None:
    captions = "A black and white cat on a bed.|A black and white cat sleeping on a bed."
    assert "the cat is" not in answers(seen(captions, cat=(0.2, 0.0, 0.9, 0.9), bed=(0.0, 0.1, 1.0, 1.0)))


def test_one_caption_makes_no_setting() -> None:
    told = answers(seen("A dog in a kitchen by a ball.|A dog with a ball.", dog=LEFT, sports_ball=RIGHT))
    assert "no, there is no" not in told
