"""Zero-shot detectors on real photos: a batch is as good as one by one, and what becomes of what does not fit."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from builders.grounding.boxes import Detection, upright
from builders.grounding.detect import Detect, Found, Query, SelectBoxes
from builders.grounding.sample import GritSample
from builders.grounding.zero_shot import DROPPED, HALVED, ZeroShot
from builders.grounding.zero_shot_files import find_detector
from builders.grounding.zero_shot_model import _OmDet, _Owl, _Phrases
from builders.step import Rejected, Services
from schemas.errors import UserError
from tests.tiny_detectors import KINDS

pytestmark = pytest.mark.slow

CAPTION = "A red dog with a cup of coffee and a dog"
SPANS = [(0, 9), (15, 20), (24, 30), (35, 40)]
Ready = Callable[..., ZeroShot]


@pytest.fixture(scope="module")
def ready(tiny: Callable[[str], Path], services: Services) -> Ready:
    """A detector, loaded."""

    def load(kind: str, **options: Any) -> ZeroShot:
        detector = ZeroShot(find_detector(str(tiny(kind))), **{"threads": 1, **options})
        detector.setup(services)
        return detector

    return load


def queries(photos: Sequence[bytes]) -> list[Query]:
    """The photos, each with another number of spans."""
    return [Query(photo, CAPTION, SPANS[: 1 + i % 4], {}) for i, photo in enumerate(photos)]


def boxes(found: Found | Rejected) -> list[Detection]:
    assert isinstance(found, Found)
    return list(found.detections)


def alike(one: Sequence[Detection], other: Sequence[Detection], within: float = 1e-4) -> bool:
    """Whether both hold the same boxes; those of nearly one score may change places."""
    left = list(other)
    for a in one:
        near = [b for b in left if _near(a, b, within)]
        if not near:
            return False
        left.remove(near[0])
    return not left


def _near(a: Detection, b: Detection, within: float) -> bool:
    return a.span == b.span and abs(np.subtract((*a.box, a.score), (*b.box, b.score))).max() < within


# ---- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_as_good_as_one_by_one(kind: str, ready: Ready, photos: list[bytes]) -> None:
    asked = queries([*photos, photos[0]])
    together = ready(kind, batch=8).detect(asked)
    detector = ready(kind, batch=1)
    alone = [detector.detect([query])[0] for query in asked]
    for batched, single in zip(together, alone, strict=True):
        assert alike(boxes(batched), boxes(single))
    found = [boxes(one) for one in together]
    assert all(found) and not alike(found[0], found[1])  # the photos do differ
    assert all(isinstance(one, Found) and one.known == {HALVED: 0, DROPPED: 0} for one in together)


def test_a_batch_holds_photos_of_one_size_in_the_order_in_which_sizes_come(
    ready: Ready, photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    run = _Phrases.__call__
    monkeypatch.setattr(
        _Phrases, "__call__", lambda self, seen, text: shapes.append(tuple(seen.shape)) or run(self, seen, text)
    )
    square, lying = photos[2], photos[1]
    ready("grounding-dino", batch=2).detect(queries([lying, square, lying, square, lying]))
    assert shapes == [(2, 3, 96, 128), (1, 3, 96, 128), (2, 3, 96, 96)]


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_lie_in_the_photo_and_scores_are_over_the_threshold_and_rounded(
    kind: str, ready: Ready, photos: list[bytes]
) -> None:
    detector = ready(kind)
    all_of_them = [one for found in detector.detect(queries(photos)) for one in boxes(found)]
    for one in all_of_them:
        x1, y1, x2, y2 = one.box
        assert 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1 and one.instance is None
        assert detector.files.family.threshold < one.score <= 1 and round(one.score, 6) == one.score
    strict = [one for found in ready(kind, threshold=0.5).detect(queries(photos)) for one in boxes(found)]
    assert 0 < len(strict) < len(all_of_them)
    assert alike(strict, [one for one in all_of_them if one.score > 0.5])


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_that_is_stored_turned_gets_the_boxes_of_the_upright_one(
    kind: str, ready: Ready, photos: list[bytes]
) -> None:
    picture = Image.open(io.BytesIO(photos[0])).convert("RGB")
    tags = Image.Exif()
    tags[0x0112] = 6
    out = io.BytesIO()
    picture.transpose(Image.Transpose.ROTATE_90).save(out, "PNG", exif=tags)
    turned, plain = ready(kind).detect([Query(data, CAPTION, SPANS, {}) for data in (out.getvalue(), photos[0])])
    assert alike(boxes(turned), boxes(plain))
    lying = [Detection(one.span, upright(one.box, 6), one.score) for one in boxes(plain)]
    assert not alike(boxes(turned), lying)


@pytest.mark.parametrize("kind", ["grounding-dino", "owlv2", "omdet-turbo"])
def test_what_is_found_goes_through_suppression_threshold_and_sample_as_annotations_do(
    kind: str, ready: Ready, photos: list[bytes]
) -> None:
    chunks = [{"start": a, "end": b, "expression_start": a, "expression_end": b} for a, b in SPANS]
    about = {"caption": CAPTION, "caption_id": "1", "url": None, "width": 451, "height": 300, "_chunks": chunks}
    records = [{"key": str(i), "image": photo, **about} for i, photo in enumerate([*photos, b"no photo"])]
    for step in (Detect(ready(kind)), SelectBoxes(0.5, 0.3), GritSample("transformers")):
        results = step(records)
        assert all(isinstance(result, Rejected) or result.keys() == step.adds.keys() for result in results)
        kept = [(record, result) for record, result in zip(records, results, strict=True) if isinstance(result, dict)]
        records = [{**record, **result} for record, result in kept]
    assert [record["key"] for record in records] == ["0", "1", "2", "3", "4"]
    for record in records:
        told = json.loads(record["json"])
        assert told["phrases"] and all(score > 0.3 for phrase in told["phrases"] for score in phrase["scores"])
        assert {phrase["text"] for phrase in told["phrases"]} <= {CAPTION[a:b] for a, b in SPANS}
        assert record["n_boxes"] == len(told["noun_chunks"]) and record[HALVED] == 0


# ---- what cannot be looked at ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "elongated_is"), [("grounding-dino", "too_elongated"), ("owlv2", None)])
def test_broken_photos_are_rejected_and_their_neighbours_are_not_touched(
    kind: str, elongated_is: str | None, ready: Ready, photos: list[bytes]
) -> None:
    broken, elongated = photos[0][:-5000], io.BytesIO()
    Image.new("RGB", (1100, 100)).save(elongated, "PNG")
    detector = ready(kind)
    found = detector.detect(queries([photos[0], b"no photo", broken, photos[2], elongated.getvalue(), photos[1]]))
    reasons = [one.reason if isinstance(one, Rejected) else None for one in found]
    assert reasons == [None, "not_an_image", "broken_image", None, elongated_is, None]
    good = [found[0], found[3], found[5]]
    alone = [detector.detect([Query(photos[i], CAPTION, SPANS[:n], {})])[0] for i, n in ((0, 1), (2, 4), (1, 2))]
    assert all(alike(boxes(one), boxes(other)) for one, other in zip(good, alone, strict=True))


def test_boxes_take_their_own_threads_whatever_ran_in_the_process_before(ready: Ready) -> None:
    detector = ready("grounding-dino", threads=2)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert detector.detect([]) == [] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_no_queries_and_a_query_without_spans_find_nothing(ready: Ready, photos: list[bytes]) -> None:
    detector = ready("grounding-dino")
    assert detector.detect([]) == []
    assert detector.detect([Query(photos[0], CAPTION, [], {})]) == [Found([], {HALVED: 0, DROPPED: 0})]


def test_an_answer_that_is_no_number_is_an_error(
    ready: Ready, photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = ready("owlv2")
    monkeypatch.setattr(
        _Owl, "__call__", lambda self, seen, text: (torch.zeros(len(text), 3, 4), torch.full((len(text), 3, 4), np.nan))
    )
    with pytest.raises(ValueError, match="the detector's answer is no number"):
        detector.detect(queries(photos))


# ---- more than fits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["grounding-dino", "owlv2", "omdet-turbo"])
def test_what_is_asked_in_several_passes_is_found_for_every_span(kind: str, ready: Ready, photos: list[bytes]) -> None:
    caption = " and ".join(["a red dog"] * 120)
    spans = [(i * 14, i * 14 + 9) for i in range(120)]
    detector = ready(kind, threshold=0.0, most=100_000)
    (found,) = detector.detect([Query(photos[0], caption, spans, {})])
    assert {one.span for one in boxes(found)} == set(range(120))
    if kind == "owlv2":  # each query is scored by itself, so that the same words get the same boxes
        of_span = [[(one.box, one.score) for one in boxes(found) if one.span == i] for i in range(120)]
        assert all(of_span[0] == one for one in of_span)


def test_the_best_boxes_of_a_photo_are_kept(ready: Ready, photos: list[bytes]) -> None:
    query = Query(photos[0], CAPTION, SPANS, {})
    everything = boxes(ready("owlv2", threshold=0.0).detect([query])[0])
    (kept,) = ready("owlv2", threshold=0.0, most=10).detect([query])
    best = boxes(kept)
    assert len(everything) > len(best) == 10
    assert isinstance(kept, Found) and kept.known[DROPPED] == len(everything) - 10
    assert sorted(one.score for one in best) == sorted(one.score for one in everything)[-10:]
    assert [one.span for one in best] == sorted(one.span for one in best)


def test_boxes_over_the_most_are_counted_once_however_many_passes_it_took(ready: Ready, photos: list[bytes]) -> None:
    caption = " and ".join(["a red dog"] * 60)
    query = Query(photos[0], caption, [(i * 14, i * 14 + 9) for i in range(60)], {})
    everything = boxes(ready("grounding-dino", threshold=0.0, most=100_000).detect([query])[0])
    (kept,) = ready("grounding-dino", threshold=0.0, most=70).detect([query])
    assert isinstance(kept, Found) and kept.known[DROPPED] == len(everything) - len(kept.detections) > 0


def test_every_span_keeps_its_best_box_however_few_a_photo_may_have(ready: Ready, photos: list[bytes]) -> None:
    query = Query(photos[0], CAPTION, SPANS, {})
    everything = boxes(ready("grounding-dino", threshold=0.0).detect([query])[0])
    one_each = boxes(ready("grounding-dino", threshold=0.0, most=1).detect([query])[0])
    assert [one.span for one in one_each] == [0, 1, 2, 3]
    assert all(one.score == max(other.score for other in everything if other.span == one.span) for one in one_each)


def small_gpu(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """A device that holds `most` photos; returns the sizes of the batches that were tried."""
    sizes: list[int] = []
    run = _OmDet.__call__

    def run_few(self: Any, seen: torch.Tensor, text: Any) -> Any:
        sizes.append(len(text))
        if len(text) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return run(self, seen, text)

    monkeypatch.setattr(_OmDet, "__call__", run_few)
    return sizes


def test_too_little_gpu_memory_halves_the_batch_and_says_so(
    ready: Ready, photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = queries([*photos, *photos])
    whole = ready("omdet-turbo").detect(asked)
    sizes = small_gpu(monkeypatch, most=3)
    detector = ready("omdet-turbo", batch=8)
    halved = detector.detect(asked)
    assert all(alike(boxes(one), boxes(other)) for one, other in zip(whole, halved, strict=True))
    assert [one.known for one in halved if isinstance(one, Found)] == [{HALVED: 1, DROPPED: 0}] * 10
    assert sizes == [8, 4, 2, 2, 2, 2, 2]
    (after,) = detector.detect(asked[:1])
    assert isinstance(after, Found) and after.known == {HALVED: 1, DROPPED: 0}


def test_a_gpu_that_cannot_hold_one_photo_stops_the_build(
    ready: Ready, photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_gpu(monkeypatch, most=0)
    detector = ready("omdet-turbo")
    with pytest.raises(UserError, match=r"^detector\.precision: .* photo in fp32; set bf16, or take a smaller model$"):
        detector.detect(queries(photos))
    detector.precision = "bf16"
    with pytest.raises(UserError, match=r"^detector\.precision: .* one photo in bf16; take a smaller model$"):
        detector.detect(queries(photos))
