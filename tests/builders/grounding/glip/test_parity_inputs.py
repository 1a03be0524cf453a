"""Photos and captions before the network, against the original's (golden/README.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from builders.grounding.glip.config import MAX_TOKENS
from builders.grounding.glip.files import GlipFiles
from builders.grounding.glip.preprocess import fitted, prepared, resized
from builders.grounding.glip.spans import CaptionTokenizer
from tests.builders.grounding.glip import golden

MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
VOCABULARY = golden.FOLDER / "vocabulary.txt"


def photos() -> Any:
    return [case for case in golden.load("preprocess") if "photo" in case.get("inputs", {})]


@pytest.mark.slow
@pytest.mark.parametrize("case", photos(), ids=lambda case: case["name"])
def test_a_photo_is_resized_to_the_originals_pixels_and_padded(case: dict[str, Any]) -> None:
    image = Image.fromarray(golden.photo(**case["inputs"]["photo"]).numpy())
    height, width = case["size"]

    size = fitted(*image.size)
    tensor = prepared(resized(image))

    assert (size.height, size.width) == (height, width)
    assert golden.difference(tensor, case["expected"]["padded"]) < 1e-5
    mean, std = (tensor.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    pixels = (tensor * std + mean)[:, :height, :width].flip(0).permute(1, 2, 0)
    assert (pixels - pixels.round()).abs().max() < 1e-3
    assert golden.difference(pixels.round(), case["expected"]["resized"]) < 1e-12


def test_sides_are_rounded_as_the_original_does() -> None:
    rows = golden.load("preprocess")[-1]["expected"]["rows"]
    assert [[w, h, fitted(w, h).width, fitted(w, h).height] for w, h, _, _ in rows] == rows


def tokenizer() -> CaptionTokenizer:
    words = len(VOCABULARY.read_text().splitlines())
    return CaptionTokenizer(GlipFiles("T", Path("unread"), VOCABULARY), words)


def captions(long: bool) -> Any:
    return [case for case in golden.load("spans") if isinstance(case["caption"], dict) == long]


@pytest.mark.parametrize("case", captions(long=False), ids=lambda case: case["name"])
def test_a_span_of_characters_has_the_originals_tokens(case: dict[str, Any]) -> None:
    (text,) = tokenizer()(case["caption"], case["spans"])

    assert list(text.ids) == case["expected"]["ids"]
    ours = [list(text.phrases.get(i, ())) for i in range(len(case["spans"]))]
    assert ours == case["expected"]["tokens"]


def test_of_a_long_caption_we_keep_the_phrases_that_the_original_loses() -> None:
    (case,) = captions(long=True)
    told = case["caption"]
    texts = tokenizer()(told["repeat"] * told["times"] + told["then"], case["spans"])

    held: dict[int, list[int]] = {}
    for text in texts:
        assert len(text.ids) <= MAX_TOKENS
        held.update({i: list(tokens) for i, tokens in text.phrases.items()})
    last = MAX_TOKENS - 2  # of the tokens that a caption may have, [SEP] following
    for i, tokens in enumerate(case["expected"]["tokens"]):
        assert held[i]
        if tokens and tokens[-1] <= last and len(tokens) == len(held[i]):
            assert held[i] == tokens
    assert torch.tensor([not tokens for tokens in case["expected"]["tokens"]]).any()
