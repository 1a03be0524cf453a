"""GrIT from any pair: what is told, and refused, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.kinds import make_dag
from pipelines.plan import render_plan
from schemas.errors import UserError
from schemas.load import load_recipe
from tests.pipelines.coco import good_pairs
from tests.pipelines.milling import mill
from tests.pipelines.web_pairs import pairs, write

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        *((source, kind) for source in ("coco", "scenes") for kind in ("annotations", "zero_shot", "http")),
        *(("pairs", kind) for kind in ("zero_shot", "http")),  # which have no annotations
    ],
)
def test_given_any_source_and_detector_with_every_option_then_the_steps_fit_together(
    tmp_path: Path, source: str, kind: str, dino: str, clip: str
) -> None:
    pairs(tmp_path, 2)
    good_pairs(tmp_path, 2).save()
    sources: dict[str, Any] = {
        "coco": {"images": "photos", "captions": "captions.json", "instances": "instances.json"},
        "scenes": {"kind": "scenes", "count": 2},
        "pairs": {"path": "pairs.parquet"},
    }
    detectors: dict[str, Any] = {
        "annotations": {"kind": "annotations"},
        "zero_shot": {"kind": "zero_shot", "model": dino},
        "http": {"kind": "http", "url": "http://127.0.0.1:1/detect", "name": "nobody"},
    }
    options: dict[str, Any] = {"centre_crop": {}, "min_side": 8, "tasks": {}, "nested": False}
    options["clip"] = [{"model": clip}, {"column": "clip_similarity_vitl14", "model": clip}]
    recipe = write(tmp_path, detectors[kind], source=sources[source], min_score=0.3, **options)

    text = render_plan(load_recipe(recipe), make_dag(load_recipe(recipe)), None)

    steps = ["min_side", "noun_chunks", "detect", "select_boxes", "centre_crop", "prepare_image_vitb32"]
    steps += ["clip_similarity_vitb32", "clip_similarity_vitl14", "grit_sample"]
    places = [text.partition("(this machine)")[2].index(f" {name}\n") for name in steps]
    assert places == sorted(places)
    assert ("place_boxes" in text) == (kind == "annotations")
    assert "key.<format> (image)" in text


@pytest.mark.parametrize(("second", "shared_pixels"), [("clip", True), ("larger_clip", False)])
def test_given_two_similarities_then_one_stage_scores_both_and_what_looks_alike_is_prepared_once(
    tmp_path: Path, dino: str, clip: str, second: str, shared_pixels: bool, request: pytest.FixtureRequest
) -> None:
    pairs(tmp_path, 2)
    other = {"column": "clip_similarity_vitl14", "model": request.getfixturevalue(second)}
    recipe = write(tmp_path, {"kind": "zero_shot", "model": dino}, clip=[{"model": clip}, other])

    stages = {stage.name: stage for stage in make_dag(load_recipe(recipe)).stages}

    one, two = stages["clip"].steps
    assert (stages["clip"].gpus, one.reads) == (1, ("_pixels_vitb32", "_tokens_vitb32"))
    assert two.reads == ("_pixels_vitb32" if shared_pixels else "_pixels_vitl14", "_tokens_vitl14")
    assert len(stages["prepare"].steps) == (3 if shared_pixels else 4)


def test_given_a_similarity_whose_model_is_not_there_then_the_plan_says_which_of_them(
    tmp_path: Path, dino: str, clip: str
) -> None:
    pairs(tmp_path, 1)
    models = [{"model": clip}, {"column": "clip_similarity_vitl14", "model": "ViT-L-14"}]
    recipe = write(tmp_path, {"kind": "zero_shot", "model": dino}, clip=models)
    with pytest.raises(UserError, match=r"^clip\.1\.pretrained: ViT-L-14 needs weights"):
        make_dag(load_recipe(recipe))


def test_given_a_model_when_planned_then_it_is_told_with_its_own_threshold_and_size(tmp_path: Path, owl: str) -> None:
    pairs(tmp_path, 2)
    recipe = load_recipe(write(tmp_path, {"kind": "zero_shot", "model": owl}))

    text = render_plan(recipe, make_dag(recipe), None)

    assert f"detector  OWLv2, {owl}" in text
    assert "resized to 64 x 64 pixels; fp32, 8 at once" in text
    assert "score over 0.1 (the default of OWLv2), none that overlaps a better one by more than 0.5" in text
    assert "stage grounding: tasks of 1 CPU (a GPU stage: there is none), batches of 3" in text


def test_given_a_threshold_then_it_is_told_in_place_of_the_models_own(tmp_path: Path, dino: str) -> None:
    pairs(tmp_path, 2)
    dag = make_dag(load_recipe(write(tmp_path, {"kind": "zero_shot", "model": dino}, min_score=0.4)))
    assert dag.chosen["boxes"].startswith("score over 0.4 (min_score), ")
    assert dag.chosen["photos"] == "shorter side 96 pixels, the longer at most 160; fp32, 8 at once"


@pytest.mark.parametrize("key", [None, " "])
def test_given_an_endpoint_whose_key_is_not_set_then_the_build_says_so_before_ray_starts_and_the_plan_does_not_mind(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.delenv("DETECTOR_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("DETECTOR_KEY", key)
    monkeypatch.setattr("pipelines.run.ray_session", lambda: pytest.fail("Ray is started"))
    pairs(tmp_path, 1)
    detector = {"kind": "http", "url": "http://127.0.0.1:1/detect", "name": "nobody", "api_key_env": "DETECTOR_KEY"}
    recipe = write(tmp_path, detector, min_score=0.5)

    assert render_plan(load_recipe(recipe), make_dag(load_recipe(recipe)), None)
    with pytest.raises(UserError) as error:
        mill(recipe, out)

    told = str(error.value)
    assert told.startswith("detector.api_key_env: the variable DETECTOR_KEY is not set; export DETECTOR_KEY=… where")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("detector", "told"),
    [
        ({"kind": "zero_shot", "model": "no such model"}, "detector.model: "),
        ({"kind": "glip", "variant": "T", "checkpoint": "/nowhere/glip.pth"}, "detector.checkpoint: "),
    ],
)
def test_given_a_model_that_is_not_there_then_the_plan_says_which_field(
    tmp_path: Path, detector: dict[str, Any], told: str
) -> None:
    pairs(tmp_path, 1)
    with pytest.raises(UserError) as error:
        make_dag(load_recipe(write(tmp_path, detector)))
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)


@pytest.mark.ray
def test_given_half_precision_without_a_gpu_then_the_plan_notes_it_and_the_build_is_refused_with_the_field(
    tmp_path: Path, out: Path, dino: str
) -> None:
    pairs(tmp_path, 1)
    path = write(tmp_path, {"kind": "zero_shot", "model": dino, "precision": "bf16"})
    recipe = load_recipe(path)
    assert "note: detector.precision: bf16 needs a GPU, and this machine" in render_plan(recipe, make_dag(recipe), None)
    with pytest.raises(UserError, match=r"^detector\.precision: bf16 needs a GPU, and this cluster \(.* 0 GPUs\) has"):
        mill(path, out)
    assert "note:" not in render_plan(recipe, make_dag(load_recipe(path, ["detector.precision=fp32"])), None)
