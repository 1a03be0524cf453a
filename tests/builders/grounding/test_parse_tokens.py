"""Grounded text, read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.grounding.parse_tokens import parse
from builders.grounding.tokens import PAPER, RELEASED, LowerRight, Phrase, Style, dequantise, quantise, render
from tests.builders.grounding.captions import grounded

STYLES = st.sampled_from([RELEASED, PAPER])
CONVENTIONS = st.sampled_from(["transformers", "unilm"])


def test_a_phrase_comes_with_its_span_and_what_its_cells_stand_for() -> None:
    text = "<grounding> see<phrase> a dog</phrase><object><patch_index_0195><patch_index_0393></object> run"
    assert parse(text) == ("see a dog run", [Phrase(4, 9, (dequantise((195, 393)),))])


def test_several_boxes_are_read_in_the_papers_spelling() -> None:
    text = "<grounding><p>two dogs</p><box><loc_195><loc_393><delim><loc_0><loc_1023></box>"
    assert parse(text, PAPER) == ("two dogs", [Phrase(0, 8, (dequantise((195, 393)), dequantise((0, 1023))))])


def test_the_real_models_outputs_are_read_and_rendered_again(shared: Path) -> None:
    vectors = json.loads((shared / "data/formats/kosmos2_decode_vectors_transformers.json").read_text())["vectors"]
    assert len(vectors) == 2
    for vector in vectors:
        caption, phrases = parse(vector["raw"])
        assert caption == vector["text"]
        told = [[caption[p.start : p.end], [p.start, p.end], [list(box) for box in p.boxes]] for p in phrases]
        assert told == vector["entities"]
        assert render(caption, phrases, RELEASED, "transformers") == vector["raw"]


@given(grounded(), STYLES, CONVENTIONS)
def test_what_is_rendered_is_read_back_to_caption_spans_and_cells(
    sample: tuple[str, list[Phrase]], style: Style, lower_right: LowerRight
) -> None:
    caption, phrases = sample
    text, found = parse(render(caption, phrases, style, lower_right), style)
    assert text == caption
    assert found == [
        Phrase(p.start, p.end, tuple(dequantise(quantise(box, lower_right)) for box in p.boxes)) for p in phrases
    ]


@given(grounded(), STYLES)
def test_read_boxes_lie_in_the_photo_within_a_cell_of_the_true_ones(
    sample: tuple[str, list[Phrase]], style: Style
) -> None:
    caption, phrases = sample
    _, found = parse(render(caption, phrases, style, "transformers"), style)
    for p, q in zip(phrases, found, strict=True):
        for true, read in zip(p.boxes, q.boxes, strict=True):
            assert 0 <= read[0] < read[2] <= 1 and 0 <= read[1] < read[3] <= 1
            assert all(abs(a - b) <= 1 / 32 + 1e-9 for a, b in zip(true, read, strict=True))


@given(grounded())
def test_a_text_that_was_read_is_rendered_again_as_it_was(sample: tuple[str, list[Phrase]]) -> None:
    text = render(*sample, RELEASED, "transformers")
    assert render(*parse(text), RELEASED, "transformers") == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<grounding><phrase>a dog</phrase> runs", "'<' at character 0"),
        ("<grounding> a <b> dog", "'<' at character 3"),
        ("<p>a dog</p><box><loc_1><loc_2></box>", "no grounded text of these tokens"),
        ("<phrase>a dog</phrase><object><patch_index_0001></object>", "no pair of cells"),
        ("<phrase>a dog</phrase><object><patch_index_0001><patch_index_1024></object>", "no pair of cells"),
        ("<phrase>a dog</phrase><object>x</object>", "no pair of cells"),
    ],
)
def test_what_is_no_grounded_text_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(text)
