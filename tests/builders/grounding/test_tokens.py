"""Location tokens and grounded text, as facts of Kosmos-2 and as transformers' own code reads them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from builders.grounding.boxes import Box, clip
from builders.grounding.caption import CheckCaption
from builders.grounding.tokens import PAPER, RELEASED, LowerRight, P, Phrase, Style, dequantise, quantise, render

CELL = st.integers(0, P - 1)
CONVENTIONS = st.sampled_from(["transformers", "unilm"])
EDGES = st.integers(0, P).map(lambda n: n / P)
COORDINATE = st.one_of(st.floats(0, 1), EDGES)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Boxes as the steps make them: clipped to the photo and rounded; corners on cells' edges are common."""
    x1, x2 = sorted((draw(COORDINATE), draw(COORDINATE)))
    y1, y2 = sorted((draw(COORDINATE), draw(COORDINATE)))
    box = clip((x1, y1, x2, y2))
    assume(box is not None)
    assert box is not None
    return box


# ---- quantisation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lower_right", ["transformers", "unilm"])
@pytest.mark.parametrize(
    ("box", "cells"),
    [
        ((0.019644, 0.310540, 0.962214, 0.960344), (288, 990)),
        ((0.019422, 0.027634, 0.959330, 0.969468), (0, 1022)),
        ((0.1, 0.2, 0.3, 0.4), (195, 393)),
        ((0.0, 0.0, 1.0, 1.0), (0, 1023)),
    ],
)
def test_a_box_is_the_cells_of_its_corners(box: Box, cells: tuple[int, int], lower_right: LowerRight) -> None:
    assert quantise(box, lower_right) == cells


def test_a_lower_right_corner_on_an_edge_belongs_to_the_cell_before_it_or_after_it() -> None:
    assert quantise((0.25, 0.25, 0.5, 0.5), "transformers") == (264, 495)
    assert quantise((0.25, 0.25, 0.5, 0.5), "unilm") == (264, 528)


def test_transformers_convention_is_the_default() -> None:
    assert quantise((0.25, 0.25, 0.5, 0.5)) == (264, 495)


@given(boxes())
def test_the_conventions_differ_on_edges_only(box: Box) -> None:
    on_edge = any(math.isclose(v * P, round(v * P), abs_tol=P * 1.1e-5) for v in box[2:])
    assert on_edge or quantise(box, "transformers") == quantise(box, "unilm")


@given(boxes(), CONVENTIONS)
def test_cells_lie_in_the_grid_and_the_second_is_neither_above_nor_left_of_the_first(
    box: Box, lower_right: LowerRight
) -> None:
    upper, lower = quantise(box, lower_right)
    assert 0 <= upper <= lower < P * P
    assert upper % P <= lower % P


@pytest.mark.parametrize(
    "box", [(0.5, 0, 0.5, 1), (0.6, 0, 0.5, 1), (0, 0.5, 1, 0.4), (-0.1, 0, 1, 1), (0, 0, 1.1, 1), (math.nan, 0, 1, 1)]
)
def test_what_is_no_box_in_the_photo_is_refused(box: Box) -> None:
    with pytest.raises(ValueError, match="not a box"):
        quantise(box)


@given(boxes())
def test_transformers_quantises_to_the_same_cells(kosmos2: ModuleType, box: Box) -> None:
    assert quantise(box) == kosmos2.coordinate_to_patch_index(box, P)


@given(boxes())
def test_the_released_code_quantises_to_the_same_cells(box: Box) -> None:
    x1, y1, x2, y2 = box  # microsoft/unilm, kosmos-2, as facts.md gives it
    right, bottom = (math.floor(min(v, 0.99999) * P) for v in (x2, y2))
    upper = math.floor(x1 * P) + math.floor(y1 * P) * P
    assume(right >= math.floor(x1 * P) and bottom >= math.floor(y1 * P))
    assert quantise(box, "unilm") == (upper, right + bottom * P)


# ---- and back --------------------------------------------------------------------------------------------------------


def test_cells_apart_are_decoded_from_centre_to_centre() -> None:
    assert dequantise((44, 863)) == (0.390625, 0.046875, 0.984375, 0.828125)


def test_cells_in_one_row_or_column_are_decoded_from_corner_to_corner() -> None:
    assert dequantise((3, 4)) == (0.09375, 0, 0.15625, 0.03125)
    assert dequantise((3, 3 + P)) == (0.09375, 0, 0.125, 0.0625)
    assert dequantise((0, 0)) == (0, 0, 0.03125, 0.03125)


@given(CELL, CELL, CELL, CELL)
def test_transformers_decodes_to_the_same_box(kosmos2: ModuleType, x1: int, y1: int, x2: int, y2: int) -> None:
    cells = y1 * P + x1, y2 * P + x2
    assert dequantise(cells) == kosmos2.patch_index_to_coordinate(*cells, P)


@given(CELL, CELL, CELL, CELL)
def test_a_decoded_box_is_encoded_to_the_cells_that_it_came_from(x1: int, y1: int, x2: int, y2: int) -> None:
    (x1, x2), (y1, y2) = sorted((x1, x2)), sorted((y1, y2))
    cells = y1 * P + x1, y2 * P + x2
    assert quantise(dequantise(cells)) == cells


@given(boxes(), CONVENTIONS)
def test_a_decoded_corner_is_at_most_a_cell_away(box: Box, lower_right: LowerRight) -> None:
    for before, after in zip(box, dequantise(quantise(box, lower_right)), strict=True):
        assert abs(before - after) <= 1 / P + 1e-9


# ---- text ------------------------------------------------------------------------------------------------------------

DOG = Phrase(0, 5, ((0.1, 0.2, 0.3, 0.4),))


def test_released_spelling() -> None:
    assert render("A dog.", [DOG], RELEASED, "transformers") == (
        "<grounding><phrase>A dog</phrase><object><patch_index_0195><patch_index_0393></object>."
    )


def test_paper_spelling() -> None:
    assert render("A dog.", [DOG], PAPER, "transformers") == ("<grounding><p>A dog</p><box><loc_195><loc_393></box>.")


def test_several_boxes_of_one_phrase_stand_in_one_group_joined_by_the_delimiter() -> None:
    two = [Phrase(0, 8, ((0.1, 0.2, 0.3, 0.4), (0.0, 0.0, 1.0, 1.0)))]
    assert render("two dogs", two, RELEASED, "transformers") == (
        "<grounding><phrase>two dogs</phrase><object><patch_index_0195><patch_index_0393>"
        "</delimiter_of_multi_objects/><patch_index_0000><patch_index_1023></object>"
    )
    assert render("two dogs", two, PAPER, "transformers") == (
        "<grounding><p>two dogs</p><box><loc_195><loc_393><delim><loc_0><loc_1023></box>"
    )


def test_the_space_before_a_phrase_goes_inside_its_tag() -> None:
    assert render("see a dog run", [Phrase(4, 9, DOG.boxes)], PAPER, "transformers") == (
        "<grounding> see<p> a dog</p><box><loc_195><loc_393></box> run"
    )


def test_a_caption_without_phrases_is_grounded_text_of_itself() -> None:
    assert render("a dog", [], RELEASED, "transformers") == "<grounding> a dog"


def test_the_convention_reaches_the_text() -> None:
    phrase = [Phrase(0, 1, ((0.25, 0.25, 0.5, 0.5),))]
    assert "<loc_264><loc_495>" in render("x", phrase, PAPER, "transformers")
    assert "<loc_264><loc_528>" in render("x", phrase, PAPER, "unilm")


@pytest.mark.parametrize("style", [RELEASED, PAPER], ids=["released", "paper"])
def test_a_caption_with_what_readers_take_for_a_token_is_refused(style: Style) -> None:
    with pytest.raises(ValueError, match="'<' at character 6: readers would take it for a token"):
        render("a dog <3", [DOG], style, "transformers")


def test_phrases_that_overlap_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap at character 4"):
        render("see a dog", [DOG, Phrase(4, 9, DOG.boxes)], RELEASED, "transformers")


# ---- transformers reads it back --------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(
        ["a", "dog", "Straße", "naïve", "e\u0301tude", "3", "!", "…", "(", "]", ">", "&", "</", "\\1", "%s"]
    ),
    st.sampled_from(["🐕", "👩‍👧", "🇩🇪", "👍🏽", "כלב", "שָׁלוֹם", "كلب", "‫ب‬", "狗", "ไทย", "\u200b", "a\u00a0b"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6),
).map(lambda word: word.replace("<", "").strip())
GAPS = st.sampled_from([" ", " ", " ", "  ", "", "-", ", ", "\n", "\t", "\u00a0"])


@st.composite
def grounded(draw: st.DrawFn) -> tuple[str, list[Phrase]]:
    """A caption that CheckCaption lets through and phrases in it: runs of words that do not overlap, with boxes."""
    words = draw(st.lists(WORDS.filter(bool), min_size=1, max_size=10))
    text, spans = "", []
    for word in words:
        spans.append((len(text), len(text) + len(word)))
        text += word + draw(GAPS)
    text = text[: spans[-1][1]]
    (checked,) = CheckCaption(1000, grounded=True)([{"_caption": text, "_problem": None}])
    assume(checked == {"caption": text})
    phrases, i = [], 0
    while i < len(spans):
        length = draw(st.integers(0, 3))
        if length:
            last = min(i + length, len(spans)) - 1
            found = draw(st.lists(boxes(), min_size=1, max_size=3))
            phrases.append(Phrase(spans[i][0], spans[last][1], tuple(found)))
        i += max(length, 1)
    return text, phrases


@pytest.mark.slow
@given(grounded(), CONVENTIONS)
@example(("a dog", [Phrase(0, 5, ((0.0, 0.0, 1.0, 1.0),))]), "transformers")
@example(("x > 3 /> a כלב 🐕", [Phrase(9, 14, ((0.0, 0.0, 1.0, 1.0),))]), "unilm")
def test_transformers_reads_the_same_caption_spans_and_boxes(
    kosmos2: ModuleType, sample: tuple[str, list[Phrase]], lower_right: LowerRight
) -> None:
    caption, phrases = sample
    text, entities = kosmos2.clean_text_and_extract_entities_with_bboxes(
        render(caption, phrases, RELEASED, lower_right)
    )
    assert text == caption
    assert entities == [
        (caption[p.start : p.end], (p.start, p.end), [dequantise(quantise(b, lower_right)) for b in p.boxes])
        for p in phrases
    ]


@given(grounded(), CONVENTIONS)
def test_both_spellings_say_the_same(sample: tuple[str, list[Phrase]], lower_right: LowerRight) -> None:
    respelled = render(*sample, RELEASED, lower_right)
    for old, new in (("phrase>", "p>"), ("object>", "box>"), ("</delimiter_of_multi_objects/>", "<delim>")):
        respelled = respelled.replace(f"<{old}", f"<{new}").replace(f"</{old}", f"</{new}").replace(old, new)
    respelled = re.sub(r"<patch_index_(\d{4})>", lambda m: f"<loc_{int(m[1])}>", respelled)
    assert respelled == render(*sample, PAPER, lower_right)


def test_text_of_the_real_kosmos_2_is_read_and_written_the_same(shared: Path) -> None:
    vectors = json.loads((shared / "data/formats/kosmos2_decode_vectors_transformers.json").read_text())["vectors"]
    assert vectors
    for vector in vectors:
        phrases = [Phrase(*span, tuple(map(tuple, found))) for _, span, found in vector["entities"]]
        assert render(vector["text"], phrases, RELEASED, "transformers") == vector["raw"]
        for groups, (phrase, span, found) in zip(_objects(vector["raw"]), vector["entities"], strict=True):
            assert [list(dequantise(cells)) for cells in groups] == found
            assert vector["text"][slice(*span)] == phrase


def _objects(raw: str) -> list[list[tuple[int, int]]]:
    groups = re.findall(r"<object>(.*?)</object>", raw)
    cells = ([int(n) for n in re.findall(r"patch_index_(\d+)", group)] for group in groups)
    return [list(zip(group[::2], group[1::2], strict=True)) for group in cells]


# ---- the whole Kosmos2Processor --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def processor(kosmos2: ModuleType) -> Any:
    """A real processor: CLIP's image side, and a small byte-level tokenizer trained on the spot."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import CLIPImageProcessor, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(["a dog in a field of flowers", "two dogs sit on the grass"], trainer)
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return kosmos2.Kosmos2Processor(CLIPImageProcessor(), PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names))


def _marked(caption: str, phrases: list[Phrase]) -> str:
    """The caption as a user hands it to the processor: phrases tagged, no boxes."""
    return re.sub(r"<object>.*?</object>", "", render(caption, phrases, RELEASED, "transformers"))


@given(grounded())
@settings(max_examples=50)
def test_the_processor_puts_in_the_same_tokens_for_our_phrases_and_boxes(
    processor: Any, sample: tuple[str, list[Phrase]]
) -> None:
    caption, phrases = sample
    assume(not any("\n" in caption[p.start : p.end] for p in phrases))  # its own regex cannot match such a phrase
    theirs = processor(text=_marked(caption, phrases), bboxes=[list(p.boxes) for p in phrases])["input_ids"]
    ours = processor.tokenizer("<s>" + render(caption, phrases, RELEASED, "transformers"))["input_ids"]
    assert theirs == ours


def test_every_tag_and_cell_of_ours_is_one_token_of_the_processor(processor: Any) -> None:
    text = render("a dog and two dogs", [DOG, Phrase(10, 18, DOG.boxes * 2)], RELEASED, "transformers")
    tags = re.findall(r"<[^>]+>", text)
    added = {processor.tokenizer.convert_tokens_to_ids(tag) for tag in tags}
    assert processor.tokenizer.unk_token_id not in added
    ids = processor.tokenizer(text)["input_ids"]
    first_added = min(processor.tokenizer.added_tokens_decoder.keys() - set(range(4)))
    assert [processor.tokenizer.convert_ids_to_tokens(i) for i in ids if i >= first_added] == tags


def test_what_the_processor_tokenised_is_read_back_to_our_spans(processor: Any) -> None:
    caption, phrases = "a dog in a field", [DOG, Phrase(9, 16, ((0.0, 0.0, 1.0, 1.0),))]
    ids = processor(text=_marked(caption, phrases), bboxes=[list(p.boxes) for p in phrases])["input_ids"]
    decoded = processor.tokenizer.decode(ids[1:])
    text, entities = processor.post_process_generation(decoded)
    assert (text, [entity[1] for entity in entities]) == (caption, [(0, 5), (9, 16)])
