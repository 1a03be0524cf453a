"""What `plan` tells before anything runs. No Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders.shards.store import Store
from pipelines.dag import Dag, Stage
from pipelines.hardware import Cluster
from pipelines.kinds import make_dag
from pipelines.plan import render_funnel, render_plan
from pipelines.state import make_claim, prepare
from schemas.errors import UserError
from schemas.load import load_recipe
from tests.pipelines.coco import Coco, good_pairs
from tests.pipelines.milling import commit_by_hand
from tests.pipelines.toys import Grouped, Numbers, Toy, dag, number


def plan(recipe: Path, *sets: str, out: Path | None = None) -> str:
    checked = load_recipe(recipe, sets)
    return render_plan(checked, make_dag(checked), str(out) if out else None)


def told(text: str, name: str) -> str:
    """What stands behind `name` in the list of inputs."""
    line = next(line for line in text.splitlines() if line.strip().startswith(name))
    return line.strip().removeprefix(name).strip()


def test_given_a_dataset_with_gaps_when_planned_then_they_are_counted_before_anything_runs(tmp_path: Path) -> None:
    coco = good_pairs(tmp_path, 3)
    coco.caption(1, "A second caption.")
    coco.photo()
    coco.caption(coco.photo(), "A photo without boxes.")
    coco.caption(coco.photo(data=None), "A photo whose file is missing.")
    coco.caption(999, "A photo that nobody has.")
    coco.boxes.append({"id": 99, "image_id": 998, "category_id": 1, "bbox": [0, 0, 1, 1], "iscrowd": 0})

    text = plan(coco.save())

    assert told(text, "inputs  ") == "7"
    assert told(text, "photos without caption (no inputs)") == "1"
    assert told(text, "captioned photos without boxes") == "2"
    assert told(text, "photos whose file is missing") == "1"
    assert told(text, "boxes of photos that no caption names") == "1"
    assert told(text, "captions with a problem") == "1"
    assert "units: 2 in all; --out tells" in text


def test_given_the_grit_recipe_when_planned_then_its_stages_and_steps_stand_in_order_with_columns_and_hardware(
    tmp_path: Path,
) -> None:
    text = plan(good_pairs(tmp_path, 1).save())

    parts = ["source", "stage photos", "check_caption", "read_image", "place_boxes", "stage chunks", "noun_chunks"]
    parts += ["stage grounding", "detect", "select_boxes", "grit_sample", "shards"]
    tree = text.partition("(this machine)")[2]
    places = [tree.index(part) for part in parts]
    assert places == sorted(places)
    assert "stage photos: tasks of 1 CPU, batches of 64" in text
    assert "reads _caption, _problem" in text
    assert "_chunks list of struct, n_chunks int32" in " ".join(text.replace("│", " ").split())
    assert "key.<format> (image), key.txt (caption), key.json (json)" in text


@pytest.mark.parametrize(
    ("gpus", "line"),
    [(0, "stage model: tasks of 1 CPU (a GPU stage: there is none)"), (4, "stage model: 4 workers of 1 GPU")],
)
def test_given_a_gpu_stage_when_planned_then_it_says_what_it_would_run_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, line: str
) -> None:
    monkeypatch.setattr("pipelines.plan.this_machine", lambda: Cluster(8, gpus))
    whole = dag(Stage("model", (Toy(lambda r: {}),), gpus=1), pack=Grouped(lambda n: ()))

    text = render_plan(load_recipe(good_pairs(tmp_path, 1).save()), whole, None)

    assert f"{line}, batches of 64" in text
    assert "pack grouped" in text


# -- units done and left


def steps(record: Any) -> Any:
    if number(record) == 5:
        raise ValueError("five")
    return {"n": 0}


@pytest.fixture
def whole() -> Dag:
    """Three units; the second holds a record that fails."""
    return dag(Stage("all", (Toy(steps),)), source=Numbers((4, 4, 3)))


@pytest.fixture
def recipe(tmp_path: Path) -> Any:
    return load_recipe(good_pairs(tmp_path / "coco", 1).save())


def test_given_no_output_yet_when_planned_then_a_run_builds_all_and_nothing_is_written(
    recipe: Any, whole: Dag, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    text = render_plan(recipe, whole, str(out))

    assert f"units: 3 in all, none done in {out}; a run builds all of them" in text
    assert not out.exists()


@pytest.mark.parametrize(
    ("done", "told"),
    [
        ([0], "3 in all, 1 done, 2 left in OUT; a run builds the 2 that are left"),
        ([0, 1], "2 done, 1 left in OUT; a run builds the 1 that are left; --retry-failed would build 1 again"),
        ([0, 1, 2], "3 done, 0 left in OUT; a run builds nothing; --retry-failed would build 1 again"),
    ],
)
def test_given_some_units_done_when_planned_then_it_tells_what_a_rerun_and_a_retry_would_do(
    recipe: Any, whole: Dag, tmp_path: Path, done: list[int], told: str
) -> None:
    out = tmp_path / "out"
    commit_by_hand(recipe, whole, out, done)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}

    text = render_plan(recipe, whole, str(out))

    assert told.replace("OUT", str(out)) in text
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_what_plan_says_of_a_retry_is_what_a_retry_does(recipe: Any, whole: Dag, tmp_path: Path) -> None:
    out = tmp_path / "out"
    commit_by_hand(recipe, whole, out, [0, 1, 2])

    state = prepare(Store(str(out)), make_claim(recipe, whole), whole.source, overwrite=False, retry_failed=True)

    assert state.left == [1]
    assert state.done == 2


def test_given_an_output_of_other_content_when_planned_then_it_is_refused_with_the_difference(
    recipe: Any, whole: Dag, tmp_path: Path
) -> None:
    commit_by_hand(recipe, whole, tmp_path / "out", [0])
    other = recipe.model_copy(update={"nms_iou": 0.9})

    with pytest.raises(UserError, match=r"recipe\.nms_iou: 0\.5 -> 0\.9"):
        render_plan(other, whole, str(tmp_path / "out"))


# -- the funnel


def test_the_funnel_tells_each_outcome_with_its_reasons_commonest_first() -> None:
    funnel = {"total": 1200, "kept": 1000, "rejected": 199, "failed": 1}
    reasons = {"rejected/a/rare": 9, "failed/b/ValueError": 1, "rejected/a/common": 190}
    inputs = {**funnel, "reasons": reasons}

    lines = render_funnel({"funnel": {"inputs": inputs, "records": inputs}, "tallies": {"n_boxes": 12345}}).splitlines()

    assert [" ".join(line.split()) for line in lines] == [
        "inputs 1,200",
        "kept 1,000",
        "rejected 199",
        "190 a/common",
        "9 a/rare",
        "failed 1",
        "1 b/ValueError",
        "counted: n_boxes 12,345",
    ]


def test_the_funnel_of_records_is_told_where_it_is_another_than_that_of_inputs(tmp_path: Path) -> None:
    one = {"total": 1, "kept": 1, "rejected": 0, "failed": 0, "reasons": {}}

    text = render_funnel({"funnel": {"inputs": one, "records": {**one, "total": 2, "kept": 2}}, "tallies": {}})

    assert [line.split()[:2] for line in text.splitlines() if line[0] != " "] == [["inputs", "1"], ["records", "2"]]


def test_planning_reads_no_payload(tmp_path: Path) -> None:
    coco = Coco(tmp_path)
    coco.pair(data=b"not a photo at all")

    assert told(plan(coco.save()), "inputs  ") == "1"
