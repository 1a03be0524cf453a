"""What makes a DAG whole: found when it is put together, long before Ray starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest

from builders.shards.unit import Layout, Member
from pipelines.dag import Asking, ColumnError, Dag, Stage, check_columns
from schemas.llm import OpenAiLlm
from tests.pipelines.toys import Grouped, Numbers, Toy, dag


def step(name: str, reads: tuple[str, ...] = (), **adds: pa.DataType) -> Toy:
    return Toy(lambda record: {}, name=name, reads=reads, adds=adds)


def test_given_steps_that_fit_when_checked_then_every_column_at_the_end_is_told() -> None:
    whole = dag(Stage("a", (step("one", ("key", "parent"), n=pa.int32()), step("two", ("n", "media"), m=pa.string()))))

    assert check_columns(whole) == {
        "key": pa.string(),
        "parent": pa.string(),
        "text": pa.string(),
        "media": pa.large_binary(),
        "n": pa.int32(),
        "m": pa.string(),
    }


def test_given_a_step_that_reads_what_nothing_adds_when_the_dag_is_made_then_both_are_named() -> None:
    with pytest.raises(ColumnError, match=r"'lost'.*reads 'n'"):
        dag(Stage("a", (step("lost", ("key", "n")),)))


def test_given_a_step_that_reads_what_only_a_later_stage_adds_when_the_dag_is_made_then_it_is_refused() -> None:
    with pytest.raises(ColumnError, match=r"'early'.*reads 'n'"):
        dag(Stage("a", (step("early", ("n",)),)), Stage("b", (step("late", n=pa.int32()),)))


@pytest.mark.parametrize(
    "name",
    [
        "text",
        "key",
        "parent",
        "_unit",
        "_row",
        "_outcome",
        "_reason",
        "shard",
        "offset",
        "members",
        "parents",
        "reason",
    ],
)
def test_given_a_step_that_adds_what_is_there_or_what_the_engine_writes_then_it_is_refused(name: str) -> None:
    with pytest.raises(ColumnError, match=f"'again'.*adds '{name}'"):
        dag(Stage("a", (step("again", **{name: pa.string()}),)))


def test_given_two_steps_that_add_one_column_then_the_second_is_refused() -> None:
    with pytest.raises(ColumnError, match=r"'two'.*adds 'n'"):
        dag(Stage("a", (step("one", n=pa.int32()),)), Stage("b", (step("two", n=pa.int32()),)))


def test_given_two_steps_of_one_name_then_they_are_refused_since_reasons_are_counted_by_it() -> None:
    with pytest.raises(ColumnError, match=r"two steps are named 'one'"):
        dag(Stage("a", (step("one"),)), Stage("b", (step("one"),)))


def test_given_a_pack_then_it_is_checked_like_a_last_step() -> None:
    assert check_columns(dag(pack=Grouped(lambda n: ())))["joined"] == pa.string()
    with pytest.raises(ColumnError, match=r"'grouped'.*reads 'n'"):
        dag(pack=Grouped(lambda n: (), reads=("n",)))
    with pytest.raises(ColumnError, match=r"'grouped'.*adds 'parents'"):
        dag(pack=Grouped(lambda n: (), adds={"parents": pa.string()}))


@pytest.mark.parametrize("member", [Member("json", "json"), Member("text", extension_from="format")])
def test_given_a_layout_whose_member_no_step_adds_then_it_is_refused(member: Member) -> None:
    with pytest.raises(ColumnError, match=r"member is column '(json|format)'"):
        dag(members=(member,))


@pytest.mark.parametrize("kind", [pa.string(), pa.float64(), None])
def test_given_a_tally_that_is_no_whole_number_then_it_is_refused(kind: pa.DataType | None) -> None:
    stage = Stage("a", (step("one", **({"n": kind} if kind else {})),))

    with pytest.raises(ColumnError, match=r"'n' is tallied"):
        Dag("toys", Numbers((1,)), (stage,), Layout((Member("text", "txt"),), tallies=("n",)))


@dataclass(frozen=True)
class Odd(Numbers):
    """A source with other columns."""

    others: Any = None

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        return self.others  # type: ignore[no-any-return]


@pytest.mark.parametrize("others", [{}, {"text": pa.string()}, {"key": pa.int64(), "text": pa.string()}])
def test_given_a_source_without_keys_of_text_then_it_is_refused(others: Mapping[str, pa.DataType]) -> None:
    with pytest.raises(ColumnError, match="'key'"):
        dag(source=Odd((1,), others=others))


@pytest.mark.parametrize("name", ["parent", "_unit", "_outcome", "reason"])
def test_given_a_source_with_a_column_that_the_engine_writes_then_it_is_refused(name: str) -> None:
    with pytest.raises(ColumnError, match=f"source.*'{name}'"):
        dag(source=Odd((1,), others={"key": pa.string(), "text": pa.string(), name: pa.string()}))


def test_columns_for_later_steps_only_are_let_go_once_the_last_of_these_has_read_them() -> None:
    first = step("one", ("key",), _pixels=pa.large_binary(), _tokens=pa.string(), score=pa.float32())
    whole = dag(
        Stage("a", (first, step("two", ("_tokens",), _sum=pa.int32()))),
        Stage("b", (step("three", ("_pixels",), _last=pa.int32()),)),
        Stage(
            "c",
            (
                step(
                    "four",
                    ("_sum", "score"),
                ),
            ),
        ),
    )

    assert [whole.done_with(index) for index in range(3)] == [
        ["_tokens"],
        ["_pixels", "_tokens", "_last"],
        ["_pixels", "_tokens", "_sum", "_last"],
    ]


# ---- a step that asks a language model -------------------------------------------------------------------------------


def asking(name: str = "ask") -> Any:
    """Nothing is asked here, so any step will do."""
    return step(name, ("key",), answer=pa.string())


MODEL = OpenAiLlm(model="mill-1")


def test_given_a_stage_that_asks_then_the_stages_before_it_are_what_its_records_go_through() -> None:
    ask = asking()
    before, other = Stage("a", (step("one"), step("two"))), Stage("b", (step("three"),))
    asks, after = Stage("c", (ask, step("four", ("answer",)))), Stage("d", (step("five", ("answer",)),))

    assert dag(before, other, asks, after, asks=Asking(ask, MODEL)).before_asking == (before, other)
    assert dag(asks, after, asks=Asking(ask, MODEL)).before_asking == ()


def test_given_nobody_who_asks_then_all_stages_are_before() -> None:
    stages = (Stage("a", (step("one"),)), Stage("b", (step("two"),)))

    assert dag(*stages).before_asking == stages


def test_given_an_asking_step_that_is_not_the_first_of_its_stage_then_it_is_refused() -> None:
    ask = asking()

    with pytest.raises(ColumnError, match=r"step 'ask' asks, but is not the first of its stage"):
        dag(Stage("a", (step("one"), ask)), asks=Asking(ask, MODEL))


def test_given_an_asking_step_that_is_in_no_stage_then_it_is_refused() -> None:
    with pytest.raises(ColumnError, match=r"step 'ask' asks, but is not the first of its stage"):
        dag(Stage("a", (step("one"),)), asks=Asking(asking(), MODEL))
    with pytest.raises(ColumnError, match=r"step 'ask' asks, but is not the first of its stage"):
        dag(asks=Asking(asking(), MODEL))


def test_given_an_equal_step_in_a_stage_then_it_is_not_the_one_that_asks() -> None:
    ask = asking()
    other = replace(ask)
    assert other == ask

    with pytest.raises(ColumnError, match=r"'ask' asks"):
        dag(Stage("a", (other,)), asks=Asking(ask, MODEL))
