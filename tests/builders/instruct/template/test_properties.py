"""Whatever is annotated: no answer says what boxes and captions do not, and every wording can be asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.instruct.context import Box
from builders.instruct.quality import broken
from builders.instruct.template.compose import FEWEST, MOST, Seen, Template
from builders.instruct.template.english import phrases
from tests.builders.instruct.template.images import COCO

NAMES = (
    "person",
    "cat",
    "dog",
    "zebra",
    "bus",
    "bed",
    "toilet",
    "chair",
    "pizza",
    "scissors",
    "boat",
    "umbrella",
    "tv",
)
SPOKEN = {"person": "man", "tv": "television"}
PLURALS = {"person": "men", "bus": "buses", "scissors": "scissors", "pizza": "pizzas", "bench": "benches"}
PLACES = ("in a kitchen", "in a field", "on a street", "on a bed", "at a train station", "in the snow")
NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
TEMPLATE, SAME = Template(COCO, {}, 7), Template(COCO, {}, 7)

corner = st.tuples(*[st.integers(0, 95) for _ in range(2)], *[st.integers(3, 60) for _ in range(2)])
box = st.builds(
    lambda name, at: Box(
        name, (at[0] / 100, at[1] / 100, min(100, at[0] + at[2]) / 100, min(100, at[1] + at[3]) / 100)
    ),
    st.sampled_from(NAMES),
    corner,
)


@st.composite
def caption(draw: st.DrawFn) -> str:
    """Of the form that people write, and as likely wrong as right."""
    first, second = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    number = draw(st.sampled_from(["a", "two", "three", "several"]))
    head = f"a {SPOKEN.get(first, first)}" if number == "a" else f"{number} {PLURALS.get(first, first + 's')}"
    how = draw(st.sampled_from(["standing next to", "near", "beside", "are next to", "is behind"]))
    return f"{head} {how} a {SPOKEN.get(second, second)} {draw(st.sampled_from(PLACES))}."


images = st.builds(
    Seen,
    st.lists(caption(), max_size=5).map(tuple),
    st.lists(box, max_size=8).map(tuple),
    st.frozensets(st.sampled_from(NAMES), max_size=2),
    st.booleans(),
)


def _boxes(image: Seen, noun: str) -> list[Box]:
    """Those of the category that an answer means, by what this file knows of names."""
    name = {"man": "person", "men": "person", "people": "person", "tv": "tv", "pair of scissors": "scissors"}.get(
        noun, noun
    )
    return [
        one for one in image.boxes if name in (one.category, one.category + "s") or PLURALS.get(one.category) == name
    ]


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(images, st.sampled_from(["conversation", "detail"]), st.text(max_size=4))
def test_every_answer_passes_the_rules_of_quality_and_is_the_same_again(image: Seen, kind: str, key: str) -> None:
    kind_ = "detail" if kind == "detail" else "conversation"
    turns = TEMPLATE.turns(image, kind_, key)  # type: ignore[arg-type]
    assert turns == SAME.turns(image, kind_, key)  # type: ignore[arg-type]
    if isinstance(turns, list):
        assert broken(turns) is None
        assert len(turns) == 1 if kind == "detail" else FEWEST <= len(turns) <= MOST
        for turn in turns:
            assert turn.answer[0].isupper() and turn.answer.endswith(".")
            assert not re.search(r"[{}]|\ba [aeio]|  ", turn.answer + turn.question)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(images, st.integers(0, 99))
def test_every_statement_is_borne_out_by_boxes(image: Seen, key: int) -> None:
    turns = TEMPLATE.turns(image, "conversation", str(key))
    for turn in turns if isinstance(turns, list) else []:
        told = turn.answer.lower().rstrip(".")
        if found := re.search(
            r"^yes, .*?(?:is|are|see|shows|notice)? ?\b(?:a|an|some) ([a-z ]+?)(?: in the| can| is| here|$)", told
        ):
            if " of the " not in told:
                assert _boxes(image, found[1]), turn
        if re.search("how many|count the|what is the number", turn.question, re.IGNORECASE):
            number, noun = next(
                (n, re.search(rf"\b{n} ([a-z ]+?)(?: in the| can|$)", told)) for n in NUMBERS if f"{n} " in told
            )
            assert noun
            boxes = _boxes(image, noun[1].replace("pairs of scissors", "scissors"))
            assert len(boxes) == NUMBERS[number] and not image.invalid, turn
            assert boxes[0].category not in image.crowds
        if found := re.search(r"the ([a-z ]+?) (?:is|appears) to the (left|right) of the ([a-z ]+)$", told):
            [one], [other] = _boxes(image, found[1]), _boxes(image, found[3])
            gap = other.corners[0] - one.corners[2] if found[2] == "left" else one.corners[0] - other.corners[2]
            assert gap > 0.02, turn
        if found := re.search(r"^no, .*\bno ([a-z]+)|^no, the image does not show an? ([a-z]+)", told):
            noun_ = found[1] or found[2]
            assert not _boxes(image, noun_), turn
            assert not any(noun_ in one for one in image.captions), turn
            assert noun_ not in image.crowds


def test_different_keys_and_seeds_give_different_conversations() -> None:
    image = Seen(("A cat next to a dog.",) * 3, (Box("cat", (0.1, 0.2, 0.4, 0.8)), Box("dog", (0.6, 0.2, 0.9, 0.8))))
    by_key = {str(TEMPLATE.turns(image, "conversation", str(key))) for key in range(50)}
    by_seed = {str(Template(COCO, {}, seed).turns(image, "conversation", "key")) for seed in range(20)}
    assert len(by_key) > 45
    assert len(by_seed) > 15


def test_every_type_has_six_ways_to_ask_and_four_to_answer() -> None:
    for kind, ways in phrases().items():
        if kind != "detail":
            assert len(set(ways["ask"])) >= 6, kind
            for how, told in ways.items():
                assert how == "ask" or len(set(told)) >= 4, (kind, how)
    assert all(len({*phrases()["detail"][how]}) >= 6 for how in ("two", "several"))


def test_the_rules_name_only_categories_of_coco() -> None:
    path = Path(__file__).parents[4] / "builders/instruct/template/words.yaml"
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    named = {*table["same"], *table["loose"], *table["plain"], *table["bulky"]}
    for setting in table["settings"].values():
        named |= {*setting["boxes"], *setting["absent"]}
    for kind in table["alike"]:
        named |= set(kind)
    assert named <= set(COCO)
