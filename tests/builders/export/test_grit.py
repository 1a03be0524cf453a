"""Grounded captions as the released Parquet records."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.export import grit
from builders.export.grit import RECORD, export
from tests.builders.grit_dataset import DOG, FIELD, FLOWER, MEADOW, NO_BOX, TWO, Pair, grit_dataset


def test_a_record_has_the_released_columns_and_types(tmp_path: Path) -> None:
    store = grit_dataset(tmp_path / "made", [MEADOW], [TWO])

    assert export(store, tmp_path / "out") == 2

    records = pq.read_table(tmp_path / "out/grit_00000.parquet")
    described = {row[0]: row[1] for row in duckdb.sql("describe select * from records").fetchall()}
    assert described == {
        "key": "VARCHAR",
        "clip_similarity_vitb32": "DOUBLE",
        "clip_similarity_vitl14": "DOUBLE",
        "id": "BIGINT",
        "url": "VARCHAR",
        "caption": "VARCHAR",
        "width": "BIGINT",
        "height": "BIGINT",
        "noun_chunks": "DOUBLE[][]",
        "ref_exps": "DOUBLE[][]",
    }
    meadow, two = records.to_pylist()
    assert (meadow["key"], meadow["id"], meadow["url"]) == ("k1", 1, "https://example.org/1.jpg")
    assert meadow["noun_chunks"] == [[0, 5, *DOG, 0.9], [9, 16, *FIELD, 0.9], [20, 27, *FLOWER, 0.9]]
    assert meadow["ref_exps"] == [[0, 27, *DOG, 0.9], [9, 27, *FIELD, 0.9], [20, 27, *FLOWER, 0.9]]
    assert (two["caption"], two["width"], two["height"], two["url"]) == (TWO.caption, 640, 480, None)


def test_the_released_record_comes_out_as_it_went_in(tmp_path: Path, shared: Path) -> None:
    released = json.loads((shared / "data/formats/grit_record_kosmos2_readme.json").read_text())
    caption = released["caption"]
    chunks = [
        (caption[c[0] : c[1]], caption[e[0] : e[1]], [tuple(c[2:6])])
        for c, e in zip(released["noun_chunks"], released["ref_exps"], strict=True)
    ]
    similarities = {name: released[name] for name in released if name.startswith("clip_similarity")}
    size = released["width"], released["height"]
    pair = Pair(released["key"], caption, chunks, b"", str(released["id"]), released["url"], size, columns=similarities)

    export(grit_dataset(tmp_path / "made", [pair]), tmp_path / "out")

    (record,) = pq.read_table(tmp_path / "out/grit_00000.parquet").to_pylist()
    for name in ("noun_chunks", "ref_exps"):  # the scores are the detector's, not the helper's
        assert [item[:6] for item in record.pop(name)] == [item[:6] for item in released.pop(name)]
    assert record == released
    assert list(record) == list(released)


def test_similarities_are_the_indexs_and_null_where_it_has_none(tmp_path: Path) -> None:
    scored = Pair("k9", "a dog", (("a dog", "a dog", [DOG]),), columns={"clip_similarity_vitl14": 0.3125})
    export(grit_dataset(tmp_path / "made", [scored]), tmp_path / "out")
    (row,) = pq.read_table(tmp_path / "out").to_pylist()
    assert (row["clip_similarity_vitb32"], row["clip_similarity_vitl14"]) == (None, 0.3125)


@pytest.mark.parametrize(
    ("number", "written"), [("77", 77), ("c-7", None), ("007", None), (str(2**63 - 1), 2**63 - 1), (str(2**63), None)]
)
def test_an_id_that_is_no_whole_number_of_64_bits_is_null(tmp_path: Path, number: str, written: int | None) -> None:
    store = grit_dataset(tmp_path / "made", [Pair("k", "a dog", (("a dog", "a dog", [DOG]),), number=number)])
    export(store, tmp_path / "out")
    assert pq.read_table(tmp_path / "out")["id"].to_pylist() == [written]


def test_many_records_are_written_in_groups_and_files_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grit, "_GROUP", 2)
    monkeypatch.setattr(grit, "ROWS", 4)
    pairs = [Pair(f"k{i}", "a dog", (("a dog", "a dog", [DOG]),)) for i in range(9)]

    assert export(grit_dataset(tmp_path / "made", pairs[:5], pairs[5:]), tmp_path / "out") == 9

    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == [f"grit_0000{i}.parquet" for i in range(3)]
    assert [pq.read_metadata(file).num_rows for file in files] == [4, 4, 1]
    assert pq.read_metadata(files[0]).num_row_groups == 2
    assert [key for file in files for key in pq.read_table(file)["key"].to_pylist()] == [pair.key for pair in pairs]


def test_a_dataset_that_kept_nothing_is_a_file_without_rows(tmp_path: Path) -> None:
    assert export(grit_dataset(tmp_path / "made", [NO_BOX, NO_BOX]), tmp_path / "out") == 0
    assert pq.read_table(tmp_path / "out/grit_00000.parquet").schema == RECORD
    assert pa.types.is_int64(RECORD.field("id").type)
