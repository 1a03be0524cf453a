"""The interface of every detector, and what is kept of its boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from builders.grounding.boxes import Detection
from builders.grounding.detect import DETECTION, Detect, Found, Query, SelectBoxes
from builders.step import Rejected, Services

BOX = (0.1, 0.2, 0.3, 0.4)


@dataclass
class EverywhereDetector:
    """A detector of another kind: it looks at the photo, finds everything in one place, and knows no instances."""

    reads: Sequence[str] = ("image",)
    adds: Mapping[str, pa.DataType] = field(default_factory=lambda: {"looked": pa.int32()})
    asked: list[Query] = field(default_factory=list)
    ready: bool = False

    def setup(self, services: Services) -> None:
        self.ready = True

    def detect(self, queries: Sequence[Query]) -> list[Found | Rejected]:
        self.asked += queries
        return [
            Found([Detection(i, BOX, 0.123456789) for i in range(len(query.spans))], {"looked": 1})
            if query.image
            else Rejected("not_an_image")
            for query in queries
        ]


def record(*spans: tuple[int, int], **columns: Any) -> dict[str, Any]:
    return {"caption": "a dog, a cat", "_chunks": [{"start": a, "end": b} for a, b in spans], **columns}


def packed(span: int, score: float, box: tuple[float, ...] = BOX, instance: int | None = None) -> dict[str, Any]:
    return {**dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)), "span": span, "score": score, "instance": instance}


# ---- asking ----------------------------------------------------------------------------------------------------------


def test_a_detector_is_asked_for_the_chunks_of_each_caption_with_the_columns_that_it_reads(services: Services) -> None:
    detector = EverywhereDetector()
    step = Detect(detector)
    assert step.reads == ("caption", "_chunks", "image")
    step.setup(services)
    assert detector.ready
    step([record((0, 5), (7, 12), image=b"jpeg"), record((0, 5), image=b"png")])
    assert [(q.image, q.caption, list(q.spans)) for q in detector.asked] == [
        (b"jpeg", "a dog, a cat", [(0, 5), (7, 12)]),
        (b"png", "a dog, a cat", [(0, 5)]),
    ]


def test_detections_come_back_in_order_with_rounded_scores_and_fit_their_arrow_type() -> None:
    first, second = Detect(EverywhereDetector())([record((0, 5), (7, 12), image=b"x"), record(image=b"x")])
    assert isinstance(first, dict) and isinstance(second, dict)
    assert first["_detections"] == [packed(0, 0.123457), packed(1, 0.123457)]
    assert second["_detections"] == []
    assert pa.array(first["_detections"], DETECTION).to_pylist() == [
        {field.name: row[field.name] for field in DETECTION} for row in first["_detections"]
    ]


def test_a_detectors_own_columns_stand_beside_the_boxes_and_what_it_refuses_is_refused() -> None:
    step = Detect(EverywhereDetector())
    assert list(step.adds) == ["_detections", "looked"]
    looked, refused = step([record((0, 5), image=b"x"), record((0, 5), image=b"")])
    assert isinstance(looked, dict) and looked.keys() == step.adds.keys() and looked["looked"] == 1
    assert refused == Rejected("not_an_image")


# ---- keeping ---------------------------------------------------------------------------------------------------------


def select(detections: list[dict[str, Any]], chunks: int = 3, iou: float = 0.5, score: float = 0.65) -> Any:
    spans = [(i * 5, i * 5 + 3) for i in range(chunks)]
    (result,) = SelectBoxes(iou, score)([record(*spans, _detections=detections)])
    return result


def test_boxes_must_score_more_than_the_threshold() -> None:
    result = select([packed(0, 0.65), packed(1, 0.650001, (0.5, 0.5, 1.0, 1.0)), packed(2, 0.2, (0.0, 0.0, 0.1, 0.1))])
    assert [d["span"] for d in result["_boxes_kept"]] == [1]
    assert (result["n_boxes"], result["dropped_nms"]) == (1, 0)


def test_boxes_that_another_suppresses_are_dropped_and_counted() -> None:
    result = select([packed(0, 0.9), packed(1, 0.8), packed(2, 0.95, (0.5, 0.5, 1.0, 1.0))])
    assert [d["span"] for d in result["_boxes_kept"]] == [0, 2]
    assert (result["n_boxes"], result["dropped_nms"]) == (2, 1)


def test_suppression_comes_before_the_threshold() -> None:
    assert select([packed(0, 0.6), packed(1, 0.5)]) == Rejected(
        "no_box", "2 boxes found, none over 0.65", {"n_boxes": 0, "dropped_nms": 1}
    )


def test_a_pair_with_no_box_is_rejected() -> None:
    assert select([]) == Rejected("no_box", "0 boxes found, none over 0.65", {"n_boxes": 0, "dropped_nms": 0})


DETECTIONS = st.lists(
    st.builds(
        packed,
        st.integers(0, 2),
        st.sampled_from([0.5, 0.65, 0.7, 1.0]),
        st.sampled_from([BOX, (0.1, 0.2, 0.3, 0.41), (0.5, 0.5, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0)]),
        st.none() | st.integers(0, 2),
    ),
    max_size=8,
)


@given(DETECTIONS)
def test_every_box_is_kept_or_dropped_for_overlap_or_scores_too_little(detections: list[dict[str, Any]]) -> None:
    result = select(detections)
    if isinstance(result, Rejected):
        high = [d for d in detections if d["score"] > 0.65]
        assert not high
        return
    assert all(d in detections and d["score"] > 0.65 for d in result["_boxes_kept"])
    assert result["n_boxes"] == len(result["_boxes_kept"]) >= 1
    low = len(detections) - result["dropped_nms"] - result["n_boxes"]
    assert 0 <= low <= sum(d["score"] <= 0.65 for d in detections)
