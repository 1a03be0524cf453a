"""Packs, and what the sink demands of a unit. No Ray: the same functions that a worker runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from builders import rows
from builders.shards.unit import check_whole
from builders.step import Child, Packed, Record, Rejected
from pipelines.work import StepBug, run_pack, run_step, run_steps
from schemas.errors import BuildError
from tests.pipelines.toys import Grouped, Toy, column, number, unit


def twins(record: Record) -> list[Child]:
    return [Child("a", {"n": 1}), Child("b", {"n": 2})]


# -- packs


def test_a_pack_makes_samples_of_several_rows_and_lists_their_parents() -> None:
    table = run_steps(unit(4), [Toy(lambda r: Rejected("no") if number(r) == 1 else {"n": number(r)})], batch=4)

    packed = run_pack(table, Grouped(lambda n: [(0, 1), (2,)]))

    assert column(packed, "key") == ["k000", "k003"]
    assert column(packed, "parents") == [["k000", "k002"], ["k003"]]
    assert column(packed, "joined") == ["text 0+text 2", "text 3"]
    assert "n" not in packed.column_names


def test_several_samples_of_one_first_parent_are_told_apart_by_their_suffix() -> None:
    class Fanned(Grouped):
        def __call__(self, records: list[Record]) -> list[Packed]:
            return [
                Packed((0,), {"joined": "a"}),
                Packed((0,), {"joined": "b"}, "t1"),
                Packed((1,), {"joined": "c"}, "t1"),
            ]

    packed = run_pack(run_steps(unit(2), [Toy(lambda r: {"n": number(r)})], batch=4), Fanned(lambda n: []))

    assert column(packed, "key") == ["k000", "k000-t1", "k001-t1"]
    assert column(packed, "parent") == ["k000", "k000", "k001"]
    assert column(packed, "parents") == [["k000"], ["k000"], ["k001"]]


@pytest.mark.parametrize(("suffix", "told"), [("a.b", "has '.'"), ("x" * 80, "longer than 80 bytes")])
def test_a_suffix_that_makes_no_key_is_a_bug(suffix: str, told: str) -> None:
    class Odd(Grouped):
        def __call__(self, records: list[Record]) -> list[Packed]:
            return [Packed((0,), {"joined": "a"}, suffix)]

    with pytest.raises(StepBug, match=told):
        run_pack(run_steps(unit(1), [Toy(lambda r: {"n": 0})], batch=4), Odd(lambda n: []))


def test_a_pack_over_a_unit_that_kept_nothing_makes_nothing() -> None:
    table = run_steps(unit(2), [Toy(lambda r: Rejected("no"))], batch=4)

    packed = run_pack(table, Grouped(lambda n: [tuple(range(n))]))

    assert packed.num_rows == 0
    assert packed.schema.field("joined").type == pa.string()


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ([(0, 1)], "placed 2 of 3"),
        ([(0, 1, 2), ()], "parents"),
        ([(0, 1, 2, 3)], "of 3"),
        ([], "placed 0 of 3"),
    ],
)
def test_a_pack_that_does_not_place_every_record_once_at_least_is_a_bug(groups: Any, told: str) -> None:
    class Careless(Grouped):
        def __call__(self, records: list[Record]) -> list[Packed]:
            return [Packed(parents, {"joined": ""}) for parents in groups]

    table = run_steps(unit(3), [Toy(lambda r: {"n": 0})], batch=4)

    with pytest.raises(StepBug, match=f"'grouped'.*{told}"):
        run_pack(table, Careless(lambda n: ()))


def test_a_pack_that_joins_nothing_keeps_the_row_of_each_sample_and_says_so_truly() -> None:
    table = run_steps(unit(2), [Toy(lambda r: {"n": number(r)})], batch=4)

    packed = run_pack(table, Grouped(lambda n: [(1,), (0,)], joins=False))

    assert column(packed, "key") == ["k001", "k000"]
    assert column(packed, "n") == [1, 0]
    assert "parents" not in packed.column_names
    with pytest.raises(StepBug, match="'grouped' joined records"):
        run_pack(table, Grouped(lambda n: [(0, 1)], joins=False))


@pytest.mark.parametrize("record", [{}, {"joined": "a", "more": 1}, {"joined": 7}])
def test_a_pack_whose_samples_do_not_fit_its_declaration_is_a_bug(record: Record) -> None:
    class Careless(Grouped):
        def __call__(self, records: list[Record]) -> list[Packed]:
            return [Packed((0,), record)]

    table = run_steps(unit(1), [Toy(lambda r: {"n": 0})], batch=4)

    with pytest.raises(StepBug, match="'grouped'"):
        run_pack(table, Careless(lambda n: ()))


# -- the sink's own check


def test_a_unit_with_all_its_inputs_is_whole_also_where_one_fanned_out() -> None:
    check_whole(run_step(unit(3), Toy(twins), batch=2), unit=0, expected=3)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda table: table.slice(1), r"2 of its 3 inputs \(missing rows \[0\]"),
        (lambda table: pa.concat_tables([table, rows.begin(unit(1).select(["key", "text", "media"]), 7)]), "mixed"),
    ],
)
def test_a_unit_with_a_row_lost_or_a_stranger_among_them_is_refused(
    spoil: Callable[[pa.Table], pa.Table], told: str
) -> None:
    with pytest.raises(BuildError, match=told):
        check_whole(spoil(unit(3)), unit=0, expected=3)


def test_a_unit_with_a_row_that_stands_twice_without_fan_out_is_refused() -> None:
    with pytest.raises(BuildError, match="twice"):
        check_whole(pa.concat_tables([unit(3), unit(1)]), unit=0, expected=3)
