"""GrIT from any pair: detectors that learned what things look like, through whole builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from builders.export import grit
from builders.filters.clip import ClipScore, PrepareImage, PrepareText
from builders.filters.clip_files import ClipSpec, find_clip
from builders.grounding.glip.config import VARIANTS
from builders.shards.store import Store
from builders.shards.verify import verify
from builders.step import Record, Services
from pipelines.kinds import make_dag
from schemas.load import load_recipe
from tests.builders.grounding.detector_server import serving
from tests.builders.grounding.glip.tiny import TINY, write_files
from tests.pipelines.milling import commit_by_hand, data_files, losses, mill, samples, table
from tests.pipelines.web_pairs import CAPTIONS, SIMILARITY, SIZES, pairs, photo, write

pytestmark = pytest.mark.slow


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
        model: dict[str, Any] = {"clip": [{"model": clip}], "centre_crop": {}}
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
