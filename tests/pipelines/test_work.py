"""How the engine treats a step and its records. No Ray: the same functions that a worker runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import rows
from builders.shards.unit import check_whole, count
from builders.step import Child, Record, Rejected
from pipelines.work import StepBug, run_step, run_steps, seconds_of
from schemas.errors import UserError
from tests.pipelines.toys import Toy, Whole, column, number, unit


def verdicts(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column(table, field.name) for field in rows.VERDICT), strict=True))


OPEN = (None, None, None, None)

# -- what a step is handed, and what becomes of what it returns


def test_a_step_is_handed_the_columns_that_it_reads_and_nothing_else() -> None:
    step = Toy(lambda record: {"n": 1}, reads=("text", "key"))

    run_step(unit(2), step, batch=64)

    assert step.batches == [[{"text": "text 0", "key": "k000"}, {"text": "text 1", "key": "k001"}]]


def test_a_step_that_reads_nothing_still_gives_every_record_its_result() -> None:
    after = run_step(unit(3), Toy(lambda record: {"n": len(record)}, reads=()), batch=2)

    assert column(after, "n") == [0, 0, 0]


def test_results_are_appended_in_order_with_the_declared_types_and_nothing_else_changes() -> None:
    before = unit(3)
    adds = {"n": pa.int32(), "payload": pa.large_binary(), "deep": pa.list_(pa.struct([("x", pa.float64())]))}
    step = Toy(lambda r: {"n": number(r), "payload": r["key"].encode(), "deep": [{"x": 0.5}]}, adds=adds)

    after = run_step(before, step, batch=2)

    assert after.select(before.column_names).equals(before)
    assert {name: after.schema.field(name).type for name in adds} == adds
    assert column(after, "n") == [0, 1, 2]
    assert column(after, "payload") == [b"k000", b"k001", b"k002"]
    assert column(after, "deep") == [[{"x": 0.5}]] * 3


def test_a_record_that_a_step_alters_stays_as_it_was_in_the_unit() -> None:
    def vandal(record: Record) -> Record:
        record["text"] = record["key"] = "altered"
        return {"n": 0}

    after = run_step(unit(2), Toy(vandal, reads=("key", "text")), batch=2)

    assert column(after, "key") == ["k000", "k001"]
    assert column(after, "text") == ["text 0", "text 1"]


@pytest.mark.parametrize(("batch", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (64, [5])])
def test_batches_are_cut_inside_the_unit(batch: int, sizes: list[int]) -> None:
    step = Toy(lambda record: {"n": 0})

    run_step(unit(5), step, batch)

    assert [len(handed) for handed in step.batches] == sizes


def test_seconds_are_told_by_step_and_added_up_over_stages() -> None:
    first = run_steps(unit(2), [Toy(lambda r: {"n": 0}, name="one")], batch=2)
    second = run_steps(first, [Toy(lambda r: {"m": 0}, name="two", adds={"m": pa.int64()})], batch=2)

    assert seconds_of(unit(2)) == {}
    assert seconds_of(second)["one"] == seconds_of(first)["one"] >= 0
    assert set(seconds_of(second)) == {"one", "two"}


# -- rejected


def test_a_rejected_record_stays_as_a_row_with_step_reason_and_detail() -> None:
    step = Toy(lambda r: Rejected("odd", f"number {number(r)}") if number(r) % 2 else {"n": number(r)}, name="parity")

    after = run_step(unit(4), step, batch=3)

    odd = [("rejected", "parity", "odd", f"number {n}") for n in (1, 3)]
    assert verdicts(after) == [OPEN, odd[0], OPEN, odd[1]]
    assert column(after, "n") == [0, None, 2, None]


@pytest.mark.parametrize("keep", [lambda n: {"n": n}, lambda n: [Child("a", {"n": n})]], ids=["kept", "fanned out"])
def test_what_is_known_of_a_rejected_record_stands_in_its_row(keep: Callable[[int], Any]) -> None:
    step = Toy(lambda r: Rejected("odd", known={"n": -1}) if number(r) % 2 else keep(number(r)))
    assert column(run_step(unit(4), step, batch=3), "n") == [0, -1, 2, -1]


def test_a_rejection_that_knows_a_column_of_another_step_is_a_bug() -> None:
    with pytest.raises(StepBug, match="rejected with columns"):
        run_step(unit(1), Toy(lambda r: Rejected("odd", known={"text": "x"})), batch=3)


def test_later_steps_are_not_handed_what_an_earlier_one_rejected() -> None:
    picky = Toy(lambda r: Rejected("no") if number(r) in (0, 2) else {"n": 0}, name="picky")
    later = Toy(lambda r: {"m": number(r)}, name="later", adds={"m": pa.int64()})

    after = run_steps(unit(4), [picky, later], batch=2)

    assert [[record["key"] for record in batch] for batch in later.batches] == [["k001", "k003"]]
    assert column(after, "m") == [None, 1, None, 3]
    assert [v[1] for v in verdicts(after)] == ["picky", None, "picky", None]


def test_a_unit_of_which_nothing_is_left_passes_every_later_step_unasked() -> None:
    later = Toy(lambda r: {"m": 0}, name="later", adds={"m": pa.int64()})

    after = run_steps(unit(3), [Toy(lambda r: Rejected("no")), later], batch=2)

    assert later.batches == []
    assert after.num_rows == 3
    assert column(after, "m") == [None] * 3


def test_a_detail_is_kept_short_and_is_text_that_a_file_can_hold() -> None:
    after = run_step(unit(1), Toy(lambda r: Rejected("long", "\ud800" + "x" * 9_000)), batch=1)

    (_, _, _, detail) = verdicts(after)[0]
    assert detail == "?" + "x" * 499


# -- failed


def test_a_batch_that_raises_is_tried_record_by_record_and_only_the_culprit_fails() -> None:
    def fragile(record: Record) -> Record:
        if number(record) == 2:
            raise ZeroDivisionError("two is\n not   allowed")
        return {"n": number(record)}

    step = Toy(fragile, name="fragile")
    after = run_step(unit(5), step, batch=4)

    assert verdicts(after) == [OPEN, OPEN, ("failed", "fragile", "ZeroDivisionError", "two is not allowed"), OPEN, OPEN]
    assert column(after, "n") == [0, 1, None, 3, 4]
    assert [len(batch) for batch in step.batches] == [4, 1, 1, 1, 1, 1]


def test_a_batch_that_raises_only_as_a_whole_loses_nobody() -> None:
    def small_batches_only(records: list[Record]) -> list[Record]:
        if len(records) > 1:
            raise RuntimeError("too large a batch")
        return [{"n": number(records[0])}]

    after = run_step(unit(3), Whole(small_batches_only), batch=3)

    assert verdicts(after) == [OPEN] * 3
    assert column(after, "n") == [0, 1, 2]


@pytest.mark.parametrize("error", [UserError("parser: is not there"), MemoryError(), StepBug("mine")])
def test_what_no_record_is_to_blame_for_is_not_charged_to_one(error: Exception) -> None:
    def broken(record: Record) -> Record:
        raise error

    with pytest.raises(type(error)):
        run_step(unit(2), Toy(broken), batch=2)


# -- bugs of a step stop the build

BUGS: list[tuple[str, Callable[[list[Record]], Any], str]] = [
    ("one too few", lambda records: [{"n": 0}] * (len(records) - 1), "1 results for 2 records"),
    ("one too many", lambda records: [{"n": 0}] * (len(records) + 1), "3 results for 2 records"),
    ("none at all", lambda records: None, "NoneType results for 2 records"),
    ("a generator", lambda records: ({"n": 0} for _ in records), "generator results for 2 records"),
    ("a record for all", lambda records: {"n": 0}, "dict results for 2 records"),
    ("a column too few", lambda records: [{} for _ in records], r"columns \[\], but adds \['n'\]"),
    ("a column too many", lambda records: [{"n": 0, "m": 0}] * 2, r"columns \['m', 'n'\], but adds \['n'\]"),
    ("another column", lambda records: [{"m": 0}] * 2, r"columns \['m'\], but adds \['n'\]"),
    ("no record", lambda records: ["0", "1"], r"a str, but adds \['n'\]"),
    ("None for a record", lambda records: [{"n": 0}, None], r"a NoneType, but adds \['n'\]"),
    ("text for a number", lambda records: [{"n": "zero"}] * 2, "put into 'n' what is not int64"),
    ("bytes for a number", lambda records: [{"n": b"0"}] * 2, "put into 'n' what is not int64"),
    ("a number too large", lambda records: [{"n": 2**70}] * 2, "put into 'n' what is not int64"),
    ("a list for a number", lambda records: [{"n": [0]}] * 2, "put into 'n' what is not int64"),
    ("an object for a number", lambda records: [{"n": object()}] * 2, "put into 'n' what is not int64"),
    ("no children", lambda records: [{"n": 0}, []], "no children"),
    ("children without suffix", lambda records: [{"n": 0}, [{"n": 1}]], "a list with a dict: fan out into Child"),
    ("a rejected child", lambda records: [{"n": 0}, [Rejected("no")]], "a list with a Rejected: fan out into Child"),
    ("a bad suffix", lambda records: [{"n": 0}, [Child("a.b", {"n": 1})]], "suffix 'a.b'"),
    ("an empty suffix", lambda records: [{"n": 0}, [Child("", {"n": 1})]], "suffix ''"),
    ("two equal suffixes", lambda records: [{"n": 0}, [Child("a", {"n": 1}), Child("a", {"n": 2})]], "'k001'.*twice"),
    ("a reason that is no text", lambda records: [{"n": 0}, Rejected(None)], "reason"),  # type: ignore[arg-type]
    ("a detail that is no text", lambda records: [{"n": 0}, Rejected("no", 7)], "detail"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("do", "told"), [bug[1:] for bug in BUGS], ids=[bug[0] for bug in BUGS])
def test_a_step_that_breaks_its_contract_is_a_bug_that_names_the_step(
    do: Callable[[list[Record]], Any], told: str
) -> None:
    with pytest.raises(StepBug, match=f"'crooked'.*{told}"):
        run_step(unit(2), Whole(do, name="crooked"), batch=2)


# -- fan-out


def twins(record: Record) -> list[Child]:
    return [Child("a", {"n": 1}), Child("b", {"n": 2})]


def test_children_stand_in_their_parents_place_with_key_parent_suffix() -> None:
    after = run_step(unit(3), Toy(lambda r: twins(r) if number(r) == 1 else {"n": 0}), batch=2)

    assert column(after, "key") == ["k000", "k001-a", "k001-b", "k002"]
    assert column(after, "parent") == ["k000", "k001", "k001", "k002"]
    assert column(after, "n") == [0, 1, 2, 0]
    assert column(after, "text") == ["text 0", "text 1", "text 1", "text 2"]
    assert column(after, rows.ROW) == [0, 1, 1, 2]


def test_children_fan_out_again_and_still_name_the_input_as_their_parent() -> None:
    again = Toy(lambda r: [Child("x", {"m": 0})], name="again", adds={"m": pa.int64()})

    after = run_steps(unit(1), [Toy(twins), again], batch=8)

    assert column(after, "key") == ["k000-a-x", "k000-b-x"]
    assert column(after, "parent") == ["k000", "k000"]


def test_a_fan_out_beside_rejected_and_failed_neighbours_leaves_each_its_own_verdict() -> None:
    def mixed(record: Record) -> Any:
        match number(record):
            case 0:
                return Rejected("no", "zero")
            case 1:
                return twins(record)
            case 2:
                raise KeyError("two")
        return {"n": 3}

    after = run_step(unit(4), Toy(mixed, name="mixed"), batch=4)

    assert column(after, "key") == ["k000", "k001-a", "k001-b", "k002", "k003"]
    assert verdicts(after) == [
        ("rejected", "mixed", "no", "zero"),
        OPEN,
        OPEN,
        ("failed", "mixed", "KeyError", "'two'"),
        OPEN,
    ]
    assert column(after, "n") == [None, 1, 2, None, 3]


def test_an_input_counts_as_kept_if_any_child_was_and_as_failed_before_rejected() -> None:
    def fates(record: Record) -> Any:
        last = record["key"][-1]
        if number(record) == 1 or (number(record) == 0 and last == "a"):
            return Rejected("no")
        if number(record) == 2 and last == "a":
            raise ValueError
        return Rejected("no") if number(record) == 2 else {"m": 0}

    after = run_steps(unit(3), [Toy(twins), Toy(fates, name="fates", adds={"m": pa.int64()})], batch=64)
    inputs, records = count(after)

    assert (inputs.total, inputs.kept, inputs.rejected, inputs.failed) == (3, 1, 1, 1)
    assert inputs.reasons == {"rejected/fates/no": 1, "failed/fates/ValueError": 1}
    assert (records.total, records.kept, records.rejected, records.failed) == (6, 1, 4, 1)
    assert inputs.conserved()
    assert records.conserved()


def test_a_childs_key_that_no_tar_can_hold_is_a_bug_of_the_fan_out() -> None:
    with pytest.raises(StepBug, match="'toy'.*longer than"):
        run_step(unit(1), Toy(lambda r: [Child("x" * 79, {"n": 0})]), batch=1)


# -- media


def test_media_of_lost_rows_are_let_go_and_those_of_kept_rows_stay() -> None:
    def picky(record: Record) -> Any:
        return {"n": 0} if number(record) == 1 else Rejected("no")

    after = run_steps(unit(3), [Toy(picky)], batch=2)

    assert column(after, "media") == [None, b"media 1", None]
    assert column(after, "text") == ["text 0", "text 1", "text 2"]


def test_media_of_lost_rows_are_let_go_where_others_fan_out() -> None:
    after = run_steps(unit(2), [Toy(lambda r: Rejected("no") if number(r) else twins(r))], batch=2)

    assert column(after, "media") == [b"media 0", b"media 0", None]


def test_media_that_a_step_adds_are_let_go_when_a_later_step_rejects() -> None:
    adder = Toy(lambda r: {"more": b"more"}, name="adder", adds={"more": pa.large_binary()})
    picky = Toy(lambda r: Rejected("no") if number(r) else {"n": 0}, name="picky")

    after = run_steps(unit(2), [adder, picky], batch=2)

    assert column(after, "more") == [b"more", None]


# -- any steps over any table: what goes in comes out, and nobody pays for a neighbour

FATES = ("keep", "keep", "reject", "raise", "one child", "three children")


def toy_of(index: int, fates: list[str]) -> Toy:
    """A step that treats each record by its key alone."""

    def do(record: Record) -> Any:
        key = record["key"]
        fate = fates[sum(key.encode()) % len(fates)]
        result = {f"n{index}": len(key)}
        match fate:
            case "reject":
                return Rejected(f"r{index}", key)
            case "raise":
                raise ArithmeticError(key)
            case "one child":
                return [Child("0", result)]
            case "three children":
                return [Child(str(i), result) for i in range(3)]
        return result

    return Toy(do, name=f"s{index}", adds={f"n{index}": pa.int64()})


def expected_rows(keys: list[str], steps: list[Toy]) -> list[tuple[Any, ...]]:
    """What must become of each input, told record by record without the engine: key, parent, verdict."""
    found: list[tuple[Any, ...]] = [(key, key, OPEN) for key in keys]
    for step in steps:
        after: list[tuple[Any, ...]] = []
        for key, parent, verdict in found:
            if verdict != OPEN:
                after.append((key, parent, verdict))
                continue
            try:
                result = step.do({"key": key})
            except ArithmeticError:
                after.append((key, parent, ("failed", step.name, "ArithmeticError", key)))
                continue
            if isinstance(result, Rejected):
                after.append((key, parent, ("rejected", step.name, result.reason, key)))
            elif isinstance(result, list):
                after += [(f"{key}-{child.suffix}", parent, OPEN) for child in result]
            else:
                after.append((key, parent, OPEN))
        found = after
    return found


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(1, 12),
    fates=st.lists(st.lists(st.sampled_from(FATES), min_size=1, max_size=5), min_size=1, max_size=4),
    batch=st.integers(1, 7),
    stages=st.booleans(),
)
def test_any_steps_over_any_unit_conserve_every_input_and_touch_no_neighbour(
    size: int, fates: list[list[str]], batch: int, stages: bool
) -> None:
    steps = [toy_of(i, those) for i, those in enumerate(fates)]
    table = unit(size)

    if stages:
        for step in steps:
            table = run_steps(table, [step], batch)
    else:
        table = run_steps(table, steps, batch)

    keys = [f"k{n:03d}" for n in range(size)]
    assert list(zip(column(table, "key"), column(table, "parent"), verdicts(table), strict=True)) == expected_rows(
        keys, steps
    )
    check_whole(table, 0, size)
    inputs, records = count(table)
    assert inputs.conserved()
    assert records.conserved()
    assert inputs.total == size
    assert records.total == table.num_rows
    assert inputs.kept == len({p for p, v in zip(column(table, "parent"), verdicts(table), strict=True) if v == OPEN})
    live = pc.is_null(table[rows.OUTCOME]).to_pylist()
    own = [f"media {int(key[1:])}".encode() for key in column(table, "parent")]
    assert column(table, "media") == [media if alive else None for media, alive in zip(own, live, strict=True)]
