"""The detector of a grit recipe, and what it goes with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.errors import UserError
from schemas.grounding import AnnotationsDetector, GlipDetector, ZeroShotDetector
from schemas.load import load_recipe
from schemas.pairs import PairsSource
from schemas.recipe import GritRecipe, content

ROOT = Path(__file__).resolve().parents[2]
COCO = {"images": "/i", "captions": "/c", "instances": "/b"}
DINO = {"kind": "zero_shot", "model": "IDEA-Research/grounding-dino-tiny"}
HTTP = {"kind": "http", "url": "http://box:8000/detect", "name": "dino-1.5"}
GLIP = {"kind": "glip", "variant": "L", "checkpoint": "/glip_large_model.pth"}


def recipe(detector: dict[str, Any] | None = None, **fields: Any) -> GritRecipe:
    given = {"detector": detector} if detector else {}
    return GritRecipe.model_validate({"kind": "grit", "source": {"path": "/pairs"}, **given, **fields})


def refused(tmp_path: Path, *sets: str, **fields: Any) -> str:
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"kind": "grit", "source": {"path": "/pairs"}, **fields}))
    with pytest.raises(UserError) as error:
        load_recipe(tmp_path / "r.yaml", sets)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{tmp_path / 'r.yaml'}: ").removeprefix("--set: ")


# -- what stands in a recipe


def test_annotations_are_the_detector_where_none_is_given() -> None:
    made = GritRecipe.model_validate({"kind": "grit", "source": COCO})
    assert made.detector == AnnotationsDetector()


def test_a_source_without_a_kind_is_told_by_its_fields() -> None:
    assert isinstance(recipe(DINO).source, PairsSource)
    assert recipe(DINO, source=COCO).source.kind == "coco"


def test_defaults_are_those_of_the_models() -> None:
    dino, glip = recipe(DINO).detector, recipe(GLIP).detector
    assert isinstance(dino, ZeroShotDetector) and isinstance(glip, GlipDetector)
    assert (dino.precision, dino.batch, dino.multiple, dino.over) == ("fp32", 8, 32, "mean")
    assert (glip.precision, glip.batch, glip.tokenizer) == ("fp32", 4, "google-bert/bert-base-uncased")


def test_paths_of_models_in_the_file_start_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    detector = {"kind": "glip", "variant": "T", "checkpoint": "glip.pth", "tokenizer": "words"}
    data = {"kind": "grit", "source": {"path": "in"}, "detector": detector}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(data))

    made = load_recipe(tmp_path / "r.yaml", ["detector.precision=bf16"])

    assert isinstance(made, GritRecipe) and isinstance(made.detector, GlipDetector)
    assert (made.detector.checkpoint, made.detector.tokenizer) == (str(tmp_path / "glip.pth"), str(tmp_path / "words"))


# -- what is content


@pytest.mark.parametrize(
    ("detector", "change"),
    [
        (DINO, {"precision": "bf16"}),
        (DINO, {"batch": 4}),
        (DINO, {"multiple": 1}),
        (DINO, {"over": "max"}),
        (DINO, {"model": "google/owlv2-base-patch16-ensemble"}),
        (HTTP, {"name": "dino-1.6"}),
        (GLIP, {"variant": "T"}),
        (GLIP, {"precision": "fp16"}),
    ],
)
def test_what_decides_boxes_is_content(detector: dict[str, Any], change: dict[str, Any]) -> None:
    assert content(recipe({**detector, **change}, min_score=0.3)) != content(recipe(detector, min_score=0.3))


@pytest.mark.parametrize(
    ("detector", "change"),
    [
        (HTTP, {"url": "https://elsewhere/detect"}),
        (HTTP, {"api_key_env": "KEY", "concurrency": 2, "timeout": 5, "retries": 0}),
        (GLIP, {"checkpoint": "/moved.safetensors"}),
        ({**DINO, "model": "/a"}, {"model": "/b"}),
    ],
)
def test_where_a_model_lies_or_answers_is_none(detector: dict[str, Any], change: dict[str, Any]) -> None:
    assert content(recipe({**detector, **change}, min_score=0.3)) == content(recipe(detector, min_score=0.3))


@pytest.mark.parametrize(
    "change",
    [
        {"min_score": 0.2},
        {"min_side": 200},
        {"centre_crop": {}},
        {"centre_crop": {"least": 0.5}},
        {"phrases": "apart"},
        {"nested": False},
        {"clip": [{"model": "ViT-B-32", "pretrained": "openai"}]},
    ],
)
def test_what_decides_samples_is_content(change: dict[str, Any]) -> None:
    base = {"centre_crop": {"least": 0.1}} if "centre_crop" in change else {}
    assert content(recipe(DINO, **base | change)) != content(recipe(DINO, **base))


# -- what cannot be


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "detector.kind: annotations needs boxes, which pairs do not bring; give zero_shot or glip"),
        ({"detector": HTTP}, "min_score: is not given, and nobody knows what scores detector.url gives; choose it"),
        ({"detector": {"kind": "zero_shot"}}, "detector.model is not given"),
        ({"detector": {**GLIP, "variant": "M"}}, "detector.variant is 'M': "),
        ({"detector": {**DINO, "synonyms": {}}}, "detector.synonyms is a field of another detector.kind"),
        ({"detector": {**DINO, "batch": 0}}, "detector.batch is 0: "),
        ({"detector": {"kind": "zero_shot", "model": 5}}, "detector.model is 5: must be text"),
        ({"detector": DINO, "min_side": 0}, "min_side is 0: "),
        ({"detector": DINO, "centre_crop": {"least": 2}}, "centre_crop.least is 2: "),
        ({"detector": DINO, "phrases": "greedy"}, "phrases is 'greedy': "),
        ({"detector": DINO, "clip": [{"column": "clip", "model": "x"}]}, "clip.0.column is 'clip': "),
        ({"detector": DINO, "clip": [{}]}, "clip.0.model is not given"),
        ({"detector": DINO, "clip": {"model": "x"}}, "clip: must be a list"),
        ({"detector": DINO, "clip": [{"model": "x"}, {"model": "y"}]}, "clip.1.column: 'clip_similarity_vitb32' is "),
    ],
)
def test_what_is_wrong_is_told_by_its_field(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    assert refused(tmp_path, **fields).startswith(told)


@pytest.mark.parametrize("url", ["box:8000", "http://me:hidden@box/", "http://box/?key=hidden", "file:///hidden"])
def test_an_address_that_may_hold_a_secret_is_not_told_again(tmp_path: Path, url: str) -> None:
    said = refused(tmp_path, detector={**HTTP, "url": url})
    assert said.startswith("detector.url: must be an address without a key or password")
    assert "hidden" not in said


def test_a_key_given_in_place_of_its_variable_is_not_told_again(tmp_path: Path) -> None:
    said = refused(tmp_path, detector={**HTTP, "api_key_env": "sk-hidden"})
    assert said == "detector.api_key_env: must be the name of a variable, as DETECTOR_KEY, which holds the key"


# -- the recipes that come with it


@pytest.mark.parametrize("name", ["grit_web", "grit_kosmos2"])
def test_the_recipes_name_every_field(name: str) -> None:
    file = ROOT / "recipes" / f"{name}.yaml"
    made = load_recipe(file, ["source.path=/pairs"])

    assert isinstance(made, GritRecipe)
    text = file.read_text()
    unset = {"name"} | ({"tasks"} if name == "grit_kosmos2" else {"parser"})
    for part, left in ((made, unset), (made.detector, set()), (made.tokens, set()), (made.output, set())):
        for field in type(part).model_fields.keys() - left:
            assert f"{field}:" in text, field


def test_kosmos2s_recipe_has_the_papers_numbers() -> None:
    made = load_recipe(ROOT / "recipes/grit_kosmos2.yaml", ["source.path=/pairs"])
    assert isinstance(made, GritRecipe) and isinstance(made.detector, GlipDetector)
    assert (made.parser, made.min_score, made.detector.variant) == ("en_core_web_trf", 0.65, "L")
    models = [(clip.column, clip.model, clip.pretrained) for clip in made.clip]
    assert models == [
        ("clip_similarity_vitb32", "ViT-B-32-quickgelu", "openai"),
        ("clip_similarity_vitl14", "ViT-L-14-quickgelu", "openai"),
    ]
