"""Keys that can name files, and the columns that every unit carries."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import rows
from builders.shards.tar import NAME_MAX, header


@pytest.mark.parametrize("key", ["000000000001-7", "a", "größe", "🐕-1", "a_b", "A-B-C", "x" * 80])
def test_a_good_key_has_no_problem(key: str) -> None:
    assert rows.key_problem(key) is None


@pytest.mark.parametrize(
    "key", ["", ".", "..", "a.b", "a/b", "/a", "a\\b", "a b", "a\tb", "a\0b", "_a", "x" * 81, "🐕" * 21, "\ud800"]
)
def test_a_key_that_cannot_name_the_members_of_a_sample_has_a_problem(key: str) -> None:
    assert rows.key_problem(key)


@given(st.text(max_size=90))
def test_every_key_without_a_problem_fits_a_tar_and_stays_one_name(key: str) -> None:
    if rows.key_problem(key) is None:
        name = f"{key}.json"
        assert len(name.encode()) <= NAME_MAX
        assert header(name.encode(), 1)
        assert name.split(".", 1) == [key, "json"]
        assert "/" not in name


def test_a_units_rows_know_their_unit_their_place_and_their_input_and_have_no_verdict() -> None:
    table = rows.begin(pa.table({"key": ["a", "b"], "x": [1, 2]}), 7)
    assert table.select(["parent", "_unit", "_row", "_outcome"]).to_pylist() == [
        {"parent": "a", "_unit": 7, "_row": 0, "_outcome": None},
        {"parent": "b", "_unit": 7, "_row": 1, "_outcome": None},
    ]
    assert rows.live(table).to_pylist() == [True, True]


@pytest.mark.parametrize(
    ("name", "kind", "scalar"),
    [
        ("width", pa.int32(), True),
        ("caption", pa.string(), True),
        ("image", pa.large_binary(), False),
        ("json", pa.binary(), False),
        ("_chunks", pa.list_(pa.int32()), False),
        ("boxes", pa.list_(pa.float64()), False),
        ("_hidden", pa.int32(), False),
    ],
)
def test_scalars_reach_the_index_and_media_lists_and_hidden_columns_do_not(
    name: str, kind: pa.DataType, scalar: bool
) -> None:
    assert rows.is_scalar(name, kind) is scalar
