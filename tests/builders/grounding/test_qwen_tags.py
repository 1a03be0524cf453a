"""Qwen-VL's tags: boxes in [0, 1000), captions with phrases, and which spans it reads."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.grounding.boxes import Box
from builders.grounding.expressions import Offsets
from builders.grounding.qwen_tags import box_text, most_spans, parse, ref_text, render
from builders.grounding.tokens import Phrase
from tests.builders.grounding.captions import boxes, grounded

SPANS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 15)).map(lambda s: (s[0], s[0] + s[1])), max_size=8)


def test_a_box_is_whole_thousandths_under_a_thousand() -> None:
    assert box_text((0.588, 0.4999, 0.7259, 1.0)) == "<box>(588,499),(725,999)</box>"
    assert box_text((0.0, 0.0, 1.0, 1.0)) == "<box>(0,0),(999,999)</box>"


@pytest.mark.parametrize(
    "box", [(0.5, 0.0, 0.5, 1.0), (0.0, 0.6, 1.0, 0.5), (-0.1, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.1)]
)
def test_what_is_no_box_in_the_photo_is_refused(box: Box) -> None:
    with pytest.raises(ValueError, match="not a box"):
        box_text(box)


@given(boxes())
def test_a_box_is_read_back_to_a_thousandth_and_is_never_out_of_range(box: Box) -> None:
    _, ((read,),) = (lambda text: (text[0], [p.boxes for p in text[1]]))(parse(f"<ref>x</ref>{box_text(box)}"))
    assert all(0 <= value < 1 for value in read)
    assert read[0] < read[2] and read[1] < read[3]
    assert all(abs(a - b) <= 0.002 + 1e-9 for a, b in zip(box, read, strict=True))


@pytest.mark.parametrize(
    ("box", "text"),
    [
        ((0.1001, 0.2, 0.1004, 0.4), "<box>(100,200),(101,400)</box>"),
        ((0.9994, 0.2, 1.0, 0.4), "<box>(998,200),(999,400)</box>"),
        ((0.2, 0.9999, 0.4, 1.0), "<box>(200,998),(400,999)</box>"),
        ((0.0, 0.0, 1e-6, 1e-6), "<box>(0,0),(1,1)</box>"),
    ],
)
def test_a_thin_box_is_a_unit_wide_inside_the_photo(box: Box, text: str) -> None:
    assert box_text(box) == text


@given(boxes())
def test_what_is_read_is_rendered_again_to_the_letter(box: Box) -> None:
    text = f"<ref>x</ref>{box_text(box)}"
    assert render(*parse(text)) == text


def test_a_caption_keeps_its_words_around_its_phrases() -> None:
    phrases = [Phrase(4, 9, ((0.1, 0.2, 0.3, 0.4),)), Phrase(13, 15, ((0.0, 0.0, 1.0, 1.0), (0.5, 0.5, 0.75, 0.75)))]
    assert render("see a dog on 狗🐕!", phrases) == (
        "see <ref>a dog</ref><box>(100,200),(300,400)</box> on "
        "<ref>狗🐕</ref><box>(0,0),(999,999)</box><box>(500,500),(750,750)</box>!"
    )


@given(grounded())
def test_what_is_rendered_is_read_back(sample: tuple[str, list[Phrase]]) -> None:
    caption, phrases = sample
    text, found = parse(render(caption, phrases))
    assert text == caption
    assert [(p.start, p.end) for p in found] == [(p.start, p.end) for p in phrases]
    for p, q in zip(phrases, found, strict=True):
        for true, read in zip(p.boxes, q.boxes, strict=True):
            assert all(abs(a - b) <= 0.002 + 1e-9 for a, b in zip(true, read, strict=True))


def test_the_readmes_samples_are_read_and_rendered_again(shared: Path) -> None:
    items = json.loads((shared / "data/formats/qwen_vl_readme_sample.json").read_text(encoding="utf-8"))
    said = [turn["value"] for item in items for turn in item["conversations"]]
    tagged = [text for text in said if "<ref>" in text]
    assert tagged == ["<ref>格子衬衫</ref><box>(588,499),(725,789)</box>"]
    caption, (phrase,) = parse(tagged[0])
    assert (caption, phrase) == ("格子衬衫", Phrase(0, 4, ((0.588, 0.499, 0.725, 0.789),)))
    assert render(caption, [phrase]) == tagged[0]
    for text in said:
        if "<" not in text:
            assert parse(text) == (text, [])


@pytest.mark.slow
@given(grounded())
def test_a_text_that_was_read_is_rendered_again_as_it_was(sample: tuple[str, list[Phrase]]) -> None:
    text = render(*sample)
    if not re.search(r"<box>\((\d+),\d+\),\(\1,|<box>\(\d+,(\d+)\),\(\d+,\2\)", text):  # thinner than a thousandth
        assert render(*parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "<ref>a dog</ref>",
        "<box>(1,2),(3,4)</box>",
        "a <b",
        "<ref>a</ref><box>(1,2),(3,1000)</box>",
        "<quad>(1,2)</quad>",
    ],
)
def test_what_is_no_grounded_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_words_with_a_tag_in_them_are_refused_with_the_place() -> None:
    with pytest.raises(ValueError, match="'<' at character 2: readers would take it for a tag"):
        ref_text("a <ref> b")
    with pytest.raises(ValueError, match="'<' at character 4"):
        render("dog <box>", [Phrase(0, 3, ((0.0, 0.0, 1.0, 1.0),))])


def test_phrases_that_overlap_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap at character 2"):
        render("a dog", [Phrase(0, 5, ((0.0, 0.0, 1.0, 1.0),)), Phrase(2, 5, ((0.0, 0.0, 1.0, 1.0),))])


# ---- which spans -----------------------------------------------------------------------------------------------------


def test_of_a_dog_in_a_field_of_flowers_qwen_vl_keeps_the_dog_and_the_field() -> None:
    assert most_spans([(0, 5), (0, 27), (9, 16), (9, 27)]) == [(0, 5), (9, 16)]


@given(SPANS)
def test_no_choice_without_overlap_has_more_spans(spans: list[Offsets]) -> None:
    kept = most_spans(spans)
    assert set(kept) <= set(spans)
    assert all(a[1] <= b[0] for a, b in pairwise(kept))
    assert len(kept) == _most(sorted(set(spans)))


def _most(spans: Sequence[Offsets]) -> int:
    """By trying: the first span in, or out."""
    if not spans:
        return 0
    first, rest = spans[0], spans[1:]
    return max(_most(rest), 1 + _most([span for span in rest if span[0] >= first[1]]))
