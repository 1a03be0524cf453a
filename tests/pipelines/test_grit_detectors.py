"""GrIT from any pair: detectors that learned what things look like, through whole builds."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image, ImageDraw

from builders.export import grit
from builders.filters.clip import ClipScore, PrepareImage, PrepareText
from builders.filters.clip_files import ClipSpec, find_clip
from builders.grounding.glip.config import VARIANTS
from builders.shards.store import Store
from builders.shards.verify import verify
from builders.step import Record, Services
from pipelines.kinds import make_dag
from pipelines.plan import render_plan
from schemas.errors import UserError
from schemas.load import load_recipe
from tests.builders.grounding.detector_server import serving
from tests.builders.grounding.glip.tiny import TINY, write_files
from tests.pipelines.coco import good_pairs
from tests.pipelines.milling import commit_by_hand, data_files, losses, mill, samples, table
from tests.tiny_clip import VIT, save_clip
from tests.tiny_detectors import save_detector

pytestmark = pytest.mark.slow

CAPTIONS = (
    "A red dog on a table.",
    "Two dogs and a cat in a field of flowers.",
    "A man with a cup of coffee.",
    "a dog and a dog",
)
SIZES = ((64, 48), (48, 64), (80, 80), (64, 48))
SIMILARITY = 0.3125


@pytest.fixture(scope="session")
def dino(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_detector("grounding-dino", tmp_path_factory.mktemp("dino")))


@pytest.fixture(scope="session")
def owl(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_detector("owlv2", tmp_path_factory.mktemp("owl")))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_clip(tmp_path_factory.mktemp("clip")))


@pytest.fixture(scope="session")
def larger_clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_clip(tmp_path_factory.mktemp("larger_clip"), vision={**VIT, "image_size": 48}))


def photo(number: int) -> bytes:
    width, height = SIZES[number % 4]
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
    image, out = Image.fromarray(pixels), io.BytesIO()
    ImageDraw.Draw(image).ellipse((8, 8, 30 + number, 36), fill=(250, 20 * number % 256, 30))
    image.save(out, "PNG")
    return out.getvalue()


def pairs(folder: Path, count: int = 8) -> Path:
    """A table of pairs as a crawl leaves them: bytes, URLs, licences, a similarity, numbers of their own."""
    rows = [
        {
            "key": f"p{i}",
            "image": photo(i),
            "caption": CAPTIONS[i % 4],
            "url": f"https://example.org/{i}.png",
            "license": "CC-BY-4.0",
            "clip_similarity_vitb32": SIMILARITY + i,
            "id": 1000 + i,
        }
        for i in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "pairs.parquet")
    return folder / "pairs.parquet"


def write(folder: Path, detector: dict[str, Any], **fields: Any) -> Path:
    recipe = {"kind": "grit", "source": {"path": str(folder / "pairs.parquet")}, "detector": detector, **fields}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"output": {"unit": 3}, **recipe}))
    return path


def similarities(model: str, services: Services) -> dict[str, float]:
    """What a model alone makes of `pairs`, by key."""
    spec = ClipSpec(model)
    files, found = find_clip(spec), {}
    steps = PrepareImage(files.preprocess), PrepareText(spec), ClipScore(spec, files.dim)
    for step in steps:
        step.setup(services)
    for i in range(8):
        record: Record = {"image": photo(i), "caption": CAPTIONS[i % 4]}
        for step in steps:
            record |= step([record])[0]  # type: ignore[operator]  # none is rejected
        found[f"p{i}"] = record["clip_score"]
    return found


# -- spans


Answer = list[tuple[tuple[float, ...], float]]


def known(image: bytes, caption: str, chunks: list[str]) -> list[Answer]:
    """A detector of known answers: the n-th chunk lies in the n-th column of ten, and cups are not found."""
    found: list[Answer] = []
    for n, words in enumerate(chunks):
        box = (n / 10, 0.25, n / 10 + 0.08, 0.75)
        found.append([] if "cup" in words else [(box, 0.9), ((0.0, 0.9, 0.05, 1.0), 0.3)])
    return found


@pytest.mark.ray
def test_given_a_detector_of_known_answers_then_each_chunk_has_its_own_boxes_and_everything_else_is_kept(
    tmp_path: Path, out: Path
) -> None:
    pairs(tmp_path)
    with serving(known) as url:
        recipe = write(tmp_path, {"kind": "http", "url": url, "name": "known"}, min_score=0.65)
        manifest = mill(recipe, out)

    told = samples(out)
    assert verify(Store(str(out))).problems == []
    twice = told["p3"]
    assert [(c[0], c[1], c[2]) for c in twice["noun_chunks"]] == [(0, 5, 0.0), (10, 15, 0.1)], "a dog, and a dog"
    assert all(chunk[6] == 0.9 for one in told.values() for chunk in one["noun_chunks"]), "0.3 is under min_score"
    assert [p["text"] for p in told["p1"]["phrases"]] == ["Two dogs", "a cat", "a field of flowers"]
    for key, one in told.items():
        number = int(key[1:])
        assert one["url"] == f"https://example.org/{number}.png"
        assert (one["license"], one["id"]) == ("CC-BY-4.0", 1000 + number)
        assert (one["clip_similarity_vitb32"], one["clip_similarity_vitl14"]) == (SIMILARITY + number, None)
    index = table(out, "index", "key", "parent", "url", "license", "source_clip_similarity_vitb32")
    assert index == [(k, k, told[k]["url"], "CC-BY-4.0", told[k]["clip_similarity_vitb32"]) for k in sorted(told)]
    assert [one["what"] for one in manifest["exceptions"]] == [
        "known was asked over HTTP: another build gets what the endpoint answers then"
    ]
    assert manifest["chosen"]["detector"] == "known, over HTTP"
    assert "- detector: known, over HTTP" in (out / "README.md").read_text()
    assert url not in (out / "README.md").read_text()


@pytest.mark.ray
def test_given_photos_cropped_and_spans_apart_then_samples_hold_the_square_and_the_boxes_on_it(
    tmp_path: Path, out: Path
) -> None:
    pairs(tmp_path, 4)
    options: dict[str, Any] = {"centre_crop": {}, "phrases": "apart", "nested": False, "min_side": 49}
    with serving(lambda image, caption, chunks: [[((0.0, 0.0, 1.0, 1.0), 0.9)] for _ in chunks]) as url:
        recipe = write(tmp_path, {"kind": "http", "url": url, "name": "all"}, min_score=0.5, nms_iou=1, **options)
        assert mill(recipe, out, "tasks={}", "min_side=48")["tallies"]["dropped_crop"] == 0
        tasks = samples(out)
        manifest = mill(recipe, out, overwrite=True)

    assert [one["image"] for key, one in tasks.items() if key == "p0-t1"] == ["p0-t1.png"]
    assert (tasks["p1"]["width"], tasks["p1"]["height"]) == (48, 48)
    assert losses(out) == dict.fromkeys(("p0", "p1", "p3"), ("rejected", "min_side", "too_small"))
    (only,) = samples(out).values()
    assert [p["text"] for p in only["phrases"]] == ["A man", "a cup", "coffee"]
    assert len(only["noun_chunks"]) == 3
    assert manifest["samples"] == 1


@pytest.mark.ray
def test_given_photos_cropped_then_index_and_similarity_are_of_the_square(tmp_path: Path, out: Path, clip: str) -> None:
    pairs(tmp_path, 4)
    with serving(lambda image, caption, chunks: [[((0.0, 0.0, 1.0, 1.0), 0.9)] for _ in chunks]) as url:
        model: dict[str, Any] = {"clip": {"model": clip}, "centre_crop": {}}
        recipe = write(tmp_path, {"kind": "http", "url": url, "name": "all"}, min_score=0.5, **model)
        mill(recipe, out)
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump({"kind": "pairs", "source": {"path": str(out)}, "clip": {"model": clip}}))
    mill(again, tmp_path / "scored")

    index = table(out, "index", "key", "width", "height", "photo_width", "photo_height", "photo_format", "format")
    assert index == [(f"p{i}", min(SIZES[i]), min(SIZES[i]), *SIZES[i], "png", "png") for i in range(4)]
    scores = table(tmp_path / "scored", "index", "key", "clip_score")
    assert table(out, "index", "key", "clip_similarity_vitb32") == scores and len(scores) == 4


# -- models


@pytest.mark.ray
@pytest.mark.parametrize("kind", ["dino", "owl"])
def test_given_a_model_then_neither_units_nor_batches_change_what_it_finds(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    pairs(tmp_path, 6)
    recipe = write(tmp_path, {"kind": "zero_shot", "model": request.getfixturevalue(kind)}, min_score=0.02)

    one = mill(recipe, tmp_path / "one")
    again = mill(recipe, tmp_path / "again")
    mill(recipe, tmp_path / "other", "output.unit=6", "detector.batch=1")

    assert one["dataset_digest"] == again["dataset_digest"]
    assert data_files(tmp_path / "one") == data_files(tmp_path / "again")
    first, other = samples(tmp_path / "one"), samples(tmp_path / "other")
    assert first and first.keys() == other.keys()
    for key, sample in first.items():
        assert [c[:2] for c in sample["ref_exps"]] == [c[:2] for c in other[key]["ref_exps"]]
        boxes, others = (np.array([c[2:] for c in one["ref_exps"]]) for one in (sample, other[key]))
        np.testing.assert_allclose(boxes, others, atol=1e-4)
    assert (one["tallies"]["detector_halved"], one["tallies"]["dropped_most"]) == (0, 0)
    assert len(one["content"]["models"]["detector"]) == 64
    assert {"torch", "transformers"} <= one["content"]["versions"].keys()


@pytest.mark.ray
def test_given_pairs_that_were_filtered_before_then_their_scores_travel_and_similarities_are_added(
    tmp_path: Path, out: Path, dino: str, clip: str, larger_clip: str, services: Services
) -> None:
    pairs(tmp_path, 6)
    first = tmp_path / "first.yaml"
    source = {"path": str(tmp_path / "pairs.parquet")}
    first.write_text(yaml.safe_dump({"kind": "pairs", "source": source, "clip": {"model": clip}}))
    mill(first, tmp_path / "filtered")
    scores = dict(table(tmp_path / "filtered", "index", "key", "clip_score"))
    models = [{"model": clip}, {"column": "clip_similarity_vitl14", "model": larger_clip}]
    recipe = write(tmp_path, {"kind": "zero_shot", "model": dino}, min_score=0.02, clip=models)

    manifest = mill(recipe, out, f"source.path={tmp_path / 'filtered'}")
    grit.export(Store(str(out)), tmp_path / "released")

    told, alone = samples(out), similarities(larger_clip, services)
    released = {row["key"]: row for row in pq.read_table(tmp_path / "released").to_pylist()}
    assert told and told.keys() <= scores.keys()
    for key, one in told.items():
        assert one["source_clip_score"] == scores[key] == one["clip_similarity_vitb32"], "it is the same model"
        assert one["clip_similarity_vitl14"] == pytest.approx(alone[key], abs=2e-6)
        assert abs(alone[key] - scores[key]) > 1e-3, "the models do differ"
        for column in ("clip_similarity_vitb32", "clip_similarity_vitl14"):
            assert released[key][column] == one[column]
        assert (one["url"], one["license"], one["id"]) == (
            f"https://example.org/{key[1:]}.png",
            "CC-BY-4.0",
            1000 + int(key[1:]),
        )
    columns = table(out, "index", "key", "parent", "source_clip_score", "clip_similarity_vitb32")
    assert columns == [(key, key, scores[key], scores[key]) for key in sorted(told)]
    assert (manifest["tallies"]["clip_halved_vitb32"], manifest["tallies"]["clip_halved_vitl14"]) == (0, 0)
    digests = manifest["content"]["models"]
    assert digests.keys() == {"parser", "detector", "clip.clip_similarity_vitb32", "clip.clip_similarity_vitl14"}
    assert manifest["content"]["inputs"].keys() == {"source.path", "source.index"}


@pytest.mark.ray
def test_given_broken_photos_then_they_are_rejected_and_the_others_found(tmp_path: Path, out: Path, dino: str) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, data in enumerate((photo(0), b"no photo", photo(2), photo(3)[:-900])):
        (folder / f"k{i}.png").write_bytes(data)
        (folder / f"k{i}.txt").write_text(CAPTIONS[i])
    recipe = write(tmp_path, {"kind": "zero_shot", "model": dino}, min_score=0.02)

    manifest = mill(recipe, out, f"source.path={folder}")

    assert samples(out).keys() == {"k0", "k2"}
    assert {key: reason for key, (_, _, reason) in losses(out).items()} == {
        "k1": "not_an_image",
        "k3": "broken_image",
    }
    assert manifest["funnel"]["inputs"]["failed"] == 0


def test_given_a_glip_then_its_boxes_become_samples(
    tmp_path: Path, out: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(VARIANTS, "T", TINY)
    monkeypatch.setattr("builders.grounding.glip.preprocess.SHORT", 64)
    files = write_files(tmp_path)
    pairs(tmp_path, 3)
    detector = {"kind": "glip", "variant": "T", "checkpoint": str(files.checkpoint), "tokenizer": str(tmp_path)}
    recipe = load_recipe(write(tmp_path, {**detector, "batch": 1}, min_score=0.01))
    dag = make_dag(recipe)

    for step in dag.steps:
        step.setup(services)
    commit_by_hand(recipe, dag, out, [0])

    assert dag.chosen["detector"] == "GLIP-T, glip.pth"
    assert dag.models and dag.models["detector"] == (files.checkpoint, files.vocabulary)
    found = samples(out)
    assert found.keys() == {"p0", "p1", "p2"}, losses(out)
    assert all(0.01 < chunk[6] < 1 for one in found.values() for chunk in one["noun_chunks"])


# -- told before anything runs


@pytest.mark.parametrize("kind", ["annotations", "zero_shot", "http"])
@pytest.mark.parametrize("source", ["coco", "scenes", "pairs"])
def test_given_any_source_and_detector_with_every_option_then_the_steps_fit_together(
    tmp_path: Path, source: str, kind: str, dino: str, clip: str
) -> None:
    if (source, kind) == ("pairs", "annotations"):
        pytest.skip("pairs have no annotations; tests/schemas/test_grounding.py")
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
