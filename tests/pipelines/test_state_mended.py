"""Damage that a build mends: files of units that are gone, a claim that cannot be read. No Ray."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.shards.dataset import committed, read_markers
from builders.shards.finish import finish
from builders.shards.status import look_at
from builders.shards.store import Store
from builders.shards.verify import verify
from pipelines.dag import Dag, Stage
from pipelines.state import State, look, make_claim, prepare
from schemas.errors import BuildError, UserError
from schemas.load import load_recipe
from schemas.recipe import Recipe
from tests.pipelines.coco import good_pairs
from tests.pipelines.milling import commit_by_hand
from tests.pipelines.toys import Numbers, Toy, dag

WHOLE = dag(Stage("all", (Toy(lambda record: {"n": 0}),)), source=Numbers((4, 4, 3)))


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return load_recipe(good_pairs(tmp_path / "coco", 1).save())


@pytest.fixture
def store(recipe: Recipe, tmp_path: Path) -> Store:
    """All three units, committed by hand."""
    commit_by_hand(recipe, WHOLE, tmp_path / "out", [0, 1, 2])
    return Store(tmp_path / "out")


@pytest.fixture
def finished(recipe: Recipe, store: Store) -> Store:
    """With manifest and card."""
    finish(store, make_claim(recipe, WHOLE), read_markers(store), recipe.model_dump(mode="json"), {"seconds": 1.0}, {})
    return store


def begin(recipe: Recipe, store: Store, whole: Dag = WHOLE, **options: Any) -> State:
    claim = make_claim(recipe, whole)
    return prepare(store, claim, whole.source, **{"overwrite": False, "retry_failed": False, **options})


def is_closed(store: Store) -> bool:
    """Whether manifest and card are there; one of them alone never is."""
    there = {store.exists("manifest.json"), store.exists("README.md")}
    assert len(there) == 1
    return there.pop()


# -- files of units


def test_given_a_committed_unit_whose_shard_is_gone_then_it_is_left_to_be_built_again(
    recipe: Recipe, store: Store
) -> None:
    store.delete("data/000002.tar")

    assert look(store, make_claim(recipe, WHOLE), WHOLE.source).left == [2]


@pytest.mark.parametrize("gone", ["units/000001.json", "data/000001.tar", "index/000001.parquet"])
def test_given_a_finished_dataset_of_which_a_file_is_gone_then_it_is_not_finished_before_that_is_built_again(
    recipe: Recipe, finished: Store, gone: str
) -> None:
    finished.delete(gone)
    assert look(finished, make_claim(recipe, WHOLE), WHOLE.source).left == [1]
    assert is_closed(finished), "looking writes nothing"

    assert begin(recipe, finished).left == [1]

    assert not is_closed(finished)
    assert not look_at(finished).finished


def test_given_a_finished_dataset_that_is_whole_then_it_stays_finished(recipe: Recipe, finished: Store) -> None:
    assert begin(recipe, finished).left == []

    assert is_closed(finished)
    assert look_at(finished).finished


def test_given_a_finished_dataset_when_a_run_is_refused_then_it_stays_as_it_is(recipe: Recipe, finished: Store) -> None:
    finished.delete("data/000000.tar")
    changed = replace(WHOLE, source=Numbers((4, 4, 3), files=("0", "new", "new")))

    with pytest.raises(UserError, match="files have changed"):
        begin(recipe, finished, changed)

    assert is_closed(finished)


def test_given_a_unit_of_which_a_file_is_gone_then_its_marker_goes_before_it_is_built_again(
    recipe: Recipe, finished: Store
) -> None:
    finished.delete("data/000001.tar")

    begin(recipe, finished)

    assert committed(finished) == [0, 2], "killed after the shard, the old marker would vouch for new bytes"


def test_given_markers_of_another_build_then_their_units_are_built_again_and_what_no_unit_has_goes(
    recipe: Recipe, finished: Store
) -> None:
    for path, told in (("units/000001.json", {"content_hash": "0" * 64}), ("units/000007.json", {"unit": 7})):
        text = json.loads(finished.read_bytes("units/000001.json"))
        finished.put_bytes(path, json.dumps({**text, **told}).encode())
    manifest = json.loads(finished.read_bytes("manifest.json"))
    assert [problem for problem in verify(finished).problems if problem.endswith("which builds the unit anew")]

    assert begin(recipe, finished).left == [1]

    assert committed(finished) == [0, 2] and not is_closed(finished)
    commit_by_hand(recipe, WHOLE, finished.root, [1])
    assert begin(recipe, finished).left == []
    again = finish(finished, make_claim(recipe, WHOLE), read_markers(finished), manifest["recipe"], {}, {})
    assert again["dataset_digest"] == manifest["dataset_digest"]


# -- the claim


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut off"),
        pytest.param("[]", id="no object"),
        pytest.param('{"format": 2, "content": {}, "unit_sizes": [5]}', id="no sizes of units"),
    ],
)
def test_given_a_claim_that_cannot_be_read_then_one_line_names_the_file_and_overwrite_starts_over(
    recipe: Recipe, store: Store, text: str
) -> None:
    store.put_bytes("build.json", text.encode())

    with pytest.raises(BuildError, match=r"\A.*/build\.json: .*; build again with --overwrite\Z"):
        begin(recipe, store)
    assert begin(recipe, store, overwrite=True).left == [0, 1, 2]


@pytest.mark.parametrize("claim", ['{"scripts": {}}', '[{"task": "x"}]', "// mine\n{}", '{"format": 2, "steps": []}'])
def test_a_folder_of_another_program_is_not_overwritten(recipe: Recipe, tmp_path: Path, claim: str) -> None:
    store = Store(tmp_path / "theirs")
    store.put_bytes("build.json", claim.encode())
    store.put_bytes("data/mine.tar", b"mine")
    with pytest.raises(UserError, match=r"give another folder|empty the folder yourself"):
        begin(recipe, store, overwrite=True)
    assert store.list_below("") == ["build.json", "data/mine.tar"]
