"""A step whose columns have other names: of a photo that is cut later, say, whose own names the cut one shall have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from builders.step import Child, Record, Rejected, Result, Services, Step


@dataclass
class Renamed:
    """The step `inner`, with the columns that it reads and adds named by `names`; those not in it keep their names."""

    inner: Step
    names: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(self._outer(column) for column in self.inner.reads)

    @property
    def adds(self) -> Mapping[str, pa.DataType]:
        return {self._outer(column): kind for column, kind in self.inner.adds.items()}

    def setup(self, services: Services) -> None:
        self.inner.setup(services)

    def __call__(self, records: list[Record]) -> list[Result]:
        own = [{column: record[self._outer(column)] for column in self.inner.reads} for record in records]
        return [self._result(result) for result in self.inner(own)]

    def _result(self, result: Result) -> Result:
        if isinstance(result, Rejected):
            return replace(result, known=self._renamed(result.known))
        if isinstance(result, list):
            return [Child(child.suffix, self._renamed(child.record)) for child in result]
        return self._renamed(result)

    def _renamed(self, record: Record) -> Record:
        return {self._outer(column): value for column, value in record.items()}

    def _outer(self, column: str) -> str:
        return self.names.get(column, column)
