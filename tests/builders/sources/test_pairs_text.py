"""JSONL and CSV tables as a source of pairs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.sources.pairs_text import csv_rows, typed
from tests.builders.sources.on_disk import opened, read, refused


def written(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


# ---- JSONL -----------------------------------------------------------------------------------------------------------

LINE = '{"image": "a.jpg", "caption": "good"}'


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{oops", "bad_json: JSONDecodeError"),
        ("[1, 2]", "bad_json: not an object"),
        ("[" * 100_000, "bad_json: RecursionError"),
        ('{"image": "a.jpg"}', "no_caption: there is none"),
        ('{"image": "a.jpg", "caption": null}', "no_caption: there is none"),
        ('{"image": "a.jpg", "caption": 7}', "no_caption: it is 7"),
        ('{"image": "a.jpg", "caption": ["a", "b"]}', "no_caption: it is ['a', 'b']"),
        ('{"image": "a.jpg", "caption": "\\ud83d"}', "broken_text: the caption holds what is no character"),
        ('{"caption": "a"}', "no_image: there is neither path nor bytes"),
        ('{"image": 7, "caption": "a"}', "no_image: it is 7"),
        ('{"image": "", "caption": "a"}', "no_image: there is neither path nor bytes"),
        ('{"image": "/etc/passwd", "caption": "a"}', "bad_image_path: '/etc/passwd' leaves the folder of images"),
    ],
)
def test_a_line_that_is_no_pair_is_told_and_its_neighbours_are_read(tmp_path: Path, line: str, problem: str) -> None:
    first, bad, last = read(written(tmp_path / "a.jsonl", f"{LINE}\n{line}\n\n{LINE}"))
    assert bad["_problem"].startswith(problem)
    assert [(row["key"], row["_caption"], row["_problem"]) for row in (first, last)] == [
        ("000000000", "good", None),
        ("000000002", "good", None),
    ]


def test_a_line_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    bad, good = read(written(tmp_path / "a.jsonl", b'{"image": "\xff"}\n' + LINE.encode()))
    assert (bad["_problem"].partition(" '")[0], good["_problem"]) == ("bad_json: UnicodeDecodeError:", None)


def test_windows_files_are_read(tmp_path: Path) -> None:
    (row,) = read(written(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + LINE.encode() + b"\r\n"))
    assert (row["_caption"], row["_problem"]) == ("good", None)


def test_an_image_may_be_an_object_with_a_path(tmp_path: Path) -> None:
    (row,) = read(written(tmp_path / "a.jsonl", '{"image": {"path": "a.jpg", "bytes": null}, "caption": "a"}'))
    assert row["image_file"] == "a.jpg"


def test_paths_start_from_the_folder_of_the_table_or_the_one_that_is_given(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", LINE)
    (tmp_path / "photos").mkdir()
    assert opened(path).folder == tmp_path
    assert opened(path, images=str(tmp_path / "photos")).folder == tmp_path / "photos"
    assert refused(path, images=str(tmp_path / "no")) == f"source.images: {tmp_path / 'no'} is not a folder"


def test_nested_columns_are_left_out_and_told(tmp_path: Path) -> None:
    source = opened(written(tmp_path / "a.jsonl", '{"image": "a", "caption": "a", "tags": ["x"], "n": 1}'))
    assert "source_n" in source.columns and "source_tags" not in source.columns
    assert source.facts()["columns left out (nested)"] == "tags"


@pytest.mark.parametrize("text", ["", "\n\n", "{", "[]\n"])
def test_a_file_without_any_row_is_refused(tmp_path: Path, text: str) -> None:
    assert refused(written(tmp_path / "a.jsonl", text)).startswith(f"source.path: {tmp_path / 'a.jsonl'}")


# ---- CSV -------------------------------------------------------------------------------------------------------------


def test_regions_of_text_are_json_in_a_cell(tmp_path: Path) -> None:
    text = 'image,caption,ocr\na.jpg,a dog,"[[10,10,200,200]]"\nb.jpg,a cat,\nc.jpg,a cow,none\n'
    first, second, third = read(written(tmp_path / "a.csv", text), text_boxes="ocr")
    assert (first["_text_boxes"], first["_problem"]) == ([[10.0, 10.0, 200.0, 200.0]], None)
    assert (second["_text_boxes"], second["_problem"]) == (None, None)
    assert third["_problem"].startswith("bad_text_boxes: 'none' is no list")


def test_a_row_is_a_pair_and_its_texts_stay_texts(tmp_path: Path) -> None:
    text = 'image,caption,n,score,zip,empty\na.jpg,1984,3,0.5,007,\nb.jpg,"a ""big"", black\ndog",4,2,1,\n'
    first, second = read(written(tmp_path / "a.csv", text))
    assert (first["_caption"], second["_caption"]) == ("1984", 'a "big", black\ndog')
    assert (first["source_n"], first["source_score"], first["source_zip"], first["source_empty"]) == (
        3,
        0.5,
        "007",
        None,
    )


def test_a_tsv_is_cut_at_tabs(tmp_path: Path) -> None:
    (row,) = read(written(tmp_path / "a.tsv", "image\tcaption\na.jpg\ta, b\n"))
    assert row["_caption"] == "a, b"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("b.jpg", "ragged_row: line 3: 1 cells, but 2 columns"),
        ("b.jpg,a,b", "ragged_row: line 3: 3 cells, but 2 columns"),
        ('b.jpg,"The Scream" by Munch', "bad_csv: line 3: ',' expected after '\"'"),
        ('b.jpg,"never closed', "bad_csv: line 3: "),
        ("b.jpg," + "x" * 140_000, "bad_csv: line 3: field larger than field limit (131072)"),
        ("b.jpg,", "no_caption: there is none"),
        ("b.jpg,\udcff", "broken_text: the caption holds what is no character"),
    ],
)
def test_a_broken_row_is_told_and_its_neighbours_are_read(tmp_path: Path, line: str, problem: str) -> None:
    text = f"image,caption\na.jpg,first\n{line}\nc.jpg,last\n"
    first, bad, last = read(written(tmp_path / "a.csv", text.encode("utf-8", "surrogateescape")))
    assert bad["_problem"].startswith(problem)
    assert [(row["_caption"], row["_problem"]) for row in (first, last)] == [("first", None), ("last", None)]


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1)] * 2),
        max_size=5,
    )
)
def test_whatever_a_csv_writer_writes_is_read_back(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("image", "caption"), *rows])
    assert list(csv_rows(Path("a.csv"), out.getvalue().encode())) == [
        {"image": image, "caption": caption} for image, caption in rows
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no row, so there is nothing to build"),
        ("image,caption\n", "holds no row, so there is nothing to build"),
        ("image,caption,image\na,b,c\n", "two columns are named 'image'; rename one"),
        ('"image,caption\n', "line 1 names no columns: unexpected end of data"),
        ("image,caption\nx\n", "no line is a row: ragged_row: line 2: 1 cells, but 2 columns"),
        ("picture,caption\na,b\n", "has no column 'image'; set source.image; it has: picture, caption"),
    ],
)
def test_a_csv_without_pairs_is_refused(tmp_path: Path, text: str, told: str) -> None:
    assert refused(written(tmp_path / "a.csv", text)).endswith(told)


# ---- types of further columns ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 2], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([True, None], pa.bool_()),
        ([True, 1], pa.string()),
        (["a", 1], pa.string()),
        ([2**63], pa.string()),
        ([2**53 + 1, 0.5], pa.string()),
        ([None], pa.string()),
        (["\ud800"], pa.string()),
    ],
)
def test_a_column_has_the_type_that_holds_all_of_it(values: list[Any], kind: pa.DataType) -> None:
    column = typed(values, "jsonl")
    assert column is not None and column.type == kind and len(column) == len(values)


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())))
def test_any_json_scalars_make_a_column(values: list[Any]) -> None:
    column = typed(json.loads(json.dumps(values)), "jsonl")
    assert column is not None and len(column) == len(values)


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1)))
def test_any_texts_make_a_column(values: list[Any]) -> None:
    column = typed(values, "csv")
    assert column is not None and column.null_count == values.count(None)
