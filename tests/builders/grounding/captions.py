"""Captions of any letters with phrases in them, as hypothesis draws them."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

from builders.grounding.boxes import Box, clip
from builders.grounding.tokens import P, Phrase

_EDGES = st.integers(0, P).map(lambda n: n / P)
_COORDINATE = st.one_of(st.floats(0, 1), _EDGES, st.integers(0, 1000).map(lambda n: n / 1000))
_WORDS = st.one_of(
    st.sampled_from(
        ["a", "dog", "Straße", "e\u0301tude", "🐕", "👩‍👧", "🇩🇪", "כלב", "‫ب‬", "狗", "ไทย", ">", "{}", "\\1", "(x)"]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5),
).map(lambda word: word.replace("<", "").strip())
_GAPS = st.sampled_from([" ", " ", "  ", "", ", ", "\n", "\u00a0"])


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Boxes as the steps make them: in the photo, with a size, rounded."""
    x1, x2 = sorted((draw(_COORDINATE), draw(_COORDINATE)))
    y1, y2 = sorted((draw(_COORDINATE), draw(_COORDINATE)))
    box = clip((x1, y1, x2, y2))
    assume(box is not None)
    assert box is not None
    return box


@st.composite
def grounded(draw: st.DrawFn, spaced: bool = False) -> tuple[str, list[Phrase]]:
    """A caption without white space at its edges, and phrases in order that do not overlap, one box each and more.

    `spaced`: one space between words, so that nothing depends on which spaces a tag takes in.
    """
    text, spans = "", []
    for word in draw(st.lists(_WORDS.filter(bool), min_size=1, max_size=8)):
        spans.append((len(text), len(text) + len(word)))
        text += word + (" " if spaced else draw(_GAPS))
    text = text[: spans[-1][1]]
    assume(text == text.strip())
    phrases, i = [], 0
    while i < len(spans):
        length = draw(st.integers(0, 3))
        if length:
            end = spans[min(i + length, len(spans)) - 1][1]
            found = draw(st.lists(boxes(), min_size=1, max_size=3))
            phrases.append(Phrase(spans[i][0], end, tuple(found)))
        i += max(length, 1)
    return text, phrases
