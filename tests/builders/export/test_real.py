"""Real photos with annotated boxes, through every step of a build and every export, read by judges of their own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from builders.export import coco, grit, qwen_vl, referring
from builders.export.kosmos2 import export as kosmos2_export
from builders.grounding.parse_tokens import parse
from builders.grounding.qwen_tags import parse as parse_qwen
from builders.shards.store import Store
from builders.step import Services
from schemas.load import load_recipe
from tests.builders.export.test_coco import Coco
from tests.builders.export.test_referring import REGION
from tests.builders.grit_dataset import MEADOW, grit_dataset, record_of, told
from tests.builders.grounding.test_sample import ROOT
from tests.builders.grounding.test_sample import grit as build

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Real:
    """A dataset of real photos, and the record of each of its samples by key."""

    store: Store
    records: dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=["demo", "coco_mini"])
def real(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shipped_parser: Path, services: Services
) -> Real:
    if request.param == "demo":
        pytest.importorskip("skimage", reason="the demo's photos come with scikit-image: pip install gristmill[demo]")
        recipe = load_recipe(ROOT / "recipes/demo/grit.yaml")
    else:
        folder = request.getfixturevalue("shared") / "data/coco_mini"
        paths = {"images": "images", "captions": "captions_train2017.json", "instances": "instances_train2017.json"}
        sets = [f"source.{name}={folder / path}" for name, path in paths.items()]
        recipe = load_recipe(ROOT / "recipes/grit.yaml", [*sets, "source.limit=60"])
    made = build(recipe, shipped_parser, services)
    rows = [{name: record[name] for name in record_of(MEADOW) if name in record} for record in made]
    store = grit_dataset(tmp_path_factory.mktemp("real") / "made", records=rows)
    return Real(store, {row["key"]: json.loads(row["json"]) for row in rows})


def near(a: Any, b: Any, by: float) -> bool:
    return all(abs(p - q) <= by + 1e-9 for p, q in zip(a, b, strict=True))


def test_transformers_gives_back_phrases_spans_and_boxes_of_every_line(
    real: Real, kosmos2: ModuleType, tmp_path: Path
) -> None:
    assert kosmos2_export(real.store, tmp_path / "out") == len(real.records)
    for line in (tmp_path / "out/kosmos2.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        record = real.records[item["key"]]
        text, entities = kosmos2.clean_text_and_extract_entities_with_bboxes(item["text"])
        assert text == record["caption"] == parse(item["text"])[0]
        assert [(words, list(span)) for words, span, _ in entities] == [
            (p["text"], [p["start"], p["end"]]) for p in record["phrases"]
        ]
        for (*_, found), phrase in zip(entities, record["phrases"], strict=True):
            assert len(found) == len(phrase["boxes"])
            assert all(near(a, b, 1 / 32) for a, b in zip(found, phrase["boxes"], strict=True))


def test_the_released_records_are_the_samples_own(real: Real, tmp_path: Path) -> None:
    grit.export(real.store, tmp_path / "out")
    for row in pq.read_table(tmp_path / "out").to_pylist():
        record = real.records[row["key"]]
        assert row == {name: record[name] for name in row}


def test_qwen_vls_answers_are_read_back_to_the_noun_chunks(real: Real, tmp_path: Path) -> None:
    qwen_vl.export(real.store, tmp_path / "out")
    for item in told(tmp_path / "out/qwen_vl.json"):
        record = real.records[item["id"]]
        asked, answered = (turn["value"] for turn in item["conversations"])
        path = re.fullmatch(r"Picture 1: <img>(.+)</img>\n.+", asked)
        assert path is not None and (tmp_path / "out" / path[1]).is_file()
        caption, phrases = parse_qwen(answered)
        assert caption == record["caption"]
        chunks = sorted((tuple(c[:2]), c[2:6]) for c in record["noun_chunks"])
        found = sorted(((p.start, p.end), list(box)) for p in phrases for box in p.boxes)
        assert [span for span, _ in found] == [span for span, _ in chunks]
        for span in {span for span, _ in chunks}:
            ours, true = ([box for s, box in boxes if s == span] for boxes in (found, chunks))
            assert all(any(near(box, one, 0.001) for one in true) for box in ours)


def test_coco_boxes_lie_on_their_photos(real: Real, tmp_path: Path) -> None:
    coco.export(real.store, tmp_path / "out")
    read = Coco(told(tmp_path / "out/coco.json"))
    assert len(read.images) == len(real.records)
    for number, image in read.images.items():
        record = real.records[image["key"]]
        with Image.open(tmp_path / "out/images" / image["file_name"]) as photo:
            assert photo.size == (image["width"], image["height"])
        assert len(read.of[number]) == len(record["ref_exps"])
        for annotation, item in zip(read.of[number], record["ref_exps"], strict=True):
            x, y, w, h = annotation["bbox"]
            sides = (image["width"], image["height"]) * 2
            assert near((x, y, x + w, y + h), [v * side for v, side in zip(item[2:6], sides, strict=True)], 1e-5)
            assert annotation["phrase"] == record["caption"][item[0] : item[1]]
    assert all(name == name.lower().strip() and name for name in read.names.values())


def test_llavas_regions_are_those_of_the_phrases(real: Real, tmp_path: Path) -> None:
    assert referring.export(real.store, tmp_path / "out") > len(real.records) / 2
    for item in told(tmp_path / "out/llava.json"):
        boxes = [box for phrase in real.records[item["id"]]["phrases"] for box in phrase["boxes"]]
        said = " ".join(turn["value"] for turn in item["conversations"])
        regions = [[float(number) for number in numbers] for numbers in REGION.findall(said)]
        assert regions
        assert all(any(near(region, box, 0.0005) for box in boxes) for region in regions)
        assert (tmp_path / "out/images" / item["image"]).is_file()
