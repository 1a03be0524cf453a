"""Rows of Parquet files, listed by row groups: a list of a billion takes no more memory than its groups do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from builders.uri import Place


@dataclass(frozen=True, eq=False)
class RowGroups:
    """A listing of rows that are numbered through all groups: their numbers are their keys, and none has a problem.

    Of each group its file, its number in there, and how many rows there are up to its end.
    """

    file: npt.NDArray[np.int32]
    group: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, groups: Sequence[tuple[int, int, int, int]], limit: int | None) -> RowGroups:
        """The first `limit` rows of groups, each given as file, number, rows and bytes a row."""
        file, group, rows, _ = np.array(groups, np.int64).reshape(-1, 4).T
        ends = np.cumsum(rows)
        return cls(file.astype(np.int32), group.astype(np.int32), np.minimum(ends, limit) if limit else ends)

    @property
    def counts(self) -> list[int]:
        """How many rows there are of each group."""
        return [int(rows) for rows in np.diff(self.ends, prepend=0)]

    @property
    def num_rows(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    @property
    def column_names(self) -> Sequence[str]:
        names: list[str] = self.slice(0, 0).column_names
        return names

    def slice(self, start: int, count: int) -> pa.Table:
        """`count` rows from `start` on, or fewer at the end: their places, `key` and `_problem`."""
        places = self.places(start, count)
        rows = len(places["row"])
        return pa.table(
            {**places, "key": pa.array(numbered(start, rows), pa.string()), "_problem": pa.nulls(rows, pa.string())}
        )

    def places(self, start: int, count: int) -> dict[str, pa.Array]:
        """Where they are: `file`, `group` in it, and `row` in that."""
        numbers = np.arange(start, max(start, min(start + count, self.num_rows)))
        at = np.searchsorted(self.ends, numbers, side="right")
        before = np.where(at, self.ends[at - 1], 0)
        places = {"file": self.file[at], "group": self.group[at], "row": numbers - before}
        return {name: pa.array(values) for name, values in places.items()}


def numbered(start: int, count: int) -> list[str]:
    """The keys of rows that have none of their own."""
    return [f"{number:09d}" for number in range(start, start + count)]


def groups_in(path: Place, footer: pq.FileMetaData) -> list[tuple[int, int]]:
    """Rows of each row group, and the bytes that one takes; ValueError where no such file can hold them."""
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    rows = [group.num_rows for group in groups]
    if min(rows, default=0) < 0 or sum(rows) != footer.num_rows or sum(rows) > 8 * path.stat().st_size:
        raise ValueError(f"its footer tells of {footer.num_rows:,} rows, which cannot be")
    return [(count, max(group.total_byte_size, 0) // max(count, 1)) for group, count in zip(groups, rows, strict=True)]
