"""GLIP as a detector of the grounding step: real photos in, boxes of spans out, whatever stands beside them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from builders.grounding.detect import Found, Query
from builders.grounding.glip.config import VARIANTS
from builders.grounding.glip.detector import Glip
from builders.grounding.glip.files import GlipFiles
from builders.grounding.glip.preprocess import resized
from builders.grounding.glip_detector import GlipDetector
from builders.grounding.zero_shot import DROPPED, HALVED
from builders.step import Rejected, Services
from schemas.errors import UserError
from tests.builders.grounding.glip.tiny import TINY, write_files

pytestmark = pytest.mark.slow

CAPTIONS = ("a dog and the red ball", "the catnip", "a dog's ball, the dog")
SPANS = ([(0, 5), (10, 22)], [(0, 10)], [(0, 5), (14, 21)])
SIZES = ((80, 60), (60, 80), (160, 120))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> GlipFiles:
    return write_files(tmp_path_factory.mktemp("glip"))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos of 64 pixels and a small model."""
    monkeypatch.setitem(VARIANTS, "T", TINY)
    monkeypatch.setattr("builders.grounding.glip.preprocess.SHORT", 64)
    monkeypatch.setattr("builders.grounding.glip.preprocess.LONG", 107)


def photo(width: int, height: int, orientation: int = 1) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(out, "PNG", exif=exif)
    return out.getvalue()


def queries(photos: Sequence[bytes | None] = tuple(photo(*size) for size in SIZES)) -> list[Query]:
    return [Query(data, CAPTIONS[i % 3], SPANS[i % 3], {}) for i, data in enumerate(photos)]


def ready(files: GlipFiles, services: Services, **options: Any) -> GlipDetector:
    detector = GlipDetector(files, **{"threads": 1, **options})
    detector.setup(services)
    return detector


def told(found: Found | Rejected) -> np.ndarray[Any, Any]:
    assert isinstance(found, Found) and found.detections
    return np.array([(one.span, *one.box, one.score) for one in found.detections])


def test_boxes_take_their_own_threads_whatever_ran_in_the_process_before(files: GlipFiles, services: Services) -> None:
    detector = ready(files, services, threads=2)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert detector.detect([]) == [] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_boxes_are_those_of_the_model_for_each_span(files: GlipFiles, services: Services) -> None:
    found = ready(files, services).detect(queries())

    images = [resized(Image.open(io.BytesIO(photo(*size)))) for size in SIZES]
    expected = Glip(files, "cpu", batch=1).detect(images, CAPTIONS, SPANS)
    for one, spans in zip(found, expected, strict=True):
        rows = [(i, *box, score) for i, s in enumerate(spans) for box, score in zip(s.boxes, s.scores, strict=True)]
        np.testing.assert_allclose(told(one), np.array(rows), atol=1e-4)


def test_a_batch_is_as_good_as_one_by_one(files: GlipFiles, services: Services) -> None:
    asked = queries([photo(80, 60), photo(60, 80), photo(160, 120), photo(84, 63)])
    together, alone = (ready(files, services, batch=batch).detect(asked) for batch in (4, 1))
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(told(one), told(other), atol=1e-4)


def test_a_photo_that_exif_turns_is_seen_as_a_viewer_sees_it(files: GlipFiles, services: Services) -> None:
    turned = photo(80, 60, orientation=6)
    upright = io.BytesIO()
    Image.open(io.BytesIO(turned)).transpose(Image.Transpose.ROTATE_270).save(upright, "PNG")
    detector = ready(files, services)
    one, other = (detector.detect(queries([data]))[0] for data in (turned, upright.getvalue()))
    np.testing.assert_allclose(told(one), told(other), atol=1e-6)


def test_a_photo_much_larger_than_the_model_sees_is_resized_in_one_step(
    files: GlipFiles, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, seen = photo(5400, 600), []
    detector = ready(files, services)
    monkeypatch.setattr(Glip, "detect", lambda self, images, captions, spans: seen.extend(images) or [[]])
    detector.detect(queries([data]))
    (image,) = seen
    whole = Image.open(io.BytesIO(data))
    assert np.array_equal(image, whole.resize((108, 12), Image.Resampling.BILINEAR))


def test_broken_photos_are_rejected_and_their_neighbours_are_not_touched(files: GlipFiles, services: Services) -> None:
    good = queries()
    bad = [Query(data, "a dog", [(0, 5)], {}) for data in (b"no photo", photo(80, 60)[:-900], photo(700, 60), None)]
    detector = ready(files, services)
    found = detector.detect([good[0], bad[0], bad[1], good[1], bad[2], bad[3], good[2]])
    reasons = [one.reason if isinstance(one, Rejected) else None for one in found]
    assert reasons == [None, "not_an_image", "broken_image", None, "too_elongated", "not_an_image", None]
    for one, other in zip((found[0], found[3], found[6]), detector.detect(good), strict=True):
        np.testing.assert_allclose(told(one), told(other), atol=1e-4)


def test_pairs_of_a_halved_batch_say_so(files: GlipFiles, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = ready(files, services, batch=2)
    run = Glip._run

    def small(self: Glip, part: Any, images: Any) -> Any:
        if len(part) > 1:
            raise torch.OutOfMemoryError
        return run(self, part, images)

    monkeypatch.setattr(Glip, "_run", small)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    found = detector.detect(queries([photo(60, 80), photo(80, 60), photo(160, 120)]))
    assert [one.known[HALVED] for one in found if isinstance(one, Found)] == [0, 1, 1]


def test_boxes_over_the_most_are_counted(files: GlipFiles, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = ready(files, services)
    (whole,) = detector.detect(queries()[:1])
    monkeypatch.setattr("builders.grounding.glip.postprocess.MOST", 2)
    (few,) = detector.detect(queries()[:1])
    assert isinstance(few, Found) and isinstance(whole, Found) and whole.known[DROPPED] == 0
    assert few.known[DROPPED] >= len(whole.detections) - len(few.detections) > 0


def test_half_precision_without_a_gpu_is_refused_with_the_field(files: GlipFiles, services: Services) -> None:
    with pytest.raises(UserError, match=r"detector\.precision: bf16 needs a GPU"):
        ready(files, services, precision="bf16")
