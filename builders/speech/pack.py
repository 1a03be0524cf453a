"""Turns of one unit, packed into samples of several turns up to a length; SpeechGPT packs in the data, too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from builders.filters.sample import strict
from builders.speech.lengths import Length
from builders.step import Packed, Record

_ADDS = {
    "json": pa.large_binary(),
    "n_turns": pa.int32(),
    "sample_length": pa.int32(),
    "sample_room": pa.int32(),
    "seconds": pa.float64(),
}


@dataclass
class PackTurns:
    """Joins turns to samples of at most `most`, by `count`. Every turn stands whole in exactly one sample.

    Adds `json`, the sample's `key.json`: `text`, which is all turns joined, and `turns` with the key and the `columns`
    of each, their names without "_" in front; `n_turns`; `sample_length`; and `sample_room`, what is left of `most`.
    Together the last two tell how well samples are filled. `lists` are columns that the sample has of all its turns, in
    their order, under their own names; `seconds` is the sum of theirs. Turns over `most` are CheckLength's to reject;
    here they raise ValueError.
    """

    count: Length
    most: int
    columns: tuple[str, ...]
    lists: Mapping[str, pa.DataType] = field(default_factory=dict)
    name: ClassVar = "pack_turns"
    joins: ClassVar = True

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("key", "_turn", "length", "seconds", *self.columns, *self.lists)))

    @property
    def adds(self) -> dict[str, pa.DataType]:
        return _ADDS | {name: pa.list_(kind) for name, kind in self.lists.items()}

    def __call__(self, records: list[Record]) -> list[Packed]:
        groups = first_fit([record["length"] for record in records], self.most)
        whole = [part for group in groups for part in self._fitting(records, group)]
        return [self._packed(records, group, length) for group, length in sorted(whole)]

    def _fitting(self, records: list[Record], group: list[int]) -> list[tuple[list[int], int]]:
        """The group with its joined length. Two turns may meet in tokens that neither has alone: while that makes it
        too long, its last turn becomes a sample of its own."""
        found, left = [], list(group)
        while (length := self.count("".join(records[i]["_turn"] for i in left))) > self.most and len(left) > 1:
            alone = left.pop()
            found.append(([alone], int(records[alone]["length"])))
        return [(left, length), *found]

    def _packed(self, records: list[Record], group: list[int], length: int) -> Packed:
        turns, names = [records[i] for i in group], dict.fromkeys(("key", *self.columns))
        told: dict[str, Any] = {
            "text": "".join(turn["_turn"] for turn in turns),
            "turns": [strict({name.removeprefix("_"): turn[name] for name in names}) for turn in turns],
        }
        record = {
            "json": json.dumps(told, ensure_ascii=False).encode(),
            "n_turns": len(turns),
            "sample_length": length,
            "sample_room": self.most - length,
            "seconds": round(sum(turn["seconds"] for turn in turns), 4),
        }
        record |= {name: [turn[name] for turn in turns] for name in self.lists}
        return Packed(tuple(group), record)


def first_fit(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Positions in groups whose lengths sum to at most `most`: longest first, each into the first group with room.

    Positions ascend in a group, and groups by their first. Raises ValueError for a length over `most`.
    """
    groups: list[list[int]] = []
    room: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if lengths[i] > most:
            raise ValueError(f"turn {i} has length {lengths[i]:,}, over {most:,}: reject it before it is packed")
        hit = next((g for g, left in enumerate(room) if left >= lengths[i]), None)
        if hit is None:
            hit = len(groups)
            groups.append([])
            room.append(most)
        groups[hit].append(i)
        room[hit] -= lengths[i]
    return sorted(sorted(group) for group in groups)
