"""Task samples beside grounded captions."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from builders.export.conversations import export as export_conversations
from builders.export.kosmos2 import export as export_kosmos2
from builders.export.samples import samples
from builders.grounding.tasks.names import Names
from builders.grounding.tasks.pack import TaskSamples
from builders.grounding.words import known_categories, load_words
from builders.shards.verify import verify
from builders.step import Packed
from schemas.tasks import TaskWeights
from tests.builders.grit_dataset import DOG, FIELD, FLOWER, MEADOW, NO_BOX, Pair, grit_dataset, record_of

NAMES = Names(load_words(known_categories()))
WEIGHTS = TaskWeights().model_dump()
ALL = len(WEIGHTS)

ZEBRA = Pair("z", "one zebra", (("one zebra", "one zebra", [DOG]),))
CAT = Pair("c", "A cat by the sofa", (("A cat", "A cat by the sofa", [FIELD]), ("the sofa", "the sofa", [FLOWER])))
PAIRS = (MEADOW, ZEBRA, CAT)


def packed(pairs: tuple[Pair, ...] = PAIRS, **settings: Any) -> list[Packed]:
    pack = TaskSamples(
        **{"names": NAMES, "weights": WEIGHTS, "count": ALL, "lower_right": "transformers", "seed": 0} | settings
    )
    return pack([{name: record_of(pair).get(name) for name in pack.reads} for pair in pairs])


def of(samples: list[Packed], position: int) -> list[Any]:
    return [json.loads(s.record["_json"]) for s in samples if s.parents == (position,) and s.suffix]


def test_the_caption_stays_as_it_is_and_tasks_stand_behind_it() -> None:
    found = packed()
    captions = [sample for sample in found if not sample.suffix]
    assert [sample.parents for sample in captions] == [(0,), (1,), (2,)]
    for sample, pair in zip(captions, PAIRS, strict=True):
        made = record_of(pair)
        assert sample.record["_json"] == made["json"]
        assert (sample.record["_text"], sample.record["task"]) == (pair.caption, None)
        tasks = [one.suffix for one in found if one.parents == sample.parents and one.suffix]
        assert tasks == [f"t{i}" for i in range(1, sample.record["n_tasks"] + 1)]


def test_all_tasks_of_a_caption_differ() -> None:
    cat = of(packed(), 2)
    assert sorted(one["task"] for one in cat) == sorted(WEIGHTS)


def test_a_sample_tells_task_prompt_target_and_turns() -> None:
    for sample in packed():
        if not sample.suffix:
            continue
        told = json.loads(sample.record["_json"])
        assert sample.record["_text"] == told["prompt"] + told["target"]
        assert sample.record["task"] == told["task"]
        assert told["image"] == f"{told['id']}.jpg"
        human, gpt = told["conversations"]
        assert told["prompt"].strip() in human["value"] and human["value"].count("<image>") == 1
        assert gpt["value"] == told["target"].strip()
        assert [message["role"] for message in told["messages"]] == ["user", "assistant"]


def test_what_is_absent_comes_from_the_other_images_of_the_unit() -> None:
    asked = {one["prompt"] for seed in range(30) for one in of(packed(seed=seed), 0) if one["target"] == " no"}
    assert asked
    assert all("zebra" in prompt or "couch" in prompt or "cat" in prompt for prompt in asked)
    assert not [one for seed in range(10) for one in of(packed((MEADOW,), seed=seed), 0) if one["target"] == " no"]


def test_another_caption_of_the_same_photo_is_listened_to() -> None:
    twins = (
        Pair("a", "stripes", (("stripes", "stripes", [DOG]),), columns={"image_id": "1"}),
        Pair("b", "one zebra", (("one zebra", "one zebra", [DOG]),), columns={"image_id": "1"}),
        Pair("d", "an oven", (("an oven", "an oven", [DOG]),), columns={"image_id": None}),
    )
    wanted = {"weights": {"pali_presence": 1.0}, "count": 1}
    apart = {one["prompt"] for seed in range(40) for one in of(packed(twins, seed=seed, **wanted), 0)}
    together = {o["prompt"] for s in range(40) for o in of(packed(twins, seed=s, photo=("image_id",), **wanted), 0)}
    assert any("zebra" in prompt for prompt in apart)
    assert not any("zebra" in prompt for prompt in together)
    assert any("oven" in prompt for prompt in together)


def test_annotated_boxes_are_shown_and_never_absent() -> None:
    gold = (
        Pair("a", "stripes", (("stripes", "stripes", [DOG]),), columns={"_gold": [{"category": "zebra"}]}),
        Pair("b", "one zebra", (("one zebra", "one zebra", [DOG]),), columns={"_gold": []}),
    )
    found = of(packed(gold, gold=True, weights={"pali_listing": 1.0, "pali_presence": 1.0}), 0)
    assert [one["target"] for one in found if one["task"] == "pali_listing"] == [" zebra"]
    assert " no" not in {one["target"] for one in found}


def test_what_was_annotated_on_the_whole_photo_is_neither_shown_by_a_part_of_it_nor_absent() -> None:
    cut = (
        Pair("a", "a cat", (("a cat", "a cat", [DOG]),), columns={"_gold": [{"category": "zebra"}]}),
        Pair("b", "one zebra", (("one zebra", "one zebra", [DOG]),), columns={"_gold": []}),
    )
    weights = {"pali_listing": 1.0, "pali_presence": 1.0}
    found = [one for seed in range(20) for one in of(packed(cut, gold=True, cut=True, weights=weights, seed=seed), 0)]
    assert {one["target"] for one in found} == {" cat", " yes"}
    assert not any("zebra" in one["prompt"] for one in found)


@pytest.mark.parametrize(
    ("chunk", "expression", "listed"),
    [
        ("a group", "a group of dogs", " dog"),
        ("a bunch", "a bunch of hot dogs", " hot dog"),
        ("a hot dog", "a hot dog on a bun", " hot dog"),
        ("two men", "two men", " person"),
        ("a couple", "a couple at a table", " person"),
    ],
)
def test_a_boxed_chunk_shows_what_it_names_and_a_group_its_members(chunk: str, expression: str, listed: str) -> None:
    pair = Pair("k", expression, ((chunk, expression, [DOG]),))
    assert [one["target"] for one in of(packed((pair,), weights={"pali_listing": 1.0}), 0)] == [listed]


def test_tasks_are_drawn_by_weight_and_seed_and_key() -> None:
    weights = {**dict.fromkeys(WEIGHTS, 0.0), "qwen_caption": 3.0, "kosmos2_caption": 1.0}
    pairs = tuple(Pair(f"k{i}", "a dog", (("a dog", "a dog", [DOG]),)) for i in range(200))
    found = packed(pairs, weights=weights, count=1)
    assert 130 < Counter(sample.record["task"] for sample in found)["qwen_caption"] < 170
    assert [s.record for s in found] == [s.record for s in packed(pairs, weights=weights, count=1)]
    assert [s.record for s in found] != [s.record for s in packed(pairs, weights=weights, count=1, seed=1)]


def test_a_key_that_is_too_long_to_be_added_to_brings_no_task() -> None:
    long = Pair("k" * 78, "a dog", (("a dog", "a dog", [DOG]),))
    (caption,) = packed((long,), count=1)
    assert (caption.suffix, caption.record["n_tasks"]) == ("", 0)


def test_a_task_does_not_depend_on_what_is_drawn_beside_it() -> None:
    alone = {(one["task"], one["target"]) for name in WEIGHTS for one in of(packed(weights={name: 1.0}, count=1), 2)}
    assert alone == {(one["task"], one["target"]) for one in of(packed(), 2)}


@pytest.fixture
def built(tmp_path: Path) -> Any:
    pack = TaskSamples(NAMES, WEIGHTS, ALL, "transformers", 0)
    return grit_dataset(tmp_path / "made", PAIRS[:2], [NO_BOX, CAT], pack=pack)


def test_in_shards_tasks_stand_beside_their_caption_with_its_image(built: Any, tmp_path: Path) -> None:
    assert verify(built).problems == []
    found = list(samples(built, ("task", "n_tasks")))
    assert [s.key for s in found if s.told["task"] is None] == ["k1", "z", "c"]
    for sample in found:
        assert sample.parts["jpg"] == b"photo"
        if sample.told["task"]:
            assert json.loads(sample.parts["json"])["id"] == sample.key
            assert sample.key.rpartition("-")[0] == sample.parent
    index = pq.read_table(tmp_path / "made/index")
    assert not [name for name in index.column_names if name.startswith("_")]


def test_exports_take_captions_or_tasks(built: Any, tmp_path: Path) -> None:
    assert export_kosmos2(built, tmp_path / "kosmos2") == 3
    tasks = sum(1 for sample in samples(built, ("task",)) if sample.told["task"])
    assert export_conversations(built, "llava", tmp_path / "llava") == tasks
    items = json.loads((tmp_path / "llava/llava.json").read_text())
    assert all((tmp_path / "llava/images" / item["image"]).is_file() for item in items)
    assert len(list((tmp_path / "llava/images").iterdir())) < len(items)
