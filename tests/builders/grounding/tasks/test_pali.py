"""Questions about objects, with true negatives."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.dice import Dice
from builders.grounding.tasks.names import Named, Names
from builders.grounding.tasks.pali import absent_from, listing_task, presence_task, which_task
from builders.grounding.tasks.task import Task
from builders.grounding.tasks.wording import LISTING, PRESENCE, WHICH
from builders.grounding.words import known_categories, load_words
from builders.instruct.template.english import noun

THINGS = known_categories()
CAPTIONS = st.lists(st.sampled_from([*THINGS, "men", "a sofa", "kitchen", "herd", "running", "puppies"]), max_size=4)


@pytest.fixture(scope="module")
def names() -> Names:
    return Names(load_words(THINGS))


HERE = Named(("dog", "cat"), frozenset({"dog", "cat", "bed"}))
OTHERS = [HERE, Named(("cat", "bed"), frozenset()), Named(("zebra",), frozenset()), Named(("oven", "dog"), frozenset())]


def drawn(make: object, named: Named, times: int = 200) -> list[Task]:
    absent = absent_from(named, OTHERS)
    tasks = [make(named, absent, Dice(0, "x", i)) for i in range(times)]  # type: ignore[operator]
    return [task for task in tasks if task]


def test_a_thing_is_there_if_it_has_a_box_and_not_if_only_others_show_it() -> None:
    tasks = drawn(presence_task, HERE)
    asked = {(question.format(noun(t).a), " yes") for question in PRESENCE for t in ("dog", "cat")}  # type: ignore[union-attr]
    denied = {(question.format(noun(t).a), " no") for question in PRESENCE for t in ("zebra", "oven")}  # type: ignore[union-attr]
    assert {(task.prompt, task.target) for task in tasks} == asked | denied
    assert 70 < Counter(task.target for task in tasks)[" no"] < 130


def test_all_things_are_listed_in_their_order() -> None:
    task = listing_task(HERE, Dice(0))
    assert task is not None
    assert task.prompt in LISTING
    assert task.target == " dog, cat"
    assert listing_task(Named((), frozenset()), Dice(0)) is None


def test_of_several_things_those_that_are_there_are_named_and_one_at_least_is_not() -> None:
    for task in drawn(which_task, HERE):
        asked = re.findall(r"dog|cat|zebra|oven|bed", task.prompt)
        there = [thing for thing in asked if thing in HERE.shown]
        assert task.prompt in {question.format(", ".join(asked)) for question in WHICH}
        assert 2 <= len(asked) == len(set(asked)) <= 4
        assert "bed" not in asked
        assert len(there) < len(asked)
        assert task.target == f" {', '.join(there) or 'none'}"
    assert len(drawn(which_task, HERE)) > 190
    assert {task.target for task in drawn(which_task, HERE)} >= {" none", " dog", " cat", " dog, cat"}


def test_without_other_images_nothing_is_called_absent() -> None:
    assert absent_from(HERE, [])(Dice(0), 1) == []
    assert absent_from(HERE, [HERE])(Dice(0), 1) == []


def test_the_commoner_a_thing_is_the_likelier_it_is_drawn() -> None:
    others = [Named(("car",), frozenset())] * 9 + [Named(("kite",), frozenset())]
    found = Counter(absent_from(HERE, others)(Dice(0, i), 1)[0] for i in range(200))
    assert 160 < found["car"] < 195


@given(
    CAPTIONS, st.lists(st.sampled_from(THINGS), max_size=3), st.lists(CAPTIONS, min_size=1, max_size=5), st.integers()
)
def test_nothing_that_a_caption_or_a_box_names_is_ever_called_absent(
    names: Names, said: list[str], boxed: list[str], others: list[list[str]], seed: int
) -> None:
    here = names.of([" ".join(said)], [], boxed)
    pool = [names.of([" ".join(words)], words, []) for words in others]
    absent = absent_from(here, [one for one in pool if one.shown])(Dice(seed), 3)
    words = names.possible(" ".join(said))
    assert not set(absent) & (words | set(boxed) | set(said))
    assert len(set(absent)) == len(absent)
    assert all(any(thing in one.shown for one in pool) for thing in absent)
