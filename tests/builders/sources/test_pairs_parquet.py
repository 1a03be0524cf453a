"""Parquet tables as a source of pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders.sources import pairs_parquet
from schemas.errors import BuildError, UserError
from tests.builders.sources.on_disk import opened, read, refused

HF = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def parquet(path: Path, columns: dict[str, Any], rows_a_group: int = 3) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows_a_group)
    return path


def test_images_may_be_paths_bytes_or_the_hugging_face_struct(tmp_path: Path) -> None:
    images = {
        "paths": pa.array(["a.jpg"]),
        "bytes": pa.array([b"1"]),
        "both": pa.array([{"bytes": b"1", "path": "a.jpg"}], HF),
        "named": pa.array([{"bytes": None, "path": "a.jpg"}], HF),
        "only": pa.array([{"bytes": b"1"}]),
    }
    found = {
        name: read(parquet(tmp_path / f"{name}.parquet", {"image": image, "caption": ["a"]}))[0]
        for name, image in images.items()
    }
    told = {name: (row["_bytes"], row["image_file"], row["_problem"]) for name, row in found.items()}
    assert told == {
        "paths": (None, "a.jpg", None),
        "bytes": (b"1", None, None),
        "both": (b"1", "a.jpg", None),
        "named": (None, "a.jpg", None),
        "only": (b"1", None, None),
    }


def test_large_dictionary_and_fixed_texts_are_texts(tmp_path: Path) -> None:
    columns = {
        "image": pa.array(["a.jpg"], pa.large_string()),
        "text": pa.array(["a dog"]).dictionary_encode(),
        "license": pa.array(["CC0"]).dictionary_encode(),
    }
    (row,) = read(parquet(tmp_path / "a.parquet", columns))
    assert (row["image_file"], row["_caption"], row["license"]) == ("a.jpg", "a dog", "CC0")


def test_further_columns_travel_under_a_name_that_no_step_takes(tmp_path: Path) -> None:
    columns = {
        "image": [b"1"],
        "caption": ["a"],
        "width": pa.array([3], pa.int16()),
        "similarity": pa.array([0.5], pa.float32()),
        "nsfw": ["UNLIKELY"],
        "safe": [True],
        "when": pa.array([0], pa.timestamp("s")),
        "embedding": [[0.1, 0.2]],
        "thumbnail": [b"2"],
        "nothing": pa.nulls(1),
    }
    source = opened(parquet(tmp_path / "a.parquet", columns))
    (row,) = source.read(0, 1).to_pylist()
    told = {name: value for name, value in row.items() if name.startswith("source_")}
    assert told == {
        "source_width": 3,
        "source_similarity": 0.5,
        "source_nsfw": "UNLIKELY",
        "source_safe": True,
        "source_when": "1970-01-01 00:00:00.000",
    }
    facts = source.facts()
    assert {name: told for name, told in facts.items() if name.startswith("columns")} == {
        "columns left out (nested)": "embedding",
        "columns left out (binary)": "thumbnail",
        "columns left out (empty)": "nothing",
    }


@pytest.mark.parametrize(
    "kind",
    [
        pa.timestamp("us"),
        pa.timestamp("us", "UTC"),
        pa.date32(),
        pa.duration("us"),
        pa.dictionary(pa.int8(), pa.timestamp("us")),
    ],
)
@pytest.mark.parametrize("role", ["when", "key", "license"])
def test_a_date_that_python_cannot_hold_costs_no_row(tmp_path: Path, kind: pa.DataType, role: str) -> None:
    of = kind.value_type if pa.types.is_dictionary(kind) else kind
    when = pa.array([0, 2**30 if of == pa.date32() else 2**62, None], of)
    when = when.dictionary_encode() if of != kind else when
    rows = read(parquet(tmp_path / "a.parquet", {"image": [b"1"] * 3, "caption": ["a"] * 3, role: when}))
    assert [row["_caption"] for row in rows] == ["a"] * 3
    assert role == "key" or [row["_problem"] for row in rows] == [None] * 3
    values = [row["source_when" if role == "when" else role] for row in rows]
    assert values[0] and values[1] and values[0] != values[1]


def test_a_date_inside_an_image_that_python_cannot_hold_is_a_broken_table(tmp_path: Path) -> None:
    image = pa.struct([("bytes", pa.binary()), ("when", pa.timestamp("us"))])
    columns = {"image": pa.array([{"bytes": b"1", "when": 2**62}], image), "caption": ["a"]}
    (row,) = read(parquet(tmp_path / "a.parquet", columns))
    assert row["_problem"].startswith("broken_table: a.parquet, row group 0: ")


def test_columns_may_be_named(tmp_path: Path) -> None:
    columns = {"a": ["k"], "b": ["x.jpg"], "c": ["told"], "d": ["u"], "e": ["CC0"], "caption": ["not this"]}
    names = dict(zip(("key", "image", "caption", "url", "license"), "abcde", strict=True))
    (row,) = read(parquet(tmp_path / "a.parquet", columns), **names)
    assert (row["key"], row["image_file"], row["_caption"], row["url"], row["license"]) == (
        "k",
        "x.jpg",
        "told",
        "u",
        "CC0",
    )
    assert row["source_caption"] == "not this"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(1, 4), st.integers(1, 7))
def test_rows_come_in_order_whatever_the_files_groups_and_units(
    tmp_path: Path, counts: list[int], rows_a_group: int, unit: int
) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    captions = [f"{file} {row}" for file, count in enumerate(counts) for row in range(count)]
    for file, count in enumerate(counts):
        own = [caption for caption in captions if caption.startswith(f"{file} ")]
        columns = {"image": pa.array([b"x"] * count, pa.binary()), "caption": pa.array(own, pa.string())}
        parquet(tmp_path / f"{file}.parquet", columns, rows_a_group)
    if not captions:
        assert "holds no pair" in refused(tmp_path)
        return
    source = opened(tmp_path, unit)
    starts = [sum(source.unit_sizes[:i]) for i in range(len(source.unit_sizes))]
    parts = [source.read(start, size) for start, size in zip(starts, source.unit_sizes, strict=True)]
    assert [caption for part in parts for caption in part["_caption"].to_pylist()] == captions


def test_a_row_group_larger_than_a_batch_is_read_in_parts(tmp_path: Path) -> None:
    count = pairs_parquet.BATCH * 3
    columns = {"image": [b"x"] * count, "caption": [str(i) for i in range(count)]}
    source = opened(parquet(tmp_path / "a.parquet", columns, count))
    assert source.read(60, 70)["_caption"].to_pylist() == [str(i) for i in range(60, 130)]


@pytest.mark.parametrize(
    ("caption", "image", "problem"),
    [
        (None, {"bytes": b"1", "path": None}, "no_caption: there is none"),
        ("a", None, "no_image: there is neither path nor bytes"),
        ("a", {"bytes": None, "path": None}, "no_image: there is neither path nor bytes"),
        ("a", {"bytes": None, "path": "../x.jpg"}, "bad_image_path: '../x.jpg' leaves the folder of images"),
        ("a", {"bytes": None, "path": "http://x/a.jpg"}, "bad_image_path: 'http://x/a.jpg' is no local path"),
        ("a", {"bytes": b"1234", "path": None}, "image_too_large: over 3 bytes"),
    ],
)
def test_a_row_that_is_no_pair_is_told_and_its_neighbour_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caption: Any, image: Any, problem: str
) -> None:
    monkeypatch.setattr("builders.sources.pairs.MAX_BYTES", 3)
    columns = {
        "image": pa.array([image, {"bytes": b"1", "path": None}], HF),
        "caption": pa.array([caption, "good"], pa.string()),
    }
    bad, good = read(parquet(tmp_path / "a.parquet", columns))
    assert (bad["_problem"], bad["_bytes"]) == (problem, None)
    assert (good["_caption"], good["_problem"]) == ("good", None)


def test_a_row_group_that_is_broken_loses_its_own_rows_alone(tmp_path: Path) -> None:
    columns = {"image": [bytes([i]) * 50 for i in range(6)], "caption": [str(i) for i in range(6)]}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=3, compression="NONE", use_dictionary=False)
    source = opened(path)
    data = path.read_bytes()
    at = data.index(b"\x01" * 50) - 120
    path.write_bytes(data[:at] + b"\xff" * 100 + data[at + 100 :])
    rows = source.read(0, 6).to_pylist()
    assert all(row["_problem"].startswith("broken_table: a.parquet, row group 0: ") for row in rows[:3])
    assert [(row["_caption"], row["_problem"]) for row in rows[3:]] == [(str(i), None) for i in range(3, 6)]


def test_a_table_that_changes_after_it_was_listed_stops_the_build(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", {"image": [b"1"], "caption": ["a"]})
    source = opened(path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(BuildError, match=r"a\.parquet has changed since it was listed"):
        source.read(0, 1)


def test_files_that_rows_name_guard_them_and_bytes_alone_need_no_guard(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"image": pa.array([{"bytes": b"1", "path": None}] * 2, HF), "caption": ["a"] * 2}
    assert opened(parquet(tmp_path / "a.parquet", columns)).payloads([1]) == [""]
    (tmp_path / "a.jpg").write_bytes(b"123")
    columns["image"] = pa.array([{"bytes": None, "path": "a.jpg"}, {"bytes": b"1", "path": None}], HF)
    before = opened(parquet(tmp_path / "a.parquet", columns)).payloads([1])
    (tmp_path / "a.jpg").write_bytes(b"1234")
    assert before != opened(tmp_path / "a.parquet").payloads([1])


def test_the_digest_changes_with_the_table(tmp_path: Path) -> None:
    columns = {"image": [b"1"], "caption": ["a"]}
    before = opened(parquet(tmp_path / "a.parquet", columns)).digests
    assert opened(parquet(tmp_path / "b.parquet", columns)).digests == before
    assert opened(parquet(tmp_path / "a.parquet", {**columns, "caption": ["another"]})).digests != before


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"picture": [b"1"], "caption": ["a"]}, "source.image: a.parquet has no column 'image'; set source.image"),
        ({"image": [b"1"]}, "source.caption: a.parquet has no column 'caption'; set source.caption; it has: image"),
        ({"image": [b"1"], "caption": [["a", "b"]]}, "source.caption: a.parquet: column 'caption' is list<"),
        ({"image": [b"1"], "caption": ["a"], "key": [b"k"]}, "source.key: a.parquet: column 'key' is binary, but must"),
        (
            {"image": [b"1"], "caption": ["a"], "license": pa.array([b"CC0"]).dictionary_encode()},
            "source.license: a.parquet: column 'license' is dictionary<values=binary",
        ),
        ({"image": [5], "caption": ["a"]}, "source.image: a.parquet: column 'image' is int64, but must be a path"),
    ],
)
def test_a_table_without_pairs_is_refused_with_its_columns(tmp_path: Path, columns: Any, told: str) -> None:
    assert refused(parquet(tmp_path / "a.parquet", columns)).startswith(told)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([b"1"]), pa.array(["a"]), pa.array(["b"])], ["image", "caption", "caption"])
    pq.write_table(table, tmp_path / "a.parquet")
    assert "two columns are named 'caption'" in refused(tmp_path / "a.parquet")


def test_tables_that_differ_are_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", {"image": [b"1"], "caption": ["a"], "n": [1]})
    parquet(tmp_path / "b.parquet", {"image": [b"1"], "caption": ["a"], "n": ["x"]})
    assert refused(tmp_path).endswith("b.parquet: column 'n' is not as in a.parquet")


def test_a_type_that_does_not_do_is_refused_in_every_file(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", {"image": [b"1"], "caption": ["a"], "license": ["CC0"]})
    parquet(tmp_path / "b.parquet", {"image": [b"1"], "caption": ["a"], "license": [b"CC0"]})
    assert refused(tmp_path) == "source.license: b.parquet: column 'license' is binary, but must be text"


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(0, 800), st.binary(max_size=20), st.booleans())
def test_a_damaged_table_is_read_or_refused_in_one_line(tmp_path: Path, at: int, damage: bytes, cut: bool) -> None:
    path = parquet(tmp_path / "a.parquet", {"image": [b"1"] * 5, "caption": ["a"] * 5})
    data = path.read_bytes()
    path.write_bytes(data[:at] + damage + (b"" if cut else data[at + len(damage) :]))
    try:
        read(path)
    except UserError as error:
        assert "\n" not in str(error)
