"""Parquet lists without keys of their own and without local files: listed by row groups, read as if by rows."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders.sources.cut import cut
from builders.sources.pairs import Pairs
from builders.sources.pairs_groups import RowGroups
from builders.sources.pairs_index import with_index
from builders.sources.pairs_open import open_pairs
from schemas.pairs import PairsSource, UrlsSource

SCHEMA = pa.schema([("url", pa.string()), ("image", pa.binary()), ("caption", pa.string()), ("n", pa.int64())])
KINDS = [UrlsSource, PairsSource]


def written(path: Path, groups: list[list[int]], first: int = 0) -> Path:
    """A table with row groups whose rows have images of so many bytes; `n` counts rows from `first` on."""
    with pq.ParquetWriter(path, SCHEMA, use_dictionary=False) as writer:
        for sizes in groups:
            rows = [
                {"url": f"http://a/{n}", "image": b"x" * size, "caption": f"row {n}", "n": n}
                for n, size in enumerate(sizes, first)
            ]
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA), row_group_size=max(len(rows), 1))
            first += len(sizes)
    return path


def opened(path: Path, source: Any, unit: int = 1000, **fields: Any) -> Pairs:
    return open_pairs(source(path=str(path), **({"kind": "urls"} if source is UrlsSource else {}), **fields), unit)


def sizes_in(paths: list[Path]) -> list[int]:
    """Bytes a row, of every row, as the footers tell."""
    sizes: list[int] = []
    for path in paths:
        footer = pq.read_metadata(path)
        for group in map(footer.row_group, range(footer.num_row_groups)):
            sizes += [group.total_byte_size // max(group.num_rows, 1)] * group.num_rows
    return sizes


FILES = st.lists(
    st.lists(st.lists(st.sampled_from([0, 5, 300]), max_size=9), max_size=5),
    min_size=1,
    max_size=3,
).filter(lambda files: any(sizes for groups in files for sizes in groups))
ROWS = st.integers(0, 140)


def check(
    folder: Path, files: list[list[list[int]]], source: Any, unit: int, limit: int | None, start: int, count: int
) -> None:
    """Write the files' groups of rows, and compare what is listed and read with what a look at every row tells."""
    first, paths = 0, []
    for number, groups in enumerate(files):
        paths.append(written(folder / f"{number}.parquet", groups, first))
        first += sum(map(len, groups))
    rows = min(first, limit or first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builders.sources.cut.UNIT_BYTES", 900)
        pairs = opened(folder, source, unit, limit=limit)
        assert list(pairs.unit_sizes) == cut(sizes_in(paths)[:rows], unit)
    told = pairs.facts()
    assert (told["inputs"], told["tables"], told["inputs with a problem"]) == (rows, len(files), 0)
    assert pairs.listing.num_rows == rows
    assert list(pairs.payloads(pairs.unit_sizes)) == [""] * len(pairs.unit_sizes)
    part = pairs.read(start, count)
    assert part.schema.equals(pa.schema(list(pairs.columns.items())))
    expected = range(start, min(start + count, rows))
    assert part["key"].to_pylist() == [f"{n:09d}" for n in expected]
    assert part["_caption"].to_pylist() == [f"row {n}" for n in expected]
    assert part["source_n"].to_pylist() == list(expected)
    assert part["_problem"].null_count == part.num_rows


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("limit", [None, 7, 8])
def test_files_groups_and_units_end_anywhere(tmp_path: Path, source: Any, limit: int | None) -> None:
    files: list[list[list[int]]] = [[[], [5] * 4, [300] * 3], [], [[], []], [[0], [], [5] * 3]]
    check(tmp_path, files, source, 3, limit, 2, 8)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(FILES, st.sampled_from(KINDS), st.integers(1, 12), st.sampled_from([None, 1, 4, 30]), ROWS, ROWS)
def test_inputs_and_units_are_those_that_a_look_at_every_row_finds(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[list[int]]],
    source: Any,
    unit: int,
    limit: int | None,
    start: int,
    count: int,
) -> None:
    check(tmp_path_factory.mktemp("list"), files, source, unit, limit, start, count)


@pytest.mark.parametrize("source", KINDS)
def test_a_list_takes_no_more_room_for_more_rows(tmp_path: Path, source: Any) -> None:
    few, many = (opened(written(tmp_path / f"{rows}.parquet", [[1] * rows] * 3), source, 10**6) for rows in (5, 200))
    assert many.listing.num_rows == 600
    assert len(pickle.dumps(many)) < len(pickle.dumps(few)) + 20


@pytest.mark.parametrize(
    ("source", "columns"),
    [
        (UrlsSource, {"url": ["http://a"] * 2, "caption": ["a"] * 2, "key": ["k", "k"]}),
        (PairsSource, {"image": [b"1"] * 2, "caption": ["a"] * 2, "key": ["k", "k"]}),
        (PairsSource, {"image": ["a.jpg"] * 2, "caption": ["a"] * 2}),
        (PairsSource, {"image": [{"bytes": b"1", "path": "a.jpg"}] * 2, "caption": ["a"] * 2}),
    ],
)
def test_rows_with_keys_of_their_own_or_paths_are_looked_at(tmp_path: Path, source: Any, columns: Any) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    pairs = opened(tmp_path, source)
    assert not isinstance(pairs.listing, RowGroups)
    assert pairs.facts()["inputs with a problem"] == (1 if "key" in columns else 0)
    assert ("_files" in pairs.listing.column_names) == isinstance(columns.get("image", [b""])[0], str | dict)


def test_one_file_with_paths_among_others_is_enough_to_look_at_all_rows(tmp_path: Path) -> None:
    hf = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    (tmp_path / "a.jpg").write_bytes(b"12345")
    images = {"1": pa.array([b"1"] * 3), "2": pa.array([{"path": "a.jpg"}], hf), "3": pa.array([b"3"])}
    for name, image in images.items():
        pq.write_table(pa.table({"image": image, "caption": ["a"] * len(image)}), tmp_path / f"{name}.parquet")
    rows = opened(tmp_path, PairsSource, kind="parquet")
    assert [file and tuple(file) for file in map(json.loads, rows.listing.slice(0, 5)["_files"].to_pylist())] == [
        None,
        None,
        None,
        ("a.jpg", 5),
        None,
    ]
    told = [(row["key"], row["_bytes"], row["image_file"]) for row in rows.read(2, 3).to_pylist()]
    assert told == [("000000002", b"1", None), ("000000003", None, "a.jpg"), ("000000004", b"3", None)]


def test_an_index_is_joined_to_numbered_rows(tmp_path: Path) -> None:
    index = tmp_path / "index"
    index.mkdir()
    pq.write_table(pa.table({"key": ["000000002", "000000000"], "score": [0.2, 0.5]}), index / "a.parquet")
    pairs = with_index(opened(written(tmp_path / "a.parquet", [[1, 1], [1]]), PairsSource), index)
    assert pairs.read(0, 9)["source_score"].to_pylist() == [0.5, None, 0.2]
    assert pairs.read(1, 2)["source_score"].to_pylist() == [None, 0.2]


def test_a_billion_rows_are_found_at_once() -> None:
    groups = RowGroups.of([(file, group, 100_000, 9) for file in range(100) for group in range(100)], None)
    assert groups.num_rows == sum(groups.counts) == 10**9
    assert groups.slice(10**9 - 1, 5).to_pylist() == [
        {"file": 99, "group": 99, "row": 99_999, "key": "999999999", "_problem": None}
    ]
    assert groups.slice(12_345_678, 1).to_pylist()[0]["row"] == 45_678
    assert groups.slice(10**9, 5).num_rows == 0
