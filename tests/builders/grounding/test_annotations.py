"""Annotated boxes: placed on the photo that a viewer sees, and claimed by the chunks that name them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.grounding.annotations import AnnotatedBoxes, PlaceBoxes
from builders.grounding.detect import Query
from builders.step import Rejected, Result, Services
from schemas.errors import UserError

# ---- placing ---------------------------------------------------------------------------------------------------------


def pixel_box(x: float, y: float, w: float, h: float, crowd: bool = False, category: str = "dog") -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "category": category, "crowd": crowd}


def place(
    boxes: list[dict[str, Any]],
    annotated: tuple[int | None, int | None],
    seen: tuple[int, int],
    orientation: int = 1,
) -> Result:
    record = {
        "_boxes": boxes,
        "_annotated_width": annotated[0],
        "_annotated_height": annotated[1],
        "width": seen[0],
        "height": seen[1],
        "orientation": orientation,
    }
    (result,) = PlaceBoxes()([record])
    return result


def gold(result: Result) -> list[dict[str, Any]]:
    assert isinstance(result, dict), result
    found: list[dict[str, Any]] = result["_gold"]
    return found


def corners(box: dict[str, Any]) -> tuple[float, ...]:
    return tuple(box[name] for name in ("x1", "y1", "x2", "y2"))


def test_boxes_are_placed_in_parts_of_the_photo_with_what_they_are() -> None:
    (box,) = gold(place([pixel_box(10, 20, 30, 40, crowd=True)], (100, 200), (100, 200)))
    assert box == {"x1": 0.1, "y1": 0.1, "x2": 0.4, "y2": 0.3, "category": "dog", "crowd": True, "instance": 0}


@pytest.mark.parametrize(
    "bad",
    [
        (math.nan, 0, 5, 5),
        (0, 0, 0, 5),
        (0, 0, 5, -1),
        (300, 0, 5, 5),
        (-9, -9, 5, 5),
        (0, math.inf, 5, 5),
        (0, 0, 5, math.nan),
    ],
)
def test_a_box_that_is_none_is_dropped_and_counted_and_its_neighbours_stay(bad: tuple[float, ...]) -> None:
    result = place([pixel_box(*bad), pixel_box(10, 20, 30, 40)], (100, 200), (100, 200))
    assert [box["instance"] for box in gold(result)] == [1]
    assert isinstance(result, dict)
    assert (result["boxes_invalid"], result["boxes_crowd"]) == (1, 0)


def test_crowd_regions_are_counted() -> None:
    result = place([pixel_box(1, 1, 5, 5, crowd=True), pixel_box(2, 2, 5, 5)], (100, 200), (100, 200))
    assert isinstance(result, dict)
    assert result["boxes_crowd"] == 1


def test_a_photo_of_another_size_than_annotated_is_rejected() -> None:
    result = place([pixel_box(1, 1, 5, 5)], (640, 480), (320, 240))
    assert result == Rejected("size_differs", "annotated as (640, 480), but the photo is (320, 240)")


def test_a_photo_whose_size_nobody_annotated_is_taken_as_seen() -> None:
    (box,) = gold(place([pixel_box(10, 20, 30, 40)], (None, None), (100, 200)))
    assert corners(box) == (0.1, 0.1, 0.4, 0.3)


def test_boxes_annotated_on_the_stored_pixels_are_turned_and_those_annotated_upright_are_not() -> None:
    upright = gold(place([pixel_box(10, 20, 30, 40)], (100, 200), (100, 200), orientation=6))
    assert corners(upright[0]) == (0.1, 0.1, 0.4, 0.3)
    stored = gold(place([pixel_box(20, 10, 40, 30)], (200, 100), (100, 200), orientation=6))
    assert corners(stored[0]) == pytest.approx((0.6, 0.1, 0.9, 0.3))


def test_a_photo_that_is_not_turned_cannot_be_annotated_lying() -> None:
    assert isinstance(place([], (200, 100), (100, 200), orientation=1), Rejected)


# ---- claiming --------------------------------------------------------------------------------------------------------

CATEGORIES = ("person", "dog", "couch", "suitcase", "bicycle", "motorcycle")


@pytest.fixture(scope="module")
def detector(services: Services) -> AnnotatedBoxes:
    made = AnnotatedBoxes(CATEGORIES)
    made.setup(services)
    return made


def chunk(words: str, plural: bool = False, of: str = "") -> dict[str, Any]:
    return {"words": words.split(), "plural": plural, "of": of.split()}


def boxed(*names: str) -> list[dict[str, Any]]:
    """A box for each name, the later the larger; "crowd of x" is a crowd region."""
    made = []
    for i, name in enumerate(names):
        side = 0.1 * (i + 1)
        category = name.removeprefix("crowd of ")
        made.append(
            {"x1": 0.0, "y1": 0.0, "x2": side, "y2": side, "category": category, "crowd": category != name}
            | {"instance": i}
        )
    return made


def claim(detector: AnnotatedBoxes, chunks: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """(chunk, instance) of every claim."""
    query = Query(None, "", [], {"_chunks": chunks, "_gold": found})
    (answer,) = detector.detect([query])
    detections = answer.detections
    assert all(d.score == 1.0 for d in detections)
    return [(d.span, d.instance) for d in detections if d.instance is not None]


def test_a_singular_chunk_claims_the_largest_box_of_its_category(detector: AnnotatedBoxes) -> None:
    assert claim(detector, [chunk("a dog")], boxed("dog", "dog", "person")) == [(0, 1)]


def test_the_next_singular_chunk_takes_the_largest_that_nobody_claimed(detector: AnnotatedBoxes) -> None:
    chunks = [chunk("a dog"), chunk("another dog"), chunk("a third dog")]
    assert claim(detector, chunks, boxed("dog", "dog")) == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    "several",
    [
        chunk("two dogs"),
        chunk("the dog", plural=True),
        chunk("a group", of="small dogs"),
        chunk("a bunch", of="dog"),
    ],
)
def test_a_plural_or_collective_chunk_claims_all_boxes_crowds_too(
    detector: AnnotatedBoxes, several: dict[str, Any]
) -> None:
    assert claim(detector, [several], boxed("dog", "crowd of dog", "person")) == [(0, 0), (0, 1)]


def test_luggage_is_all_suitcases(detector: AnnotatedBoxes) -> None:
    assert claim(detector, [chunk("luggage")], boxed("suitcase", "suitcase")) == [(0, 0), (0, 1)]


def test_a_singular_chunk_never_takes_a_crowd(detector: AnnotatedBoxes) -> None:
    assert claim(detector, [chunk("a dog")], boxed("dog", "crowd of dog")) == [(0, 0)]
    assert claim(detector, [chunk("a dog")], boxed("crowd of dog")) == []


def test_synonyms_name_their_category(detector: AnnotatedBoxes) -> None:
    chunks = [chunk("a young skier"), chunk("the sofa"), chunk("a puppy"), chunk("a bike")]
    assert claim(detector, chunks, boxed("person", "couch", "dog", "bicycle")) == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_crowd_of_dogs_is_no_person(detector: AnnotatedBoxes) -> None:
    assert claim(detector, [chunk("a crowd", of="dogs")], boxed("person", "dog")) == [(0, 1)]
    assert claim(detector, [chunk("a crowd")], boxed("person", "dog")) == [(0, 0)]


def test_what_nobody_annotated_gets_nothing(detector: AnnotatedBoxes) -> None:
    assert claim(detector, [chunk("a tree"), chunk("a hot dog"), chunk("a couch")], boxed("dog")) == []


def test_several_queries_are_answered_in_order_and_know_nothing_of_each_other(detector: AnnotatedBoxes) -> None:
    query = Query(None, "", [], {"_chunks": [chunk("a dog")], "_gold": boxed("dog")})
    nothing = Query(None, "", [], {"_chunks": [chunk("a dog")], "_gold": []})
    assert [len(found.detections) for found in detector.detect([query, nothing, query])] == [1, 0, 1]


def test_a_users_synonym_is_heard_and_one_for_a_category_that_is_not_there_is_refused(services: Services) -> None:
    own = AnnotatedBoxes(CATEGORIES, {"pooch": ["dog"]})
    own.setup(services)
    assert claim(own, [chunk("a pooch")], boxed("dog")) == [(0, 0)]
    with pytest.raises(UserError, match=r"^detector\.synonyms: .*'zebra'"):
        AnnotatedBoxes(CATEGORIES, {"pony": ["zebra"]}).table()


CHUNKS = st.lists(
    st.builds(chunk, st.sampled_from(["a dog", "dogs", "a man", "a couch", "a sky"]), st.booleans()), max_size=6
)
GOLD = st.lists(st.sampled_from(["dog", "person", "couch", "crowd of dog", "crowd of person"]), max_size=6)


@given(CHUNKS, GOLD)
def test_singular_chunks_never_share_a_box_and_every_claim_is_of_a_known_box(
    detector: AnnotatedBoxes, chunks: list[dict[str, Any]], names: list[str]
) -> None:
    found = boxed(*names)
    claims = claim(detector, chunks, found)
    singular = [i for i, c in enumerate(chunks) if not c["plural"] and c["words"] != ["dogs"]]
    taken = [instance for span, instance in claims if span in singular]
    assert len(taken) == len(set(taken))
    assert not any(found[instance]["crowd"] for instance in taken)
    assert all(sum(span == s for s, _ in claims) <= 1 for span in singular)
