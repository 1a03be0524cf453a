"""A dataset of gristmill's own as a source: what its index tells travels with the pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.sources.pairs import Pairs
from builders.sources.pairs_open import open_pairs
from schemas.errors import UserError
from schemas.pairs import PairsSource
from tests.builders.sources.test_pairs_tar import tar


def dataset(folder: Path, **columns: list[Any]) -> Path:
    """A finished dataset of the samples b and a, with such an index beside them."""
    for name in ("data", "index", "units"):
        (folder / name).mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    samples = [(f"{key}.{ext}", data) for key in "ba" for ext, data in (("jpg", b"photo"), ("txt", b"a dog"))]
    tar(folder / "data/000000.tar", (*samples,))
    told = {"key": ["a", "b"], "parent": ["a", "b"], "shard": ["000000.tar"] * 2, "offset": [0, 1], **columns}
    pq.write_table(pa.table(told), folder / "index/000000.parquet")
    return folder


def opened(folder: Path, limit: int | None = None) -> Pairs:
    return open_pairs(PairsSource(path=str(folder), limit=limit), 10, index=True)


def test_scores_travel_by_key_under_the_names_of_further_columns(tmp_path: Path) -> None:
    pairs = opened(dataset(tmp_path, clip_score=[0.1, 0.2], language=["de", "en"]))

    found = pairs.read(0, 2).to_pylist()

    assert [(row["key"], row["source_clip_score"], row["source_language"]) for row in found] == [
        ("b", 0.2, "en"),
        ("a", 0.1, "de"),
    ]
    assert pairs.columns["source_clip_score"] == pa.float64()
    assert [row["_caption"] for row in found] == ["a dog", "a dog"]


def test_what_travelled_so_already_keeps_its_name_whatever_the_step_of_that_name_says(tmp_path: Path) -> None:
    pairs = opened(dataset(tmp_path, clip=[1, 2], source_clip=[3, 4]))
    assert pairs.read(1, 1).select(["source_clip", "source_source_clip"]).to_pylist() == [
        {"source_clip": 3, "source_source_clip": 1}
    ]


def test_what_is_made_anew_does_not_travel(tmp_path: Path) -> None:
    ours = {"width": [1, 2], "format": ["jpg"] * 2, "url": ["u"] * 2, "caption": ["c"] * 2, "parents": [["x"], ["y"]]}
    assert opened(dataset(tmp_path, **ours)).extra == {}


def test_of_a_part_the_right_rows_travel(tmp_path: Path) -> None:
    pairs = opened(dataset(tmp_path, clip_score=[0.1, 0.2]), limit=1)
    assert pairs.read(0, 1)["source_clip_score"].to_pylist() == [0.2]


def test_another_index_is_another_input(tmp_path: Path) -> None:
    one, other = (opened(dataset(tmp_path / str(score), clip_score=[score, 0.2])) for score in (0.1, 0.3))
    assert one.digests.keys() == {"source.path", "source.index"}
    assert one.digests["source.path"] == other.digests["source.path"]
    assert one.digests["source.index"] != other.digests["source.index"]


def test_an_index_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = dataset(tmp_path)
    (folder / "index/000000.parquet").write_bytes(b"no table")
    with pytest.raises(UserError, match=r"source\.path: .*index: cannot be read as an index: "):
        opened(folder)


def test_unless_it_is_wanted_the_index_is_not_read(tmp_path: Path) -> None:
    folder = dataset(tmp_path, clip_score=[0.1, 0.2])
    assert open_pairs(PairsSource(path=str(folder)), 10).extra == {}


@pytest.mark.parametrize("index", [True, False])
def test_task_samples_are_no_pairs_and_are_counted(tmp_path: Path, index: bool) -> None:
    folder = dataset(tmp_path, task=[None, "qwen_caption"])

    pairs = open_pairs(PairsSource(path=str(folder)), 10, index=index)

    assert pairs.listing["key"].to_pylist() == ["a"]
    assert pairs.unit_sizes == (1,)
    assert pairs.facts()["task samples passed over"] == 1


def test_a_limit_counts_pairs_and_not_task_samples(tmp_path: Path) -> None:
    assert opened(dataset(tmp_path, task=[None, "qwen_caption"]), limit=1).listing["key"].to_pylist() == ["a"]


def test_a_dataset_without_tasks_tells_of_none(tmp_path: Path) -> None:
    pairs = opened(dataset(tmp_path, score=[1, 2]))
    assert pairs.listing.num_rows == 2
    assert "task samples passed over" not in pairs.facts()
