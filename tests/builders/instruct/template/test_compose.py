"""Which questions the annotations decide, rule by rule: given an image, what is asked and what never is."""

from __future__ import annotations

import re

import pytest

from builders.instruct.quality import broken
from builders.instruct.template.compose import Template
from builders.instruct.template.english import phrases
from builders.step import Rejected
from tests.builders.instruct.template.images import BOTTOM, COCO, LEFT, RIGHT, TOP, answers, asked, seen

ZEBRAS = "Two zebras grazing in a field.|Two zebras standing in tall grass.|Two zebras in a grassy field."
ABSENT = r"no, (there is no|i can see no|the image does not|no )"
PAIR = "A cat next to a dog.|A cat and a dog in a room.|A cat looking at a dog."


def test_complex_is_rejected_with_a_reason() -> None:
    rejected = Template(COCO, {}, 0).turns(seen(PAIR, cat=LEFT, dog=RIGHT), "complex", "key")
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "needs_a_model"


@pytest.mark.parametrize("kind", ["conversation", "detail"])
def test_an_image_of_which_nothing_is_certain_is_rejected(kind: str) -> None:
    template = Template(COCO, {}, 0)
    for image in (seen(""), seen("wow"), seen("Nice!|So nice!", vase=(0.5, 0.5, 0.52, 0.52))):
        rejected = template.turns(image, "detail" if kind == "detail" else "conversation", "key")
        assert isinstance(rejected, Rejected)
        assert rejected.reason == "nothing_certain"


def test_a_synonym_of_an_unknown_category_is_refused() -> None:
    with pytest.raises(ValueError, match="unicorn"):
        Template(["cat"], {"kitty": ["unicorn"]}, 0)


# ---- presence and absence --------------------------------------------------------------------------------------------


def test_what_is_boxed_and_named_is_there() -> None:
    assert "yes, there are zebras in the picture" in answers(seen(ZEBRAS, zebra=[LEFT, RIGHT]))


def test_what_is_named_and_not_boxed_is_not_said_to_be_there() -> None:
    image = seen("Two giraffes in a field.|Two zebras in a field.|Two zebras graze in a field.", zebra=[LEFT, RIGHT])
    assert "giraffe" not in answers(image) + answers(image, "detail")


def test_what_is_boxed_small_and_not_named_is_not_told_of() -> None:
    image = seen(PAIR, cat=LEFT, dog=RIGHT, vase=(0.45, 0.4, 0.5, 0.5))
    assert "vase" not in answers(image) + answers(image, "detail")


def test_what_no_one_overlooks_is_absent_where_the_setting_leaves_no_doubt() -> None:
    told = answers(seen(ZEBRAS, zebra=[LEFT, RIGHT]))
    assert re.search(r"no, .*(toilet|refrigerator|airplane|bed)", told)


@pytest.mark.parametrize(
    ("change", "never"),
    [
        ("Two zebras and an old bus.", "bus"),  # named
        ("A toy airplane and two zebras.", "airplane"),  # named, if as a toy
        ("A statue of two zebras.", "toilet"),  # nothing is what it seems
    ],
)
def test_what_any_caption_hints_at_is_never_said_to_be_absent(change: str, never: str) -> None:
    told = answers(seen(f"{ZEBRAS}|{change}", zebra=[LEFT, RIGHT]))
    assert not re.search(rf"^no, .*{never}", told, re.MULTILINE)


def test_nothing_is_said_to_be_absent_that_goes_with_what_is_there() -> None:
    told = answers(seen(ZEBRAS, zebra=[LEFT, RIGHT]))
    assert not re.search("giraffe|elephant|horse", told)


def test_nothing_is_absent_without_a_setting_nor_where_boxes_were_broken() -> None:
    assert not re.search(ABSENT, answers(seen("A cat next to a dog.|A cat and a dog together.", cat=LEFT, dog=RIGHT)))
    assert not re.search(ABSENT, answers(seen(ZEBRAS, invalid=True, zebra=[LEFT, RIGHT])))


def test_nothing_is_absent_that_the_source_could_not_annotate() -> None:
    template = Template(["zebra", "bed"], {}, 0)
    image = seen(ZEBRAS, zebra=[LEFT, RIGHT])
    drawn = [template.turns(image, "conversation", f"{key}") for key in range(60)]
    told = " ".join(turn.answer for turns in drawn if isinstance(turns, list) for turn in turns)
    assert "no bed" in told
    assert "toilet" not in told


def test_as_many_answers_are_yes_as_no() -> None:
    given = [turn.answer for turn in asked(seen(ZEBRAS, zebra=[LEFT, RIGHT]), keys=200)]
    yes, no = (sum(answer.startswith(word) for answer in given) for word in ("Yes", "No"))
    assert yes == no > 0


# ---- counts ----------------------------------------------------------------------------------------------------------


def test_a_number_is_told_where_boxes_and_captions_agree() -> None:
    assert "two zebras can be seen here" in answers(seen(ZEBRAS, zebra=[LEFT, RIGHT]))


@pytest.mark.parametrize(
    "image",
    [
        seen(ZEBRAS, zebra=[LEFT, RIGHT, BOTTOM]),
        seen(ZEBRAS, zebra=LEFT),
        seen(ZEBRAS, crowds=("zebra",), zebra=[LEFT, RIGHT]),
        seen(ZEBRAS, invalid=True, zebra=[LEFT, RIGHT]),
        seen(ZEBRAS.replace("Two zebras in", "Several zebras with three zebras in"), zebra=[LEFT, RIGHT]),
        seen(ZEBRAS, zebra=[LEFT, (0.06, 0.31, 0.39, 0.79)]),  # one zebra, boxed twice
        seen(ZEBRAS, zebra=[LEFT, (0.6, 0.3, 0.64, 0.34)]),  # a speck
        seen("A herd of zebras in a field.|Many zebras in a field.", zebra=[LEFT, RIGHT]),
    ],
)
def test_no_number_is_told_in_doubt(image: object) -> None:
    turns = asked(image) + asked(image, "detail")  # type: ignore[arg-type]
    assert not any(re.search("how many|count|number", turn.question, re.IGNORECASE) for turn in turns)
    assert not any(re.search("two zebras in all|the two zebras", turn.answer) for turn in turns)


def test_one_is_told_where_every_caption_names_one_and_none_more() -> None:
    assert "one cat can be seen" in answers(seen(PAIR, cat=LEFT, dog=RIGHT))
    more = seen(f"{PAIR}|Some cats and a dog.", cat=LEFT, dog=RIGHT)
    assert not re.search("one cat|a cat can|yes, .*cat", answers(more))


def test_things_that_are_often_missed_are_not_counted_as_one() -> None:
    image = seen("A chair next to a cat.|A cat by a chair.|A cat near a chair.", cat=LEFT, chair=RIGHT)
    assert not re.search("one chair", answers(image))


# ---- places ----------------------------------------------------------------------------------------------------------


def test_of_two_single_things_that_are_clearly_apart_the_side_is_told() -> None:
    told = answers(seen(PAIR, cat=LEFT, dog=RIGHT))
    assert "the cat is to the left of the dog" in told
    assert "the dog is to the right of the cat" in told
    assert not re.search("cat[^.]* right of|dog[^.]* left of", told)


def test_a_pair_is_asked_for_from_one_of_its_ends_only() -> None:
    template = Template(COCO, {}, 0)
    for key in range(60):
        turns = template.turns(seen(PAIR, cat=LEFT, dog=RIGHT), "conversation", f"key {key}")
        assert isinstance(turns, list)
        assert sum(bool(re.search("(left|right) of", turn.answer)) for turn in turns) <= 1


def test_a_person_beside_others_of_whom_no_caption_speaks_is_not_said_to_be_the_only_one() -> None:
    captions = "A man holding a cat.|A man with a cat.|A man and a cat."
    told = answers(seen(captions, person=[LEFT, RIGHT], cat=TOP))
    assert "at least one person" in told
    assert not re.search("there is a person,|a person and|and a person", told)


def test_a_side_that_is_asked_wrongly_is_denied() -> None:
    for turn in asked(seen(PAIR, cat=LEFT, dog=RIGHT), keys=200):
        if match := re.search(r"the (cat|dog).* to the (left|right) of", turn.question):
            right = match.groups() in {("cat", "left"), ("dog", "right")}
            assert turn.answer.startswith("Yes" if right else "No")


def test_the_higher_of_two_is_told() -> None:
    told = answers(seen(PAIR, cat=TOP, dog=BOTTOM))
    assert "the cat is higher up in the picture than the dog" in told
    assert "left" not in told


@pytest.mark.parametrize("dog", [(0.38, 0.3, 0.9, 0.8), [RIGHT, BOTTOM]])
def test_no_side_is_told_of_things_that_overlap_or_are_not_single(dog: object) -> None:
    told = answers(seen(PAIR, cat=LEFT, dog=dog))  # type: ignore[arg-type]
    assert not re.search("(left|right) of", told)


@pytest.mark.parametrize(
    ("box", "place"),
    [
        (LEFT, "on the left side"),
        ((0.6, 0.1, 0.9, 0.4), "in the upper right part"),
        (BOTTOM, "in the lower part"),
        ((0.35, 0.3, 0.65, 0.7), "near the middle"),
    ],
)
def test_the_part_of_the_picture_is_told(box: tuple[float, float, float, float], place: str) -> None:
    assert f"the cat is {place} of the picture" in answers(seen(PAIR, cat=box, dog=(0.0, 0.0, 1.0, 1.0)))


@pytest.mark.parametrize(
    "box",
    [
        (0.3, 0.49, 0.65, 0.8),  # lower than the middle, higher than the lower part
        (0.3, 0.35, 0.5, 0.65),  # left of the middle, and not far to the left
        (0.51, 0.2, 0.7, 0.8),  # in the right half, but at its middle
        (0.1, 0.3, 0.9, 0.7),  # in the middle, and beyond
        (0.45, 0.1, 0.55, 0.9),
    ],
)
def test_no_part_of_the_picture_is_told_where_eyes_would_not_agree(box: tuple[float, float, float, float]) -> None:
    image = seen(PAIR, cat=box, dog=(0.0, 0.0, 1.0, 1.0))
    assert not re.search("the cat .*(middle|part|side)", answers(image) + answers(image, "detail"))


# ---- captions --------------------------------------------------------------------------------------------------------


def test_a_caption_that_others_contradict_is_not_told() -> None:
    image = seen(
        "A woman riding a red bicycle.|A man riding a red bicycle.|A man on a red bicycle.|A man on a bicycle.",
        person=LEFT,
        bicycle=BOTTOM,
    )
    told = answers(image) + answers(image, "detail")
    assert "a man riding a red bicycle" in told or "a man on a red bicycle" in told
    assert "woman" not in told


def test_a_caption_that_counts_otherwise_than_the_boxes_is_not_told() -> None:
    image = seen("Three zebras grazing in a field.|Zebras grazing in a field.|Zebras in a field.", zebra=[LEFT, RIGHT])
    assert "three" not in answers(image) + answers(image, "detail")


@pytest.mark.slow
def test_skiing_is_not_believed_where_a_snowboard_is_boxed() -> None:
    image = seen(
        "A person is skiing on the slope.|A person skiing down a slope.|A snowboarder on the slope.",
        person=LEFT,
        snowboard=(0.1, 0.7, 0.3, 0.85),
    )
    assert not re.search(r"\bski", answers(image) + answers(image, "detail"))


def test_a_colour_is_told_where_two_captions_agree_and_none_disagrees() -> None:
    captions = "A white cat next to a dog.|A white cat and a dog.|A cat looking at a dog."
    assert "the cat is white" in answers(seen(captions, cat=LEFT, dog=RIGHT))
    assert "white" not in answers(seen(f"{captions}|A grey cat with a dog.", cat=LEFT, dog=RIGHT))


def test_the_place_is_told_where_captions_agree_and_none_names_another() -> None:
    captions = "A cat in a kitchen.|A cat sleeping in the kitchen."
    assert "the scene is set in a kitchen" in answers(seen(captions, cat=LEFT))
    assert "the scene is set" not in answers(seen(f"{captions}|A cat in a bathroom.", cat=LEFT))


def test_the_list_of_things_stays_open() -> None:
    lists = [
        turn
        for turn in asked(seen(PAIR, cat=LEFT, dog=RIGHT))
        if re.search("(which|living|few|of the) things|seen here|what is in the picture", turn.question.lower())
    ]
    assert lists
    assert all(re.search("mong other|most striking|need not be", turn.answer) for turn in lists)


def test_a_detailed_answer_is_one_paragraph_of_two_sentences_or_more() -> None:
    turns = Template(COCO, {}, 0).turns(seen(PAIR, cat=LEFT, dog=RIGHT), "detail", "key")
    assert isinstance(turns, list)
    assert len(turns) == 1
    assert turns[0].answer.count(". ") >= 1
    assert "\n" not in turns[0].answer
    assert broken(turns) is None


def test_the_question_for_a_detailed_answer_asks_for_no_more_than_it_holds() -> None:
    ways = phrases()["detail"]
    placed, unplaced = seen(PAIR, cat=LEFT, dog=RIGHT), seen(PAIR, cat=(0, 0, 1, 1), dog=(0.1, 0, 1, 1))
    turns = [*asked(placed, "detail"), *asked(unplaced, "detail"), *asked(seen(PAIR, cat=TOP), "detail")]
    assert len(asked(unplaced, "detail")) == 60
    assert {turn.question for turn in turns} >= {*ways["several"], *ways["located"]}
    for turn in turns:
        sentences = turn.answer.count(". ") + 1
        located = bool(re.search("side of|part of|middle of|(left|right) of|higher up", turn.answer))
        fitting = {*ways["two" if sentences == 2 else "several"], *(ways["located"] if located else [])}
        assert turn.question in fitting


def test_a_detailed_answer_says_nothing_twice() -> None:
    zebras = "Zebras grazing in a field.|Zebras grazing in the field.|Two zebras.|Two zebras grazing."
    assert "there are two zebras in all" in answers(seen(zebras, zebra=[LEFT, BOTTOM]), "detail")
    assert not re.search("(left|right) of", answers(seen(PAIR, cat=LEFT, dog=RIGHT), "detail"))  # their sides are told
    zebras = "Two zebras grazing by a bench.|Two zebras grazing in front of a bench.|Two zebras grazing near a bench."
    told = answers(seen(zebras, zebra=[LEFT, BOTTOM], bench=RIGHT), "detail")
    assert "two zebras grazing" in told
    assert "in all" not in told


def test_a_detailed_answer_tells_the_height_and_the_place_only_where_they_are_new() -> None:
    beneath = (0.3, 0.52, 0.7, 0.7)
    assert "higher up" in answers(seen(PAIR, cat=TOP, dog=beneath), "detail")
    kitchen = "A cat next to a dog in a kitchen.|A cat and a dog in a kitchen."
    assert "the scene is set" not in answers(seen(kitchen, cat=LEFT, dog=LEFT), "detail")
    assert "the scene is set in a kitchen" in answers(seen("A cat.|A kitchen.|My kitchen, my cat.", cat=TOP), "detail")
