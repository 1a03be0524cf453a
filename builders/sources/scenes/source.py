"""The source `scenes`: pictures with captions and boxes, as many as wanted, and the truth about each of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from builders.sources.coco import PIXEL_BOX
from builders.sources.cut import cut_runs
from builders.sources.scenes.lexicon import NOUNS
from builders.sources.scenes.noise import Pair, Shares, World
from builders.sources.scenes.world import THINGS
from schemas.errors import UserError
from schemas.sources import ScenesSource

VERSION = 1
"""Raised by every change that gives a record of the same parameters other bytes or words."""

LICENSE = "CC0-1.0"

TRUTH = {
    "truth_kind": pa.string(),
    "truth_match": pa.bool_(),
    "truth_duplicate_of": pa.string(),
    "truth_language": pa.string(),
    "truth_word": pa.string(),
    "truth_caption": pa.string(),
}
"""What is known of a record: scalars, so that they stand in index and rejects. See noise.Pair."""

_COLUMNS = {
    "key": pa.string(),
    "caption_id": pa.string(),
    "_caption": pa.string(),
    "_problem": pa.string(),
    "_bytes": pa.large_binary(),
    "image_id": pa.string(),
    "image_file": pa.string(),
    "url": pa.string(),
    "license": pa.string(),
    "_annotated_width": pa.int64(),
    "_annotated_height": pa.int64(),
    "_boxes": pa.list_(PIXEL_BOX),
    **TRUTH,
}


@dataclass(frozen=True)
class ScenesPairs:
    """The first `count` records of a world; `_bytes` is the encoded picture, there is no `image_file`."""

    world: World
    count: int
    unit: int
    categories: tuple[str, ...] = tuple(sorted(THINGS))

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        return _COLUMNS

    @property
    def unit_sizes(self) -> Sequence[int]:
        return cut_runs([(self.count, self._about_bytes())], self.unit)

    @property
    def digests(self) -> Mapping[str, str]:
        what = {"version": VERSION, "count": self.count, **asdict(self.world)}
        return {"source.scenes": hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()}

    def payloads(self, sizes: Sequence[int]) -> Sequence[str]:
        return [""] * len(sizes)

    @property
    def synonyms(self) -> Mapping[str, Sequence[str]]:
        """Further words for the categories, as detectors take them."""
        return {forms[0]: (thing,) for thing, nouns in NOUNS.items() for forms in nouns[1:]}

    def facts(self) -> Mapping[str, int | str]:
        shares = asdict(self.world.shares)
        side = self.world.side
        told: dict[str, int | str] = {"inputs": self.count, "pictures": f"{side} x {side} pixels, drawn"}
        told |= {f"about {name}": round(share * self.count) for name, share in shares.items() if share}
        return told

    def read(self, start: int, count: int) -> pa.Table:
        numbers = range(start, min(start + count, self.count))
        rows = [_row(i, self.world.pair(i)) for i in numbers]
        return pa.Table.from_pylist(rows, pa.schema(list(_COLUMNS.items())))

    def _about_bytes(self) -> int:
        """What a picture takes, rounded up: measured 4.9 kB at 128 pixels, less a pixel in larger ones."""
        return 2_000 + self.world.side**2 // 2


def open_scenes(source: ScenesSource, unit: int) -> ScenesPairs:
    """The source that a recipe names, cut into units of at most `unit`. Raises UserError for shares over 1 in all."""
    try:
        shares = Shares(source.mismatched, source.one_word, source.duplicates, source.corrupt, source.foreign)
    except ValueError as error:
        raise UserError(f"source: {error}") from None
    count = min(source.count, source.limit or source.count)
    return ScenesPairs(World(source.seed, source.size, shares=shares), count, unit)


def key(i: int) -> str:
    """The key of record `i`."""
    return f"scene-{i:09d}"


def _row(i: int, pair: Pair) -> dict[str, object]:
    return {
        "key": key(i),
        "caption_id": str(i),
        "_caption": pair.caption,
        "_problem": None,
        "_bytes": pair.image,
        "image_id": str(i),
        "image_file": None,
        "url": None,
        "license": LICENSE,
        "_annotated_width": pair.side[0],
        "_annotated_height": pair.side[1],
        "_boxes": [
            {"x": x, "y": y, "w": w, "h": h, "category": thing, "crowd": False} for x, y, w, h, thing in pair.boxes
        ],
        "truth_kind": pair.kind,
        "truth_match": pair.match,
        "truth_duplicate_of": None if pair.duplicate_of is None else key(pair.duplicate_of),
        "truth_language": pair.language,
        "truth_word": pair.word,
        "truth_caption": pair.true,
    }
