"""What an image shows, and what is never called absent from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from builders.grounding.tasks import names as module
from builders.grounding.tasks.names import Names
from builders.grounding.words import known_categories, load_words


@pytest.fixture(scope="module")
def names() -> Names:
    return Names(load_words(known_categories()))


def test_an_image_shows_what_its_boxed_chunks_and_its_annotations_are(names: Names) -> None:
    named = names.of(["a man on a sofa"], ["a man", "a sofa"], ["tv", "person"])
    assert named.shown == ("person", "couch", "tv")
    assert set(named.shown) <= named.never_absent


def test_a_chunk_that_may_be_several_things_shows_none_for_certain(names: Names) -> None:
    named = names.of(["a bike"], ["a bike"], [])
    assert named.shown == ()
    assert {"bicycle", "motorcycle"} <= named.never_absent


@pytest.mark.parametrize(
    ("caption", "thing"),
    [
        ("A skier goes down", "person"),
        ("three PUPPIES asleep", "dog"),
        ("an old-fashioned sofa", "couch"),
        ("the sofas", "couch"),
        ("mice", "mouse"),
        ("a hot dog", "hot dog"),
        ("a hot dog", "dog"),
        ("somebody's cellphone!", "cell phone"),
        ("traffic lights", "traffic light"),
    ],
)
def test_what_any_words_of_a_caption_could_mean_is_never_absent(names: Names, caption: str, thing: str) -> None:
    assert thing in names.of([caption], [], []).never_absent


@pytest.mark.parametrize(
    ("caption", "thing"),
    [
        ("animals graze", "cow"),
        ("in the kitchen", "oven"),
        ("lunch", "fork"),
        ("two FARMS", "cow"),
        ("at the beach", "boat"),
        ("two bicyclists", "bicycle"),
        ("skateboarding", "skateboard"),
        ("men playing football", "sports ball"),
    ],
)
def test_what_is_usual_in_a_scene_is_never_absent(names: Names, caption: str, thing: str) -> None:
    assert thing in names.of([caption], [], []).never_absent


def test_what_another_caption_of_the_photo_names_is_never_absent(names: Names) -> None:
    assert "zebra" in names.of(["stripes", "one zebra"], [], []).never_absent
    assert "zebra" not in names.of(["stripes"], [], []).never_absent


def test_categories_that_a_user_lacks_are_no_things() -> None:
    few = Names(load_words(["dog", "oven"]))
    assert few.of(["a cat in the kitchen"], ["a cat"], []).never_absent == {"oven"}


def test_company_is_named_as_the_user_spells_it() -> None:
    own = Names(load_words(["Person", "Cell_Phone", "dining-table"]))
    assert own.of(["a hand"], [], []).never_absent == {"Person", "Cell_Phone"}
    assert own.of(["lunch"], [], []).never_absent == {"Person", "dining-table"}


def test_every_thing_in_company_is_a_category_and_every_word_is_lower_case() -> None:
    groups = yaml.safe_load((Path(module.__file__).parent / "company.yaml").read_text(encoding="utf-8"))
    assert {thing for group in groups for thing in group["with"]} <= set(known_categories())
    assert all(word == word.lower().strip() for group in groups for word in group["words"])
