"""A whole GLIP on the CPU: photos and captions in, boxes for spans out, however they are batched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from builders.grounding.glip import detector
from builders.grounding.glip.config import VARIANTS, Variant
from builders.grounding.glip.detector import Found, Glip, Precision
from builders.grounding.glip.files import GlipFiles
from builders.grounding.glip.postprocess import boxes_of
from builders.grounding.glip.preprocess import prepared
from schemas.errors import UserError
from tests.builders.grounding.glip.tiny import TINY, write_files

pytestmark = pytest.mark.slow

CAPTIONS = ("a dog and the red ball", "the catnip", "a dog's ball, the dog")
SPANS = ([(0, 5), (10, 22)], [(0, 10)], [(0, 5), (14, 21)])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> GlipFiles:
    return write_files(tmp_path_factory.mktemp("glip"))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small model."""
    monkeypatch.setitem(VARIANTS, "T", TINY)


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """As large as a GLIP of 64 pixels sees it."""
    whole = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))
    size = 64 * width // min(width, height), 64 * height // min(width, height)
    return whole.resize(size, Image.Resampling.BILINEAR)


PHOTOS = (photo(80, 60), photo(60, 80, 1), photo(160, 120, 2))


def close(ours: list[Found], theirs: list[Found]) -> bool:
    """The same boxes and scores but for rounding."""
    if [len(found.boxes) for found in ours] != [len(found.boxes) for found in theirs]:
        return False
    pairs = list(zip(ours, theirs, strict=True))
    return all(np.allclose(a.scores, b.scores, atol=1e-5) for a, b in pairs) and all(
        np.allclose(a.boxes or 0, b.boxes or 0, atol=1e-4) for a, b in pairs
    )


def test_each_span_of_each_photo_has_its_boxes_in_order(files: GlipFiles) -> None:
    found = Glip(files, "cpu", batch=1).detect(PHOTOS, CAPTIONS, SPANS)
    assert [len(each) for each in found] == [2, 1, 2]
    for span in (span for each in found for span in each):
        assert span.scores and len(span.boxes) == len(span.scores)
        assert span.scores == sorted(span.scores, reverse=True)
        assert all(0 <= x1 < x2 < 1 and 0 <= y1 < y2 < 1 for x1, y1, x2, y2 in span.boxes)


def test_boxes_are_shares_of_the_photo_that_the_model_saw(files: GlipFiles) -> None:
    glip = Glip(files, "cpu", batch=1)
    (found,) = glip.detect(PHOTOS[:1], CAPTIONS[:1], SPANS[:1])
    width, height = PHOTOS[0].size
    (text,) = glip._tokenizer(CAPTIONS[0], SPANS[0])
    ids = torch.tensor([text.ids])
    with torch.inference_mode():
        levels = glip._model(prepared(PHOTOS[0])[None], ids, torch.ones_like(ids, dtype=torch.bool))
        boxes = boxes_of(levels, 0, [text.phrases[0], text.phrases[1]], width, height)
    first = boxes.phrases == 0
    sides = torch.tensor([85, 64, 85, 64])
    assert (width, height) == (85, 64)
    assert np.allclose(found[0].scores, boxes.scores[first])
    assert np.allclose(found[0].boxes, boxes.boxes[first] / sides)


def test_a_batch_is_as_good_as_one_by_one(files: GlipFiles) -> None:
    glip = Glip(files, "cpu", batch=8)
    together = glip.detect(PHOTOS, CAPTIONS, SPANS)
    glip.batch = 1
    for i, found in enumerate(together):
        (alone,) = glip.detect(PHOTOS[i : i + 1], CAPTIONS[i : i + 1], SPANS[i : i + 1])
        assert close(found, alone)


def test_photos_of_one_padded_size_go_through_it_together(files: GlipFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    glip = Glip(files, "cpu", batch=2)
    seen = []
    run = glip._run
    monkeypatch.setattr(
        glip, "_run", lambda part, images: seen.append([one.image for one in part]) or run(part, images)
    )
    photos = (photo(80, 60), photo(60, 80), photo(160, 120), photo(96, 72))
    glip.detect(photos, ["a dog"] * 4, [[(0, 5)]] * 4)
    assert seen == [[0, 2], [3], [1]]


def test_a_long_caption_takes_several_passes_and_each_span_is_found_as_in_its_own(files: GlipFiles) -> None:
    caption = " ".join(["dog"] * 300)
    glip = Glip(files, "cpu", batch=2)
    spans = [(0, 3), (4 * 299, 4 * 299 + 3)]
    (found,) = glip.detect(PHOTOS[:1], [caption], [spans])
    (first,) = glip.detect(PHOTOS[:1], [" ".join(["dog"] * 254)], [spans[:1]])
    (second,) = glip.detect(PHOTOS[:1], [" ".join(["dog"] * 254)], [[(4 * 253, 4 * 253 + 3)]])
    assert all(span.scores for span in found)
    assert close([found[0]], first) and close([found[1]], second)


def test_a_span_without_a_token_has_no_boxes_and_a_caption_without_spans_is_not_read(files: GlipFiles) -> None:
    found = Glip(files, "cpu", batch=2).detect(PHOTOS[:2], ["dog    cat", "a dog"], [[(0, 3), (4, 6)], []])
    assert found[0][0].boxes
    assert found[0][1] == Found() and found[1] == []


def test_what_does_not_fit_into_memory_is_tried_again_by_halves(
    files: GlipFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    glip = Glip(files, "cpu", batch=4)
    photos = [photo(80, 60, seed) for seed in range(4)]
    expected = glip.detect(photos, ["a dog"] * 4, [[(0, 5)]] * 4)
    sizes = []
    run = glip._run

    def small(part: list[object], images: list[Image.Image]) -> object:
        sizes.append(len(part))
        if len(part) > 1:
            raise torch.OutOfMemoryError
        return run(part, images)

    monkeypatch.setattr(glip, "_run", small)
    found = glip.detect(photos, ["a dog"] * 4, [[(0, 5)]] * 4)
    assert sizes == [4, 2, 1, 1, 1, 1] and glip.batch == 1
    assert all(close(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("variant", "precision", "told"),
    [
        ("L", "fp32", "detector.precision: the GPU cannot hold one photo in fp32; set bf16, or take GLIP-T"),
        (
            "T",
            "fp32",
            "detector.precision: the GPU cannot hold one photo in fp32; set bf16, or take a larger GPU",
        ),
        ("L", "bf16", "detector.variant: the GPU cannot hold one photo in bf16; take GLIP-T"),
        ("T", "fp16", "detector: the GPU cannot hold one photo in fp16; take a larger GPU"),
    ],
)
def test_a_single_photo_that_does_not_fit_is_told_with_what_may_still_be_changed(
    files: GlipFiles, monkeypatch: pytest.MonkeyPatch, variant: Variant, precision: Precision, told: str
) -> None:
    glip = Glip(files, "cpu", batch=1)
    glip.files, glip.precision = replace(files, variant=variant), precision

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(glip, "_run", full)
    with pytest.raises(UserError) as raised:
        glip.detect(PHOTOS[:1], CAPTIONS[:1], SPANS[:1])
    assert str(raised.value) == told


@pytest.mark.parametrize("part", ["bbox_pred", "centerness"])
def test_an_answer_that_is_no_number_is_an_error(files: GlipFiles, part: str) -> None:
    glip = Glip(files, "cpu", batch=1)
    getattr(glip._model.head, part).bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="the model's answer is no number"):
        glip.detect(PHOTOS[:1], CAPTIONS[:1], SPANS[:1])


def test_lower_precision_needs_a_gpu(files: GlipFiles) -> None:
    with pytest.raises(UserError, match="^detector.precision: bf16 needs a GPU, and this worker has none; set fp32"):
        Glip(files, "cpu", batch=1, precision="bf16")


def test_lower_precision_changes_the_backbone_alone(files: GlipFiles) -> None:
    """On a CPU, where torch knows bfloat16 too: what comes out is float32, and not far from float32's."""
    exact = Glip(files, "cpu", batch=1)._model
    lower = detector.load_model(files.checkpoint, TINY, dtype=torch.bfloat16)
    ids = torch.tensor([[2, 4, 7, 3]])
    inputs = prepared(PHOTOS[0])[None], ids, torch.ones_like(ids, dtype=torch.bool)
    with torch.inference_mode():
        whole, rounded = exact(*inputs), lower(*inputs)
    for a, b in zip(whole, rounded, strict=True):
        assert b.logits.dtype == b.boxes.dtype == torch.float32
        assert not torch.equal(a.logits, b.logits)
        assert torch.allclose(a.logits, b.logits, atol=0.05)


def test_another_vocabulary_than_the_models_is_refused(files: GlipFiles, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\ndog\n")
    with pytest.raises(UserError, match=r"^detector.tokenizer: .*vocab.txt has 5 words, not BERT's 25 with"):
        Glip(GlipFiles("T", files.checkpoint, tmp_path / "vocab.txt"), "cpu", batch=1)
