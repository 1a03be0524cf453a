"""Samples for people: picked over a dataset, told in lines, and drawn on a contact sheet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from PIL import Image

from builders.cards import bands, photos, spoken
from builders.shards.query import samples_of
from builders.shards.store import Store
from builders.shards.tar import read_members

ON_SHEET = 9
"""Samples on a sheet, at least: three rows of three."""

_MARGIN = 12


@dataclass(frozen=True)
class Shown:
    """A sample as read back from its shard by range: its `json`, and the bytes of its media by extension."""

    key: str
    media: dict[str, bytes]
    record: dict[str, Any]


def pick(store: Store, count: int) -> list[Shown]:
    """Up to `count` samples, one a photo or input first, evenly over the dataset; the same ones each time."""
    with samples_of(store) as connection:
        rows = _chosen(connection, count)
    step = max(1, len(rows) // count)
    return [_read(store, *row) for row in rows[::step][:count]]


def _chosen(connection: duckdb.DuckDBPyConnection, count: int) -> list[Any]:
    """Key, shard and members of the samples to choose from, those of other photos or inputs first."""
    columns = connection.sql("select * from samples limit 0").columns
    photo: list[str] = [name for name in ("image_file", "url") if name in columns]
    # where there is no photo, one of each input, by a fixed draw: its first child would always be of the same form
    first = "n_phrases desc, key" if "n_phrases" in columns else "key" if photo else "md5(key)"
    group = ", ".join([*(photo or ["parent"]), "key"])
    return connection.sql(
        f"""
            with numbered as (
                select *, row_number() over (partition by coalesce({group}) order by {first}) as turn
                from samples
            ), ordered as (
                select *, row_number() over (order by turn, key) - 1 as place, sum((turn = 1)::int) over () as groups
                from numbered
            )
            select key, shard, members from ordered
            where place < {count} or groups > {count} and turn = 1
            order by place
            """
    ).fetchall()


def _read(store: Store, key: str, shard: str, members: list[dict[str, Any]]) -> Shown:
    with store.open(shard) as tar:
        parts = read_members(tar, key, members)
    record = json.loads(parts.pop("json"))
    parts.pop("txt", None)
    return Shown(key, parts, record)


def describe(sample: Shown, whole: bool = False) -> str:
    """What is printed of a sample: a photo's words, an exchange with its units, all of them if `whole`, or turns."""
    if "instruction_units" in sample.record:
        return spoken.describe_exchange(sample.key, sample.record, whole)
    if "turns" in sample.record:
        return spoken.describe_turns(sample.key, sample.record)
    return photos.describe(sample.key, sample.record)


def draw_sheet(samples: list[Shown], path: Path) -> None:
    """Write the contact sheet of `samples` as PNG, up to three a row."""
    tiles = [_tile(sample) for sample in samples]
    columns = max(1, min(3, len(tiles)))
    wide = max((tile.width for tile in tiles), default=photos.WIDTH) + _MARGIN
    heights = [max(t.height for t in tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    size = (columns * wide + _MARGIN, sum(heights) + _MARGIN * (len(heights) + 1))
    sheet = Image.new("RGB", size, "white")
    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        sheet.paste(tile, (_MARGIN + column * wide, _MARGIN * (row + 1) + sum(heights[:row])))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _tile(sample: Shown) -> Image.Image:
    if "instruction_units" in sample.record:
        from builders.cards import waves  # decodes FLAC, which takes packages that a reader may not have

        return waves.tile(sample.key, sample.media, sample.record)
    if "turns" in sample.record:
        return bands.tile(sample.key, sample.record)
    (image,) = sample.media.values()
    return photos.tile(sample.key, image, sample.record)
