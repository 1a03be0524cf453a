"""The detector that needs no model: the boxes that people annotated, matched to chunks by their head nouns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from builders.grounding.boxes import Detection, area, from_pixels, upright
from builders.grounding.detect import Found, Query
from builders.grounding.words import Match, WordTable, load_words
from builders.step import Record, Rejected, Result, Services
from schemas.errors import UserError

GOLD = pa.struct(
    [(name, pa.float64()) for name in ("x1", "y1", "x2", "y2")]
    + [("category", pa.string()), ("crowd", pa.bool_()), ("instance", pa.int64())]
)


@dataclass
class PlaceBoxes:
    """Annotated boxes in pixels -> 0..1 of the photo as a viewer sees it.

    The annotated size tells which orientation the annotator saw; a photo of any other size is rejected, because its
    boxes cannot be trusted. Boxes that are no boxes are dropped and counted.
    """

    name: ClassVar = "place_boxes"
    reads: ClassVar = ("_boxes", "_annotated_width", "_annotated_height", "width", "height", "orientation")
    adds: ClassVar = {"_gold": pa.list_(GOLD), "boxes_invalid": pa.int32(), "boxes_crowd": pa.int32()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._place(record) for record in records]

    def _place(self, record: Record) -> Result:
        seen = record["width"], record["height"]
        stored = seen[::-1] if record["orientation"] >= 5 else seen
        annotated = record["_annotated_width"] or seen[0], record["_annotated_height"] or seen[1]
        if annotated not in (seen, stored):
            return Rejected("size_differs", f"annotated as {annotated}, but the photo is {seen}")
        orientation = 1 if annotated == seen else record["orientation"]
        gold = []
        for instance, item in enumerate(record["_boxes"]):
            box = from_pixels(item["x"], item["y"], item["w"], item["h"], *annotated)
            if box is not None:
                x1, y1, x2, y2 = upright(box, orientation)
                place = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
                gold.append({**place, "category": item["category"], "crowd": item["crowd"], "instance": instance})
        return {
            "_gold": gold,
            "boxes_invalid": len(record["_boxes"]) - len(gold),
            "boxes_crowd": sum(item["crowd"] for item in gold),
        }


@dataclass
class AnnotatedBoxes:
    """COCO instances as a detector. Score 1.0 for every box.

    From left to right, a singular chunk claims the largest box of its category that no chunk has claimed; a plural or
    collective one takes all of them, crowd regions too, which a singular chunk never takes.
    """

    categories: Sequence[str]
    synonyms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reads: ClassVar = ("_gold",)
    adds: ClassVar[Mapping[str, pa.DataType]] = {}
    _words: WordTable | None = field(default=None, repr=False)

    def setup(self, services: Services) -> None:
        self._words = self.table()

    def table(self) -> WordTable:
        """The words that name the categories. Raises UserError where a synonym names a category that is not there."""
        try:
            return load_words(self.categories, self.synonyms)
        except ValueError as error:
            raise UserError(f"detector.synonyms: {error}") from None

    def detect(self, queries: Sequence[Query]) -> list[Found]:
        return [Found(self._claim(query.record["_chunks"], query.record["_gold"])) for query in queries]

    def _claim(self, chunks: Sequence[Mapping[str, Any]], gold: Sequence[Mapping[str, Any]]) -> list[Detection]:
        claimed: set[int] = set()
        found = []
        for span, chunk in enumerate(chunks):
            match = self._match(chunk)
            if match is None:
                continue
            boxes = [item for item in gold if item["category"] in match.categories]
            if not match.plural:
                single = [item for item in boxes if not item["crowd"] and item["instance"] not in claimed]
                boxes = sorted(single, key=lambda item: -area(_box(item)))[:1]
            claimed.update(item["instance"] for item in boxes)
            found += [Detection(span, _box(item), 1.0, item["instance"]) for item in boxes]
        return found

    def _match(self, chunk: Mapping[str, Any]) -> Match | None:
        """What a chunk names: by its own words, or, for "a group of dogs", by those after "of"."""
        assert self._words is not None, "setup was not called"
        words = chunk["words"]
        if chunk["of"] and self._words.is_group(words[-1]):
            match = self._words.match(chunk["of"])
            return match and Match(match.categories, True)
        match = self._words.match(words)
        return match and Match(match.categories, match.plural or chunk["plural"])


def _box(item: Mapping[str, Any]) -> tuple[float, float, float, float]:
    return item["x1"], item["y1"], item["x2"], item["y2"]
