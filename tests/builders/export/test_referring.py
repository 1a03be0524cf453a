"""Questions and answers about regions, in LLaVA's files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from builders.export.grounded import grounded
from builders.export.referring import export, region, turns_of
from builders.grounding.boxes import Box
from builders.grounding.tasks.wording import WHAT, WHERE, WHERE_ALL
from builders.instruct.turns import IMAGE
from tests.builders.grit_dataset import DOG, FIELD, FLOWER, MEADOW, TWO, Pair, grit_dataset, told
from tests.builders.grounding.captions import boxes

REGION = re.compile(r"\[([01]\.\d{3}), ([01]\.\d{3}), ([01]\.\d{3}), ([01]\.\d{3})\]")


def turns(item: dict[str, Any]) -> list[tuple[str, str]]:
    said = [turn["value"].replace(IMAGE, "").strip() for turn in item["conversations"]]
    return list(zip(said[::2], said[1::2], strict=True))


def exported(tmp_path: Path, *pairs: Pair, seed: int = 0) -> list[dict[str, Any]]:
    export(grit_dataset(tmp_path / f"made{seed}", pairs), tmp_path / f"out{seed}", seed)
    found: list[dict[str, Any]] = told(tmp_path / f"out{seed}/llava.json")
    return found


def test_an_item_is_llavas_with_the_image_once(tmp_path: Path) -> None:
    (item,) = exported(tmp_path, MEADOW)
    assert item.keys() == {"id", "image", "conversations"}
    assert [turn["from"] for turn in item["conversations"]] == ["human", "gpt"]
    assert sum(IMAGE in turn["value"] for turn in item["conversations"]) == 1
    assert (tmp_path / "out0/images" / item["image"]).read_bytes() == b"photo"


def test_by_the_seed_a_turn_asks_for_the_box_or_for_the_phrase(tmp_path: Path) -> None:
    words, place = MEADOW.caption, "[0.100, 0.200, 0.300, 0.400]"
    (one,) = grounded(grit_dataset(tmp_path / "made", [MEADOW]))
    found = {(turn.question, turn.answer) for seed in range(40) for turn in turns_of(one, seed)}
    where = {(question.format(words), place) for question in WHERE}
    what = {(question.format(place), words) for question in WHAT}
    assert found <= where | what
    assert found & where and found & what
    assert turns_of(one, 3) == turns_of(one, 3)


def test_of_a_phrase_with_several_boxes_all_are_asked_for(tmp_path: Path) -> None:
    found = turns(exported(tmp_path, TWO)[0])
    assert found[1][0] in {question.format("two cats") for question in WHERE_ALL}
    assert found[1][1] == "[0.000, 0.500, 1.000, 1.000], [0.250, 0.250, 0.500, 0.500]"


def test_a_phrase_that_the_caption_says_twice_is_not_asked_about(tmp_path: Path) -> None:
    both = Pair("k", "A dog and 1 dog", (("A dog", "A dog", [DOG]), ("1 dog", "1 dog", [FIELD])))
    (item,) = exported(tmp_path, both)
    assert all(any(words in told for told in turn) for turn, words in zip(turns(item), ("a dog", "1 dog"), strict=True))
    same = Pair("s", "a dog, A dog", (("a dog", "a dog", [DOG]), ("A dog", "A dog", [FIELD])))
    assert exported(tmp_path, same, MEADOW, seed=1)[0]["id"] == "k1"


@pytest.mark.parametrize("words", ["The {} of {0}", "50% of a dog", "a \\1 dog"])
def test_a_phrase_with_signs_of_templates_is_told_as_it_is(tmp_path: Path, words: str) -> None:
    ((question, answer),) = turns(exported(tmp_path, Pair("k", words, ((words, words, [FLOWER]),)))[0])
    assert (words[0].lower() + words[1:]) in question + answer or words in question + answer


@given(boxes())
def test_a_region_is_read_back_to_a_thousandth_and_has_a_size(box: Box) -> None:
    found = REGION.fullmatch(region([box]))
    assert found is not None
    read = [float(number) for number in found.groups()]
    near = 0.0005 if all(b - a >= 0.001 for a, b in zip(box[:2], box[2:], strict=True)) else 0.0015
    assert all(abs(a - b) <= near + 1e-9 for a, b in zip(read, box, strict=True))
    assert 0 <= read[0] < read[2] <= 1 and 0 <= read[1] < read[3] <= 1


@pytest.mark.parametrize(
    ("box", "text"),
    [
        ((0.1001, 0.2, 0.1004, 0.4), "[0.100, 0.200, 0.101, 0.400]"),
        ((0.2, 0.9998, 0.4, 1.0), "[0.200, 0.999, 0.400, 1.000]"),
    ],
)
def test_a_thin_region_is_a_thousandth_wide_inside_the_photo(box: Box, text: str) -> None:
    assert region([box]) == text
