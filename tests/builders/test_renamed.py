"""A step whose columns have other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from builders.renamed import Renamed
from builders.step import Child, Record, Rejected, Result, Services


class Double:
    """Adds `twice` of `number`: of 0 none, of a negative number two children."""

    name = "double"
    reads = ("key", "number")
    adds: ClassVar[Mapping[str, pa.DataType]] = {"twice": pa.int32(), "sign": pa.string()}
    device = ""

    def setup(self, services: Services) -> None:
        self.device = services.device

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._one(record) for record in records]

    def _one(self, record: Record) -> Result:
        told = {"twice": 2 * record["number"], "sign": record["key"]}
        if record["number"] < 0:
            return [Child("a", told), Child("b", told)]
        return told if record["number"] else Rejected("zero", "is 0", {"twice": 0})


NAMES = {"number": "_amount", "twice": "_amount_twice", "unknown": "other"}


def test_columns_are_read_and_added_under_their_other_names() -> None:
    step = Renamed(Double(), NAMES)
    assert (step.name, step.reads, dict(step.adds)) == (
        "double",
        ("key", "_amount"),
        {"_amount_twice": pa.int32(), "sign": pa.string()},
    )
    assert step([{"key": "k", "_amount": 3}, {"key": "n", "_amount": -1}, {"key": "z", "_amount": 0}]) == [
        {"_amount_twice": 6, "sign": "k"},
        [Child("a", {"_amount_twice": -2, "sign": "n"}), Child("b", {"_amount_twice": -2, "sign": "n"})],
        Rejected("zero", "is 0", {"_amount_twice": 0}),
    ]


def test_the_step_itself_is_set_up(services: Services) -> None:
    inner = Double()
    Renamed(inner, NAMES).setup(services)
    assert inner.device == services.device
