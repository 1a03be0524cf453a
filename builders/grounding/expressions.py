"""Noun chunks and the referring expressions that they grow into (Kosmos-2, section 2, steps 1 and 2).

A span is `(start, end)`, character offsets into the caption, end exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from spacy.tokens import Doc, Span, Token

Offsets = tuple[int, int]

ABSTRACT_NOUNS = frozenset(
    """
        time life love freedom happiness wisdom peace justice hope courage faith understanding advantage pursuit
    """.split()
)
"""Nouns that no box can show; the list of Kosmos-2's author (microsoft/unilm, kosmos-2)."""

_CLOSING = {")": "(", "]": "[", "}": "{"}


def noun_chunks(doc: Doc) -> Iterator[Span]:
    """spaCy's noun chunks, without punctuation that a parser hung on their first word: ": a train", "- photo"."""
    for chunk in doc.noun_chunks:
        start = chunk.start
        while start < chunk.root.i and (doc[start].is_punct or doc[start].is_space):
            start += 1
        yield doc[start : chunk.end]


def chunk_drop_reason(chunk: Span, abstract: Set[str] = ABSTRACT_NOUNS) -> str | None:
    """Why a noun chunk names nothing that a box can hold: "pronoun", "abstract", or None where it may be kept."""
    if chunk.root.pos_ == "PRON":
        return "pronoun"
    head = chunk.root.lower_
    if not {head, head.removesuffix("s"), chunk.root.lemma_.lower()}.isdisjoint(abstract):
        return "abstract"
    return None


def expand(chunk: Span) -> Offsets:
    """The expression of a chunk: the whole subtree of its root, from `root.left_edge` to `root.right_edge`.

    A chunk with conjuncts is not expanded. Conjunctions and punctuation left dangling at an edge, and a bracket
    without its partner, are trimmed, never into the chunk itself.
    """
    root = chunk.root
    if root.conjuncts:
        return chunk.start_char, chunk.end_char
    doc = chunk.doc
    first, last = min(root.left_edge.i, chunk.start), max(root.right_edge.i, chunk.end - 1)
    if first == chunk.start and last == chunk.end - 1:
        return chunk.start_char, chunk.end_char
    first, last = _trim(doc, first, last, chunk)
    if any(token.is_bracket for token in doc[first : last + 1]):
        before = None
        while (first, last) != before:
            before = first, last
            first, last = _trim(doc, *_cut_at_lone_bracket(doc, first, last, chunk), chunk)
    return doc[first].idx, doc[last].idx + len(doc[last])


def _trim(doc: Doc, first: int, last: int, chunk: Span) -> tuple[int, int]:
    while last >= chunk.end and _dangles(doc[last]):
        last -= 1
    while first < chunk.start and _dangles(doc[first]):
        first += 1
    return first, last


def _dangles(token: Token) -> bool:
    closes = token.text in _CLOSING
    return (
        token.dep_ == "cc" or token.is_space or (token.is_punct and not closes and token.text not in _CLOSING.values())
    )


def _cut_at_lone_bracket(doc: Doc, first: int, last: int, chunk: Span) -> tuple[int, int]:
    """Shrink [first, last] so that no bracket outside the chunk lacks its partner."""
    open_at: list[int] = []
    for i in range(first, last + 1):
        text = doc[i].text
        if text in _CLOSING.values():
            open_at.append(i)
        elif text in _CLOSING:
            if open_at and doc[open_at[-1]].text == _CLOSING[text]:
                open_at.pop()
            else:
                return (first, max(i - 1, chunk.end - 1)) if i >= chunk.end else (min(i + 1, chunk.start), last)
    if open_at:
        i = open_at[0]
        return (first, max(i - 1, chunk.end - 1)) if i >= chunk.end else (min(i + 1, chunk.start), last)
    return first, last


def uncontained(spans: Iterable[Offsets]) -> list[Offsets]:
    """The distinct spans that lie in no other span, in order of their start."""
    kept: list[Offsets] = []
    for span in sorted(set(spans), key=lambda s: (s[0], -s[1])):
        if not kept or span[1] > kept[-1][1]:
            kept.append(span)
    return kept
