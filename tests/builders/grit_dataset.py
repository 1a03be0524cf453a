"""Grounded captions put together by hand, and finished datasets of them, without Ray and without a parser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from builders import rows
from builders.grounding.boxes import Box
from builders.grounding.sample import GritSample
from builders.shards.dataset import Claim, read_markers, write_claim
from builders.shards.finish import finish
from builders.shards.store import Store
from builders.shards.unit import Layout, Member, commit_unit
from builders.step import Record
from pipelines.work import run_pack
from tests.toy_recipe import CONTENT, RECIPE

DOG, FIELD, FLOWER = (0.1, 0.2, 0.3, 0.4), (0.0, 0.5, 1.0, 1.0), (0.25, 0.25, 0.5, 0.5)

Chunk = tuple[str, str, Sequence[Box]]
"""A noun chunk, the expression that it grows into, and the boxes of it; the first place in the caption that holds
the expression, and the first in that which holds the chunk."""


@dataclass(frozen=True)
class Pair:
    """A caption with its chunks."""

    key: str
    caption: str
    chunks: Sequence[Chunk] = ()
    image: bytes = b"photo"
    number: str = "1"
    url: str | None = None
    size: tuple[int, int] = (640, 480)
    columns: dict[str, Any] = field(default_factory=dict)


MEADOW = Pair(
    "k1",
    "a dog in a field of flowers",
    (
        ("a dog", "a dog in a field of flowers", [DOG]),
        ("a field", "a field of flowers", [FIELD]),
        ("flowers", "flowers", [FLOWER]),
    ),
    url="https://example.org/1.jpg",
)
TWO = Pair(
    "k2",
    "Zwei Hunde 🐕 neben two cats",
    (("Zwei Hunde", "Zwei Hunde", [DOG]), ("two cats", "two cats", [FIELD, FLOWER])),
)


def record_of(pair: Pair) -> Record:
    """The columns of a grounded caption, as the steps of a grit build add them."""
    chunks, boxes = [], []
    for span, (chunk, expression, found) in enumerate(pair.chunks):
        first = pair.caption.index(expression)
        start = first + expression.index(chunk)
        chunks.append({"start": start, "end": start + len(chunk)})
        chunks[-1] |= {"expression_start": first, "expression_end": first + len(expression)}
        boxes += [
            {"span": span, **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)), "score": 0.9, "instance": None}
            for box in found
        ]
    told = {"key": pair.key, "caption": pair.caption, "caption_id": pair.number, "url": pair.url}
    size = {"width": pair.size[0], "height": pair.size[1]}
    (made,) = GritSample("transformers")([{**told, **size, "_chunks": chunks, "_boxes_kept": boxes}])
    assert isinstance(made, dict)
    return {**told, **size, "format": "jpg", "image": pair.image, "n_boxes": len(boxes), **made, **pair.columns}


NO_BOX = "no_box"


def grit_dataset(folder: Path, *units: Sequence[Pair | str], records: Sequence[Record] = (), pack: Any = None) -> Store:
    """A finished dataset; a word stands for a pair that was rejected for it. `records`: made samples, a unit more."""
    store = Store(folder)
    made: list[list[Record | str]] = [[p if isinstance(p, str) else record_of(p) for p in unit] for unit in units]
    made += [list(records)] if records else []
    claim = Claim({"recipe": CONTENT, "inputs": {"a": "b"}, "models": {}}, tuple(map(len, made)))
    write_claim(store, claim)
    names = ("_text", "_json") if pack else ("caption", "json")
    layout = Layout((Member("image", extension_from="format"), Member(names[0], "txt"), Member(names[1], "json")))
    seen = [record_of(MEADOW), *(row for unit in made for row in unit if isinstance(row, dict))]
    columns = {name: value for row in seen for name, value in row.items()}
    schema = pa.schema([(name, _kind(value)) for name, value in columns.items() if name != "key"])
    for number, unit in enumerate(made):
        table = rows.begin(_source(unit, number, schema), number)
        for name, value in (("_outcome", "rejected"), ("_step", "some_step"), ("_reason", None), ("_detail", "")):
            values = [(value or row) if isinstance(row, str) else None for row in unit]
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, pa.array(values, pa.string()))
        packed = run_pack(table, pack) if pack else None
        commit_unit(store, number, len(unit), table, layout, {}, packed, content_hash=claim.hash)
    finish(store, claim, read_markers(store), RECIPE, {"seconds": 1.0}, {"inputs": sum(map(len, made))})
    return store


def _source(unit: Sequence[Record | str], number: int, schema: pa.Schema) -> pa.Table:
    keys = [row["key"] if isinstance(row, dict) else f"lost{number}-{i}" for i, row in enumerate(unit)]
    table = pa.Table.from_pylist([row if isinstance(row, dict) else {} for row in unit], schema)
    return table.append_column("key", pa.array(keys))


def _kind(value: Any) -> pa.DataType:
    kinds = {
        bytes: pa.large_binary(),
        int: pa.int64(),
        float: pa.float64(),
        list: pa.list_(pa.struct([("category", pa.string())])),
    }
    return kinds.get(type(value), pa.string())


def told(file: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(file.read_text(encoding="utf-8"))
