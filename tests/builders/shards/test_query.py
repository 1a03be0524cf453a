"""SQL over a dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builders.shards.dataset import Claim, retire, write_claim
from builders.shards.query import connect, query
from builders.shards.store import Store
from schemas.errors import UserError

Dataset = Callable[[Path], Store]


@pytest.fixture(scope="module")
def store(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return dataset(tmp_path_factory.mktemp("d"))


def test_samples_rejects_and_units_are_views(store: Store) -> None:
    with connect(store) as sql:
        assert sql.sql("select key, n_boxes from samples order by key").fetchall() == [
            ("000x000", 0),
            ("000x002-0", 2),
            ("000x003", 3),
            ("002x000", 0),
            ("002x001", 1),
        ]
        assert sql.sql("select outcome, reason, count(*) from rejects group by all order by all").fetchall() == [
            ("failed", "OSError", 2),
            ("rejected", "no_box", 2),
        ]
        assert sql.sql("select unit, samples, inputs.kept from units order by unit").fetchall() == [
            (0, 3, 3),
            (1, 0, 0),
            (2, 2, 2),
        ]


def test_the_shards_that_a_trainer_may_read_are_those_of_committed_units(dataset: Dataset, tmp_path: Path) -> None:
    store = dataset(tmp_path / "d")
    store.put_bytes("data/000001.tar", b"of a unit that keeps nothing")
    store.put_bytes("data/000009.tar", b"of no unit")
    retire(store, [2])
    with connect(store) as sql:
        assert sql.sql("select distinct shard from samples order by shard").fetchall() == [("data/000000.tar",)]


def test_the_answer_is_a_whole_table_of_text(store: Store) -> None:
    answer = query(store, "select key, caption from samples order by key")
    assert "000x000" in answer and "002x001" in answer
    assert "caption of 000x002-0: a 🐕" in answer
    long = query(store, "select repeat('x', 300) as x, range as n from range(500)")
    assert "x" * 300 in long and all(str(n) in long for n in range(500))


def test_no_statement_has_no_answer(store: Store) -> None:
    assert query(store, "-- nothing") == "done"


def test_wrong_sql_is_one_line_in_duckdbs_own_words(store: Store) -> None:
    with pytest.raises(UserError, match=r"^sql: .*n_boxs.*") as error:
        query(store, "select n_boxs from samples")
    assert "\n" not in str(error.value)


def test_only_committed_units_are_seen(dataset: Dataset, tmp_path: Path) -> None:
    store = dataset(tmp_path / "d")
    retire(store, [0])
    with connect(store) as sql:
        assert sql.sql("select count(*) from samples").fetchall() == [(2,)]


@pytest.mark.parametrize("name", ["it's", "a b", "größe", "50%", "a[1]b", "what?", "a*b"])
def test_a_folder_of_any_name_can_be_asked(dataset: Dataset, tmp_path: Path, name: str) -> None:
    store = dataset(tmp_path / name)
    with connect(store) as sql:
        assert sql.sql("select count(*) from samples").fetchall() == [(5,)]
        assert sql.sql("select count(*) from units").fetchall() == [(3,)]


def test_a_dataset_of_one_unit_that_lost_everything_can_be_asked(unit: type, tmp_path: Path) -> None:
    from builders.shards.dataset import Claim, write_claim

    store = Store(tmp_path)
    write_claim(store, Claim({}, (1,)))
    unit(0, [[("rejected", "chunks", "no_chunk")]]).commit(store)
    with connect(store) as sql:
        assert sql.sql("select count(*) from samples").fetchall() == [(0,)]
        assert sql.sql("select unit, shard from units").fetchall() == [(0, None)]


def test_what_is_no_dataset_or_has_no_unit_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no gristmill dataset"):
        connect(Store(tmp_path))
    Store(tmp_path).put_bytes("build.json", b"{}")
    with pytest.raises(UserError, match="no unit is committed yet"):
        connect(Store(tmp_path))


@pytest.mark.slow
def test_a_reason_that_only_late_units_have_is_seen(unit: Any, tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(40):
        unit(number, [[None], [("rejected", "step", f"reason_{number}")]]).commit(store)
    write_claim(store, Claim({}, (2,) * 40))
    told = query(store, "select sum(inputs.reasons['rejected/step/reason_39']) from units")
    assert " 1 " in told


@pytest.mark.parametrize("name", ["q[1]", "q*", "what?", "it's"])
def test_a_path_is_no_pattern(dataset: Any, tmp_path: Path, name: str) -> None:
    for other in (name, "q1", "qx", "whatx"):
        dataset(tmp_path / other)
    told = connect(Store(tmp_path / name)).sql("select count(*), count(distinct shard) from samples").fetchall()
    assert told == [(5, 2)]
