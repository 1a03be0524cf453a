"""Boxes for the spans of a caption: the interface of every detector, and the steps around it (Kosmos-2, section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from builders.grounding.boxes import Detection, nms
from builders.grounding.expressions import Offsets
from builders.step import Record, Rejected, Result, Services

DETECTION = pa.struct(
    [("span", pa.int32())]
    + [(name, pa.float64()) for name in ("x1", "y1", "x2", "y2", "score")]
    + [("instance", pa.int64())]
)


@dataclass(frozen=True)
class Query:
    """What a detector is asked: boxes for `spans` (character offsets into `caption`) in the photo of `record`.

    `record` holds the columns that the detector `reads`; `image` is its encoded bytes where those hold the photo.
    """

    image: bytes | None
    caption: str
    spans: Sequence[Offsets]
    record: Record


@dataclass(frozen=True)
class Found:
    """The boxes for a query. `known`: the detector's own columns, those that it `adds`."""

    detections: Sequence[Detection]
    known: Record = field(default_factory=dict)


class Detector(Protocol):
    """Finds boxes for spans. Scores in 0..1; several boxes a span, or none."""

    @property
    def reads(self) -> Sequence[str]:
        """Columns of a record that it looks at, beside caption and spans."""

    @property
    def adds(self) -> Mapping[str, pa.DataType]:
        """Columns that it adds beside the boxes: counts of its own, say."""

    def setup(self, services: Services) -> None:
        """Loads the model, once in each worker."""

    def detect(self, queries: Sequence[Query]) -> Sequence[Found | Rejected]:
        """What is found for each query, in order, or why it cannot be looked at (Failed: not this time)."""


@dataclass
class Detect:
    """Asks the detector for boxes of all chunks."""

    detector: Detector
    name: ClassVar = "detect"
    reads: tuple[str, ...] = field(init=False)
    adds: Mapping[str, pa.DataType] = field(init=False)

    def __post_init__(self) -> None:
        self.reads = tuple(dict.fromkeys(("caption", "_chunks", *self.detector.reads)))
        self.adds = {"_detections": pa.list_(DETECTION), **self.detector.adds}

    def setup(self, services: Services) -> None:
        self.detector.setup(services)

    def __call__(self, records: list[Record]) -> list[Result]:
        queries = [
            Query(r.get("image"), r["caption"], [(chunk["start"], chunk["end"]) for chunk in r["_chunks"]], r)
            for r in records
        ]
        return [_columns(found) for found in self.detector.detect(queries)]


@dataclass
class SelectBoxes:
    """Non-maximum suppression over all boxes of a pair, then the score threshold; no box left, and it is rejected."""

    iou: float
    min_score: float
    name: ClassVar = "select_boxes"
    reads: ClassVar = ("_chunks", "_detections")
    adds: ClassVar = {"_boxes_kept": pa.list_(DETECTION), "n_boxes": pa.int32(), "dropped_nms": pa.int32()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._select(record) for record in records]

    def _select(self, record: Record) -> Result:
        found = [_unpack(d) for d in record["_detections"]]
        distinct = nms(found, [chunk["start"] for chunk in record["_chunks"]], self.iou)
        kept = [d for d in distinct if d.score > self.min_score]
        counts = {"n_boxes": len(kept), "dropped_nms": len(found) - len(distinct)}
        if not kept:
            return Rejected("no_box", f"{len(found)} boxes found, none over {self.min_score}", counts)
        return {"_boxes_kept": [_pack(d) for d in kept], **counts}


def _columns(found: Found | Rejected) -> Result:
    return (
        found if isinstance(found, Rejected) else {"_detections": [_pack(d) for d in found.detections], **found.known}
    )


def _pack(detection: Detection) -> dict[str, Any]:
    x1, y1, x2, y2 = detection.box
    return {
        "span": detection.span,
        "x1": x1,
        "y1": y1,
        "x2": x2,
        "y2": y2,
        "score": round(detection.score, 6),
        "instance": detection.instance,
    }


def _unpack(row: dict[str, Any]) -> Detection:
    return Detection(row["span"], (row["x1"], row["y1"], row["x2"], row["y2"]), row["score"], row["instance"])
