"""Lists of URLs as a source: which columns they have, what travels on, and what is told of them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.sources import urls as module
from builders.sources.pairs import Pairs
from builders.sources.pairs_open import open_pairs
from schemas.errors import UserError
from schemas.pairs import UrlsSource

COLUMNS = {"key", "_caption", "_problem", "url", "license", "_sha256"}
ROWS: list[dict[str, Any]] = [
    {"url": "http://a.example/1.jpg", "caption": "a dog", "similarity": 0.5, "width": 640},
    {"url": "http://b.example/2.jpg", "caption": "a cat", "similarity": 0.25, "width": 320},
]


def opened(path: Path, unit: int = 1000, **fields: Any) -> Pairs:
    return open_pairs(UrlsSource(kind="urls", path=str(path), **fields), unit)


def read(path: Path, **fields: Any) -> list[dict[str, Any]]:
    source = opened(path, **fields)
    table = source.read(0, source.listing.num_rows)
    assert {field.name: field.type for field in table.schema} == dict(source.columns)
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def refused(path: Path, **fields: Any) -> str:
    with pytest.raises(UserError) as error:
        opened(path, **fields)
    assert "\n" not in str(error.value)
    return str(error.value)


def written(folder: Path, kind: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"list.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    between = "\t" if kind == "tsv" else ","
    table = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    lines = [json.dumps(row) for row in rows] if kind == "jsonl" else [between.join(cells) for cells in table]
    path.write_text("\n".join(lines) + "\n")
    return path


# ---- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv", "tsv"])
def test_a_list_is_read_and_its_further_columns_travel(tmp_path: Path, kind: str) -> None:
    first, second = read(written(tmp_path, kind, ROWS))
    assert first == {
        "key": "000000000",
        "_caption": "a dog",
        "_problem": None,
        "url": "http://a.example/1.jpg",
        "license": None,
        "_sha256": None,
        "source_similarity": 0.5,
        "source_width": 640,
    }
    assert (second["key"], second["url"], second["source_similarity"]) == ("000000001", "http://b.example/2.jpg", 0.25)


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv", "tsv"])
def test_columns_have_usual_names_or_those_that_are_given(tmp_path: Path, kind: str) -> None:
    laion = {"URL": "http://a/1", "TEXT": "a dog", "LICENSE": "CC0", "key": "k1", "sha256": "ab"}
    (row,) = read(written(tmp_path, kind, [laion]))
    usual = {"key": "k1", "_caption": "a dog", "_problem": None, "url": "http://a/1", "license": "CC0", "_sha256": "ab"}
    assert row == usual
    own = {"link": "http://a/1", "alt": "a dog", "rights": "CC0", "id": "k1", "hash": "ab"}
    names = {"url": "link", "caption": "alt", "license": "rights", "key": "id", "sha256": "hash"}
    assert read(written(tmp_path, kind, [own]), **names) == [usual]


def test_a_column_that_is_named_is_taken_before_a_usual_one_which_travels(tmp_path: Path) -> None:
    path = written(tmp_path, "jsonl", [{"url": "http://page/", "image_url": "http://a/1", "caption": "a"}])
    (row,) = read(path, url="image_url")
    assert (row["url"], row["source_url"]) == ("http://a/1", "http://page/")


@pytest.mark.parametrize(("kind", "between"), [("tsv", "\t"), ("csv", ",")])
def test_a_table_without_a_first_line_of_names_gets_them_from_the_recipe(
    tmp_path: Path, kind: str, between: str
) -> None:
    """CC3M and CC12M: caption and URL, or URL and caption, from the first line on."""
    path = tmp_path / f"cc.{kind}"
    path.write_text(f"a dog{between}http://a/1\na cat{between}http://b/2\n")
    found = read(path, columns=["caption", "url"])
    assert [(row["_caption"], row["url"]) for row in found] == [("a dog", "http://a/1"), ("a cat", "http://b/2")]
    assert read(path, columns=["what", "where"], caption="what", url="where") == found


def test_each_of_several_such_files_begins_with_a_row(tmp_path: Path) -> None:
    for name in ("a.tsv", "b.tsv"):
        (tmp_path / name).write_text(f"{name}\thttp://a/1\n")
    assert [row["_caption"] for row in read(tmp_path, columns=["caption", "url"])] == ["a.tsv", "b.tsv"]


def test_a_row_that_has_not_as_many_cells_as_there_are_columns_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cc.tsv"
    path.write_text("a dog\thttp://a/1\nno url\n")
    assert [row["_problem"] for row in read(path, columns=["caption", "url"])] == [
        None,
        "ragged_row: line 2: 1 cells, but 2 columns",
    ]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_names_are_not_given_to_a_table_that_has_its_own(tmp_path: Path, kind: str) -> None:
    assert refused(written(tmp_path, kind, ROWS), columns=["caption", "url"]).startswith("source.columns: ")


def test_a_folder_of_lists_is_one_list_and_the_first_inputs_may_be_enough(tmp_path: Path) -> None:
    for number in range(3):
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / f"{number}.parquet")
    assert [row["key"] for row in read(tmp_path)] == [f"{number:09d}" for number in range(6)]
    assert len(read(tmp_path, limit=3)) == 3
    assert opened(tmp_path, unit=4).unit_sizes == (4, 2)


@pytest.mark.parametrize(("start", "count"), [(0, 1), (9, 2), (10, 10), (15, 20), (29, 6)])
def test_a_row_group_larger_than_a_batch_is_read_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int, count: int
) -> None:
    monkeypatch.setattr("builders.sources.pairs_parquet.BATCH_OF_TEXTS", 10)
    path = written(tmp_path, "parquet", [{"url": f"http://a/{n}", "caption": str(n)} for n in range(35)])
    assert opened(path).read(start, count)["_caption"].to_pylist() == [str(n) for n in range(start, start + count)]


# ---- what is no list -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv", "tsv"])
@pytest.mark.parametrize("role", ["url", "caption"])
def test_a_column_that_is_needed_and_not_there_is_told_with_those_that_are(
    tmp_path: Path, kind: str, role: str
) -> None:
    rows = [{name: value for name, value in row.items() if name != role} for row in ROWS]
    path = written(tmp_path, kind, rows)
    has = ", ".join(rows[0])
    or_names = ", or source.columns where its first line holds no names" if kind in ("csv", "tsv") else ""
    mend = f"set source.{role}{or_names}"
    assert refused(path) == f"source.{role}: list.{kind} has no column {role!r}; {mend}; it has: {has}"
    assert "has no column 'mine'" in refused(path, **{role: "mine"})


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary(2), pa.large_binary()])
@pytest.mark.parametrize("role", ["key", "license", "sha256"])
def test_a_column_of_bytes_is_refused_where_text_is_needed(tmp_path: Path, role: str, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"url": ["u"], "caption": ["a"], role: pa.array([b"ab"], kind)}), tmp_path / "a.parquet")
    assert refused(tmp_path) == f"source.{role}: a.parquet: column {role!r} is {kind}, but must be text"


def test_a_mend_is_never_the_kind_which_is_given(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_text("http://a/1\n")
    assert refused(path).endswith("urls.txt is of no known kind; give a Parquet, JSONL, CSV or TSV file")
    assert refused(tmp_path).endswith("holds no list of URLs; give a Parquet, JSONL, CSV or TSV file")
    for kind in ("tsv", "parquet"):
        written(tmp_path, kind, ROWS)
    assert refused(tmp_path).endswith("holds several kinds (csv, parquet); give one of its files")


@pytest.mark.parametrize("role", ["key", "license", "sha256"])
def test_a_column_that_is_named_must_be_there(tmp_path: Path, role: str) -> None:
    assert refused(written(tmp_path, "csv", ROWS), **{role: "mine"}).startswith(
        f"source.{role}: list.csv has no column"
    )


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
@pytest.mark.parametrize("url", [None, ""])
def test_a_row_without_a_url_is_an_input_with_a_problem(tmp_path: Path, kind: str, url: str | None) -> None:
    good, bad = read(written(tmp_path, kind, [ROWS[0], {**ROWS[1], "url": url}]))
    assert (good["_problem"], bad["_problem"]) == (None, "no_url: there is none")


def test_an_empty_cell_of_a_csv_is_no_url_and_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("url,caption,sha256\n,a dog,\nhttp://a/1,a cat,\n")
    first, second = read(path)
    assert (first["_problem"], second["_problem"], second["_sha256"]) == ("no_url: there is none", None, None)


def test_a_row_without_a_caption_is_an_input_with_a_problem(tmp_path: Path) -> None:
    assert [row["_problem"] for row in read(written(tmp_path, "jsonl", [{**ROWS[0], "caption": None}, *ROWS]))] == [
        "no_caption: there is none",
        None,
        None,
    ]


@pytest.mark.parametrize("names", [["a.tar"], ["a.jpg", "a.txt"], []])
@pytest.mark.parametrize("inside", [True, False])
def test_what_is_no_table_is_no_list(tmp_path: Path, names: list[str], inside: bool) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    path = tmp_path if inside or not names else tmp_path / names[0]
    assert refused(path).startswith(f"source.path: {path} ")


@pytest.mark.parametrize("kind", ["int64", "list"])
def test_a_parquet_column_of_urls_must_be_text(tmp_path: Path, kind: str) -> None:
    pq.write_table(pa.table({"url": [1] if kind == "int64" else [["x"]], "caption": ["a"]}), tmp_path / "a.parquet")
    assert "column 'url' is" in refused(tmp_path / "a.parquet")


# ---- what plan tells -------------------------------------------------------------------------------------------------


def listed(folder: Path, urls: list[str | None]) -> Pairs:
    path = folder / "list.parquet"
    pq.write_table(pa.table({"url": pa.array(urls, pa.string()), "caption": ["a"] * len(urls)}), path)
    return opened(path)


def test_hosts_and_repeats_are_counted(tmp_path: Path) -> None:
    urls = [*(f"http://a.example/{n}" for n in range(6)), "https://B.example:8/1", "http://c/", "http://c/", None, "x"]
    facts = listed(tmp_path, urls).facts()
    assert facts == {
        "inputs": 11,
        "tables": 1,
        "inputs with a problem": 0,
        "rows looked at": 10,
        "hosts among them": 4,
        "busiest host": "a.example (60.0% of them)",
        "URLs that stand there again": "1 (10.0%)",
        "bytes to expect": "1.43 MB, at 130,000 an image (img2dataset's mean)",
    }


def test_a_list_without_urls_has_nothing_to_tell(tmp_path: Path) -> None:
    source = listed(tmp_path, [None, None])
    assert module.survey(source) == {}


@pytest.mark.parametrize("url", ["http://[::1", "http://a:99999/", "\0", "http://" + "a" * 5000, "http://\ud7ff..x/"])
def test_a_url_that_is_none_does_not_stop_the_survey(tmp_path: Path, url: str) -> None:
    assert listed(tmp_path, [url]).facts()["hosts among them"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 999, 1000, 1001, 20_000, 39_999, 100_000])
def test_a_long_list_is_looked_at_in_places_all_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    source = listed(tmp_path, [f"http://{number * 10 // rows}/{number}" for number in range(rows)])
    asked: list[tuple[int, int]] = []
    true = Pairs.read

    def counted(self: Pairs, start: int, count: int) -> pa.Table:
        asked.append((start, count))
        return true(self, start, count)

    monkeypatch.setattr(Pairs, "read", counted)
    facts = source.facts()
    assert facts["rows looked at"] == sum(count for _, count in asked)
    assert min(rows, module.SLICE) <= sum(count for _, count in asked) <= (module.SLICES + 1) * module.SLICE
    assert all(at + count <= following for (at, count), (following, _) in pairwise(asked))
    assert facts["hosts among them"] == min(rows, 10)
    assert facts["URLs that stand there again"] == "0 (0.0%)"


def test_a_build_that_goes_on_does_not_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICES", 0)  # would divide by it
    source = listed(tmp_path, ["http://a/1"])
    assert source.columns.keys() == COLUMNS
    assert source.told["inputs"] == 1


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_430_000, "1.43 MB"), (5.5e14, "550 TB"), (1.2e19, "12,000 PB")],
)
def test_bytes_are_told_in_three_digits(count: float, told: str) -> None:
    assert module._bytes(count) == told
