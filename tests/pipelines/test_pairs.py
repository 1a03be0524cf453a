"""Filtered pairs, whole: from scenes with known truth, and from what lies on disk."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import webdataset
import yaml
from PIL import Image
from safetensors.torch import save_file

from builders.shards.store import Store
from builders.shards.verify import verify
from schemas.errors import UserError
from tests.pipelines.milling import data_files, mill, table
from tests.tiny_clip import save_clip

SCENES = {"kind": "scenes", "count": 60, "seed": 3, "size": 64}
NOISE = {"mismatched": 0.2, "one_word": 0.1, "duplicates": 0.1, "corrupt": 0.1, "foreign": 0.1}


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_clip(tmp_path_factory.mktemp("clip")))


def write(path: Path, **fields: Any) -> Path:
    path.write_text(yaml.safe_dump({"kind": "pairs", "source": SCENES, "output": {"unit": 25}, **fields}))
    return path


# -- the truth travels


@pytest.mark.ray
def test_given_scenes_with_noise_then_the_truth_of_every_record_stands_in_index_or_rejects(
    tmp_path: Path, out: Path
) -> None:
    recipe = write(tmp_path / "r.yaml", source={**SCENES, **NOISE}, rules={"languages": ["en"]})

    manifest = mill(recipe, out)

    inputs = manifest["funnel"]["inputs"]
    assert inputs["total"] == 60 == inputs["kept"] + inputs["rejected"]
    assert verify(Store(str(out))).problems == []
    kept, lost = (table(out, view, "key", "truth_kind", "truth_language") for view in ("index", "rejects"))
    assert len({key for key, *_ in kept + lost}) == 60
    assert {kind for _, kind, _ in kept + lost} == {
        *("clean", "mismatched", "one_word", "duplicate", "corrupt", "foreign")
    }
    assert not any(kind == "corrupt" for _, kind, _ in kept), "what does not decode is never kept"
    assert all(language == "en" for *_, language in kept)
    matches = table(out, "rejects", "distinct truth_match", "truth_kind")
    assert (None, "corrupt") in matches, "nobody can say whether a caption fits a picture that cannot be seen"


@pytest.mark.ray
def test_given_a_dataset_then_plain_webdataset_reads_picture_caption_and_all_that_is_known(
    tmp_path: Path, out: Path
) -> None:
    mill(write(tmp_path / "r.yaml"), out)

    samples = list(webdataset.WebDataset(sorted(map(str, (out / "data").glob("*.tar"))), shardshuffle=False))

    assert len(samples) == 60
    for sample in samples:
        told = json.loads(sample["json"])
        assert told["key"] == sample["__key__"]
        assert told["caption"] == sample["txt"].decode()
        assert (told["width"], told["height"], told["truth_match"]) == (64, 64, True)
        assert sample["jpg"].startswith(b"\xff\xd8")


# -- scores


@pytest.mark.ray
def test_given_a_threshold_then_the_score_of_every_pair_is_known_and_decides(
    tmp_path: Path, out: Path, clip: str
) -> None:
    scores = mill(write(tmp_path / "all.yaml", clip={"model": clip}), tmp_path / "all")["samples"]
    assert scores == 60, "without a threshold all are kept"
    every = dict(table(tmp_path / "all", "index", "key", "clip_score"))
    assert all(score == round(score, 6) for score in every.values()), "scores stand in the index as they were rounded"
    middle = sorted(every.values())[30]

    manifest = mill(write(tmp_path / "r.yaml", clip={"model": clip, "min_score": round(middle, 6)}), out)

    kept, lost = (dict(table(out, view, "key", "clip_score")) for view in ("index", "rejects"))
    assert {**kept, **lost} == every
    assert min(kept.values()) >= middle > max(lost.values())
    assert manifest["funnel"]["inputs"]["reasons"] == {"rejected/min_clip_score/low_score": len(lost)}
    assert manifest["tallies"] == {"clip_halved": 0}
    assert len(manifest["content"]["models"]["clip"]) == 64
    assert {"torch", "open_clip_torch"} <= manifest["versions"].keys()


@pytest.mark.ray
def test_given_embeddings_then_they_stand_beside_the_index_and_their_product_is_the_score(
    tmp_path: Path, out: Path, clip: str
) -> None:
    recipe = write(tmp_path / "r.yaml", clip={"model": clip, "image_embedding": True, "text_embedding": True})

    mill(recipe, out)

    assert sorted(path.name for path in (out / "embeddings").iterdir()) == [f"00000{n}.parquet" for n in range(3)]
    for unit in range(3):
        found = pq.read_table(out / f"embeddings/00000{unit}.parquet")
        index = pq.read_table(out / f"index/00000{unit}.parquet")
        assert found["key"].to_pylist() == index["key"].to_pylist()
        assert str(found.schema.field("image_embedding").type) == "fixed_size_list<element: halffloat>[8]"
        images, texts = (np.array(found[f"{what}_embedding"].to_pylist(), float) for what in ("image", "text"))
        np.testing.assert_allclose((images * texts).sum(1), index["clip_score"].to_numpy(), atol=2e-3)
    assert verify(Store(str(out))).problems == []
    (out / "embeddings/000001.parquet").write_bytes(b"other")
    assert "embeddings/000001.parquet" in "\n".join(verify(Store(str(out))).problems)


@pytest.mark.ray
def test_given_a_head_then_its_score_is_a_column_and_its_bound_a_rule(tmp_path: Path, out: Path, clip: str) -> None:
    head = tmp_path / "head.safetensors"
    save_file({"weight": torch.eye(8)[:1].contiguous(), "bias": torch.tensor([0.5])}, head)
    heads = [{"column": "aesthetic", "path": "head.safetensors", "min_score": 0.5}]

    mill(write(tmp_path / "r.yaml", clip={"model": clip, "heads": heads, "image_embedding": True}), out)

    sql = f"""select key, aesthetic, image_embedding[1] from '{out}/index/*.parquet'
        join '{out}/embeddings/*.parquet' using (key)"""
    rows = duckdb.sql(sql).fetchall()
    assert rows
    for _, aesthetic, first in rows:
        assert aesthetic == pytest.approx(first + 0.5, abs=1e-3)
    assert all(score < 0.5 for (score,) in table(out, "rejects", "aesthetic"))
    assert all(score >= 0.5 for _, score, _ in rows)


@pytest.mark.ray
def test_given_a_threshold_for_a_language_then_its_captions_alone_meet_it(tmp_path: Path, out: Path, clip: str) -> None:
    recipe = write(
        tmp_path / "r.yaml",
        source={**SCENES, "foreign": 0.5},
        rules={"languages": ["en", "de", "fr", "es", "it", "nl"]},
        clip={"model": clip, "min_score": -1, "min_score_by_language": {"de": 1.0}},
    )

    mill(recipe, out)

    lost = table(out, "rejects", "language", "step")
    assert set(lost) == {("de", "min_clip_score")}
    assert "de" not in {language for (language,) in table(out, "index", "language")}


@pytest.mark.ray
def test_given_one_recipe_when_built_twice_in_other_batches_then_the_same_bytes(tmp_path: Path, clip: str) -> None:
    recipe = write(tmp_path / "r.yaml", source={**SCENES, **NOISE}, clip={"model": clip})

    mill(recipe, tmp_path / "one")
    mill(recipe, tmp_path / "two")

    assert data_files(tmp_path / "one") == data_files(tmp_path / "two")


# -- what lies on disk


@pytest.mark.ray
def test_given_a_dataset_of_ours_when_milled_again_then_its_tars_are_a_source(tmp_path: Path, out: Path) -> None:
    mill(write(tmp_path / "r.yaml"), out)

    again = mill(write(tmp_path / "again.yaml", source={"path": str(out / "data")}), tmp_path / "again")

    assert again["samples"] == 60
    both = [dict(table(folder, "index", "key", "n_bytes")) for folder in (out, tmp_path / "again")]
    assert both[0] == both[1]


@pytest.mark.ray
@pytest.mark.parametrize("kind", ["jsonl", "parquet", "folder", "webdataset"])
def test_given_regions_of_text_then_the_photo_is_scored_without_them_too(
    tmp_path: Path, out: Path, clip: str, kind: str
) -> None:
    rows = [
        {"key": f"k{n}", "file": f"k{n}.png", "caption": f"a lawn {n}", "ocr": boxes}
        for n, boxes in enumerate([[[10.0, 10.0, 50.0, 30.0]], [], None, "left"][: 3 if kind == "parquet" else 4])
    ]
    source = with_text(tmp_path / "in", rows, kind)
    recipe = write(
        tmp_path / "r.yaml",
        source={**source, "text_boxes": "ocr"},
        clip={"model": clip, "mask_text": True, "min_score_masked": -1},
    )

    mill(recipe, out)

    scores = table(out, "index", "key", "clip_score", "clip_score_masked")
    assert [(key, plain == masked) for key, plain, masked in scores] == [("k0", False), ("k1", True), ("k2", True)]
    assert table(out, "rejects", "key", "reason") == ([] if kind == "parquet" else [("k3", "bad_text_boxes")])


def with_text(folder: Path, rows: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Green pictures with a red region, and what is told of them; the source's fields."""
    folder.mkdir()
    picture = Image.new("RGB", (64, 40), (0, 200, 0))
    picture.paste((200, 0, 0), (10, 10, 50, 30))
    for row in rows:
        picture.save(folder / row["file"])
        (folder / f"{row['key']}.json").write_text(json.dumps(row))
    if kind == "jsonl":
        (folder / "all.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return {"path": str(folder / "all.jsonl"), "image": "file"}
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), folder / "all.parquet")
        return {"path": str(folder / "all.parquet"), "image": "file"}
    if kind == "folder":
        return {"path": str(folder), "kind": "folder"}
    with tarfile.open(folder / "all.tar", "w") as tar:
        for row in rows:
            for end in ("png", "json"):
                tar.add(folder / f"{row['key']}.{end}", f"{row['key']}.{end}")
    return {"path": str(folder / "all.tar")}


# -- recipes that are wrong


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"clip": {"model": "ViT-B-33"}}, r"clip\.model: 'ViT-B-33'.*ViT-B-32"),
        ({"clip": {"model": "ViT-B-32"}}, r"clip\.pretrained: ViT-B-32 needs weights"),
        ({"clip": {"model": "RN50", "random_seed": 0, "min_score": 2}}, r"clip\.min_score is 2: "),
        (
            {
                "clip": {"model": "RN50", "random_seed": 0, "min_score_by_language": {"de": 0.2}},
                "rules": {"languages": ["en"]},
            },
            r"'de' is not among rules\.languages",
        ),
        (
            {"clip": {"model": "RN50", "random_seed": 0, "heads": [{"column": "width", "path": "/a"}]}},
            r"clip\.heads\.0\.column: 'width' is a column already",
        ),
        ({"source": {**SCENES, "mismatched": 0.7, "corrupt": 0.7}}, "sum to more than 1"),
        ({"source": {**SCENES, "shape": 3}}, r"there is no field source\.shape; did you mean source\.s"),
        ({"source": {"kind": "scene"}}, r"source\.kind is 'scene', but must be one of: csv, folder, .*scenes"),
        ({"source": {}}, r"source\.path is not given"),
        (
            {"clip": {"model": "RN50", "random_seed": 0, "mask_text": True}},
            r"clip\.mask_text: needs source\.text_boxes",
        ),
        ({"rules": {"preset": "qwen_vl"}}, r"published no numbers for rules\.max_aspect.*; give"),
    ],
)
def test_given_a_recipe_that_is_wrong_then_one_line_names_field_and_mend(
    tmp_path: Path, out: Path, fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told) as refused:
        mill(write(tmp_path / "r.yaml", **fields), out)
    assert "\n" not in str(refused.value)
