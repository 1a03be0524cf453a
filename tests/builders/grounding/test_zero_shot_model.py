"""What goes into the models and comes out of them, against transformers' own processors; and which span gets a box."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from builders.grounding.boxes import Detection, clip
from builders.grounding.detect import Found, Query
from builders.grounding.zero_shot import ZeroShot
from builders.grounding.zero_shot_files import find_detector
from builders.grounding.zero_shot_image import pixels_of, shape_of
from builders.grounding.zero_shot_model import Loaded
from builders.step import Services
from tests.tiny_detectors import KINDS

pytestmark = pytest.mark.slow

CAPTION = "a red dog with a cup of coffee and a dog."
SPANS = [(0, 9), (15, 20), (24, 30), (35, 40)]
CHUNKS = [CAPTION[start:end] for start, end in SPANS]
Ready = Callable[..., ZeroShot]


@pytest.fixture(scope="module")
def ready(tiny: Callable[[str], Path], services: Services) -> Ready:
    """A detector, loaded, that sees photos at transformers' own size."""

    def load(kind: str, **options: Any) -> ZeroShot:
        given = {"threads": 1, "multiple": 1, **options}
        detector = ZeroShot(find_detector(str(tiny(kind))), **given)
        detector.setup(services)
        return detector

    return load


def processor(kind: str, tiny: Callable[[str], Path]) -> Any:
    """transformers' own, of the same files."""
    import transformers as t

    files = find_detector(str(tiny(kind)))
    kinds = {"owlv2": t.Owlv2Processor, "owlvit": t.OwlViTProcessor, "omdet-turbo": t.OmDetTurboProcessor}
    made = kinds.get(kind, t.GroundingDinoProcessor)
    return made(t.AutoImageProcessor.from_pretrained(files.folder), t.AutoTokenizer.from_pretrained(files.folder))


def opened(photo: bytes) -> Image.Image:
    return Image.open(io.BytesIO(photo)).convert("RGB")


def small(photo: bytes) -> bytes:
    """A photo under four times the size that a tiny model sees: none that is averaged down first."""
    picture, out = opened(photo), io.BytesIO()
    picture.thumbnail((200, 200))
    picture.save(out, "PNG")
    return out.getvalue()


def detections(detector: ZeroShot, query: Query) -> list[Detection]:
    (found,) = detector.detect([query])
    assert isinstance(found, Found)
    return list(found.detections)


# ---- against transformers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_sees_the_pixels_that_its_own_processor_makes(
    kind: str, ready: Ready, tiny: Callable[[str], Path], photos: list[bytes]
) -> None:
    loaded = ready(kind)._loaded
    assert loaded is not None
    for photo in photos:
        shape, pixels = shape_of(photo, loaded.files.size, 1), pixels_of(photo, 10_000)
        ours = loaded.photo(pixels, shape)  # type: ignore[arg-type]
        theirs = processor(kind, tiny).image_processor(images=[opened(photo)], return_tensors="pt")["pixel_values"][0]
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", ["owlv2", "owlvit"])
def test_boxes_and_scores_of_an_owl_are_its_processors(
    kind: str, ready: Ready, tiny: Callable[[str], Path], photos: list[bytes]
) -> None:
    detector, own = ready(kind, threshold=0.0, most=10_000), processor(kind, tiny)
    assert detector._loaded is not None
    for photo in map(small, photos[:3]):
        inputs = own(text=[CHUNKS], images=opened(photo), return_tensors="pt", text_kwargs={"max_length": 16})
        with torch.inference_mode():
            answer = detector._loaded.model(**inputs)
        for span, logits in enumerate(answer.logits[0].T):  # theirs tells a box's best query alone
            answer.logits = logits[None, :, None]
            size = opened(photo).size
            (told,) = own.post_process_grounded_object_detection(answer, threshold=0.0, target_sizes=[size[::-1]])
            theirs = [
                (*box, round(score, 6))
                for found, score in zip(told["boxes"].tolist(), told["scores"].tolist(), strict=True)
                if (box := clip(tuple(v / s for v, s in zip(found, size * 2, strict=True))))  # type: ignore[arg-type]
            ]
            ours = [(*one.box, one.score) for one in detections(detector, Query(photo, CAPTION, SPANS, {}))]
            spans = [one.span for one in detections(detector, Query(photo, CAPTION, SPANS, {}))]
            mine = sorted(box for box, owner in zip(ours, spans, strict=True) if owner == span)
            assert np.abs(np.subtract(mine, sorted(theirs))).max() < 1e-4


def test_boxes_and_scores_of_omdet_turbo_are_its_processors(
    ready: Ready, tiny: Callable[[str], Path], photos: list[bytes]
) -> None:
    detector, own = ready("omdet-turbo", threshold=0.0, most=10_000), processor("omdet-turbo", tiny)
    assert detector._loaded is not None
    photo = small(photos[0])
    inputs = own(images=opened(photo), text=[CHUNKS], return_tensors="pt")
    with torch.inference_mode():
        answer = detector._loaded.model(**inputs)
    chances, places = answer.decoder_class_logits[0].sigmoid(), answer.decoder_coord_logits[0]
    expected = sorted(
        (span, chances[i, span].item(), *box)
        for i, (x, y, w, h) in enumerate(places.tolist())
        for span in range(4)
        if (box := clip((x - w / 2, y - h / 2, x + w / 2, y + h / 2)))
    )
    ours = sorted((one.span, one.score, *one.box) for one in detections(detector, Query(photo, CAPTION, SPANS, {})))
    assert len(ours) == len(expected) > 40
    assert np.abs(np.subtract(ours, expected)).max() < 1e-4


@pytest.mark.parametrize("kind", ["grounding-dino", "mm-grounding-dino"])
@pytest.mark.parametrize("over", ["mean", "max"])
def test_a_spans_score_is_taken_over_the_probabilities_of_its_tokens(
    kind: str, over: str, ready: Ready, tiny: Callable[[str], Path], photos: list[bytes]
) -> None:
    detector, own = ready(kind, over=over, threshold=0.0, most=10_000), processor(kind, tiny)
    assert detector._loaded is not None
    inputs = own(images=opened(photos[0]), text=CAPTION, return_tensors="pt")
    with torch.inference_mode():
        answer = detector._loaded.model(**inputs)
    tokens = own.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    assert tokens[:11] == "[CLS] a red dog with a cup of coffee and a".split() and tokens[11:] == ["dog", ".", "[SEP]"]
    chances = answer.logits.sigmoid()[0]
    for span, (first, end) in enumerate([(1, 4), (5, 7), (8, 9), (10, 12)]):
        part = chances[:, first:end]
        expected = part.mean(-1) if over == "mean" else part.amax(-1)
        ours = [one.score for one in detections(detector, Query(photos[0], CAPTION, SPANS, {})) if one.span == span]
        assert ours == pytest.approx(sorted(expected.tolist(), reverse=True), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_finds_nearly_the_same(kind: str, precision: Any, ready: Ready, photos: list[bytes]) -> None:
    """On a GPU it is for; autocast runs the same code on a CPU."""
    detector = ready(kind, threshold=0.0, most=10_000)
    query = Query(photos[0], CAPTION, SPANS, {})
    plain = np.array([one.score for one in detections(detector, query)])
    assert detector._loaded is not None
    detector._loaded = replace(detector._loaded, precision=precision)
    detector._adapter = detector._loaded.adapter("mean")
    found = detections(detector, query)
    assert len(found) > 10
    assert abs(np.median([one.score for one in found]) - np.median(plain)) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_are_finer_than_bfloat16_could_tell(kind: str, ready: Ready, photos: list[bytes]) -> None:
    loaded = ready(kind)._loaded
    assert loaded is not None
    adapter = replace(loaded, precision="bf16").adapter("mean")
    shape, pixels = shape_of(photos[0], loaded.files.size, 1), pixels_of(photos[0], 10_000)
    photo = loaded.photo(pixels, shape)  # type: ignore[arg-type]
    with torch.inference_mode():
        boxes, _ = adapter(photo[None], adapter.passes(CAPTION, SPANS))
    assert boxes.dtype == torch.float32
    assert (boxes == boxes.bfloat16()).float().mean() < 0.1


# ---- a model whose answers are known ---------------------------------------------------------------------------------


class OneBoxAToken:
    """Reads like Grounding DINO; gives each token of the text a box of its own, of 0.9 for it and 0.1 for the rest.

    The boxes tell of which token they are: their height is its id / 2,000, and of two with the same word the later one
    lies further right.
    """

    config: ClassVar[Any] = SimpleNamespace(max_text_len=256, text_config=SimpleNamespace(max_position_embeddings=512))

    def __call__(self, pixel_values: torch.Tensor, input_ids: torch.Tensor, **_: Any) -> Any:
        rows, length = input_ids.shape
        logits = torch.full((rows, length, 256), float("-inf"))
        logits[:, :, :length] = torch.logit(torch.tensor(0.1))
        logits[:, torch.arange(length), torch.arange(length)] = torch.logit(torch.tensor(0.9))
        across = (torch.arange(length) + 1) / (length + 1)
        boxes = torch.stack([across.expand(rows, -1), torch.full((rows, length), 0.5)], -1)
        sides = torch.stack([torch.full((rows, length), 0.001), input_ids / 2000], -1)
        return SimpleNamespace(logits=logits, pred_boxes=torch.cat([boxes, sides], -1))


@pytest.fixture
def known(ready: Ready) -> Callable[..., Callable[[str, Sequence[tuple[int, int]]], list[tuple[int, str, float]]]]:
    """What such a model finds in a caption: (span, word of the token, score), in the order of the tokens."""

    def make(**options: Any) -> Any:
        detector = ready("grounding-dino", **options)
        real = detector._loaded
        assert real is not None
        words = {i: word for word, i in real.tokenizer.get_vocab().items()}
        detector._loaded = Loaded(real.files, OneBoxAToken(), real.processor, real.tokenizer, real.device)
        detector._adapter = detector._loaded.adapter(detector.over)
        out = io.BytesIO()
        Image.new("RGB", (96, 96)).save(out, "PNG")

        def ask(caption: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, str, float]]:
            found = sorted(detections(detector, Query(out.getvalue(), caption, spans, {})), key=lambda one: one.box)
            return [(one.span, words[round((one.box[3] - one.box[1]) * 2000)], one.score) for one in found]

        return ask

    return make


def test_a_box_belongs_to_a_span_and_not_to_its_words(known: Any) -> None:
    found = known(over="max", threshold=0.5)("two dogs and a dog and a dog", [(0, 8), (13, 18), (23, 28)])
    assert found == [
        (0, "two", 0.9),
        (0, "dogs", 0.9),
        (1, "a", 0.9),
        (1, "dog", 0.9),
        (2, "a", 0.9),
        (2, "dog", 0.9),
    ]


def test_the_mean_asks_that_all_words_of_a_span_fit(known: Any) -> None:
    found = known(threshold=0.2)("a red dog with coffee", [(0, 9), (15, 21)])
    each = pytest.approx((0.9 + 0.1 + 0.1) / 3, abs=1e-6)
    assert found == [(0, "a", each), (0, "red", each), (0, "dog", each), (1, "coffee", pytest.approx(0.9, abs=1e-6))]


def test_a_box_above_the_threshold_for_two_spans_stands_for_both(known: Any) -> None:
    found = known(over="max", threshold=0.5)("a dog in a field", [(0, 16), (9, 16)])
    assert [(span, word) for span, word, _ in sorted(found)] == [
        (0, "a"), (0, "a"), (0, "dog"), (0, "field"), (0, "in"), (1, "a"), (1, "field"),
    ]  # fmt: skip


def test_words_outside_every_span_and_delimiters_get_no_box(known: Any) -> None:
    assert {word for _, word, _ in known(over="max", threshold=0.5)("of a dog. with?", [(3, 8)])} == {"a", "dog"}


def test_every_span_of_a_long_caption_gets_the_boxes_of_its_own_words(known: Any) -> None:
    words = ["red dog", "brown cat", "coffee cup", "man", "two dogs"]
    caption, spans = "", []
    for i in range(150):
        word = words[i % 5]
        spans.append((len(caption), len(caption) + len(word)))
        caption += word + " and "
    found = known(over="max", threshold=0.5, most=10_000)(caption, spans)
    for i, span in enumerate(spans):
        assert sorted(word for owner, word, _ in found if owner == i) == sorted(caption[slice(*span)].split())
