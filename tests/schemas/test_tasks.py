"""The `tasks` of a grit recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import UserError
from schemas.load import load_recipe
from schemas.recipe import GritRecipe, content

GRIT = "kind: grit\nsource: {kind: scenes, count: 5}\n"


def recipe(folder: Path, text: str = "", *sets: str) -> GritRecipe:
    (folder / "recipe.yaml").write_text(GRIT + text)
    found = load_recipe(folder / "recipe.yaml", list(sets))
    assert isinstance(found, GritRecipe)
    return found


def test_without_the_field_there_are_no_task_samples(tmp_path: Path) -> None:
    assert recipe(tmp_path).tasks is None


def test_an_empty_field_means_one_task_of_any_kind(tmp_path: Path) -> None:
    tasks = recipe(tmp_path, "tasks: {}\n").tasks
    assert tasks is not None
    assert tasks.per_caption == 1
    assert set(tasks.weights.model_dump().values()) == {1.0}


def test_tasks_decide_bytes_and_can_be_set(tmp_path: Path) -> None:
    found = recipe(tmp_path, "", "tasks.per_caption=3", "tasks.weights.pali_which=0")
    assert content(found)["tasks"]["per_caption"] == 3
    assert content(found)["tasks"]["weights"]["pali_which"] == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tasks: {per_caption: 0}", "tasks.per_caption is 0: input should be greater than or equal to 1"),
        ("tasks: {per_caption: 11}", "tasks.per_caption is 11"),
        ("tasks: {weights: {kosmos: 1}}", "there is no field tasks.weights.kosmos; did you mean"),
        ("tasks: {weights: {pali_which: -1}}", "tasks.weights.pali_which is -1"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        recipe(tmp_path, text + "\n")


def test_weights_that_are_all_0_are_refused_with_the_mend(tmp_path: Path) -> None:
    names = GritRecipe.model_validate({"kind": "grit", "source": {"kind": "scenes", "count": 1}, "tasks": {}}).tasks
    assert names is not None
    zeros = ", ".join(f"{name}: 0" for name in names.weights.model_dump())
    with pytest.raises(UserError, match="tasks.weights: all are 0; leave tasks out"):
        recipe(tmp_path, f"tasks: {{weights: {{{zeros}}}}}\n")
