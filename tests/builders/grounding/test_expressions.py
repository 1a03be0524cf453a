"""How a noun chunk grows into a referring expression (Kosmos-2, section 2, step 2), on trees written by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import spacy
from hypothesis import assume, given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span, Token

from builders.grounding.expressions import (
    ABSTRACT_NOUNS,
    Offsets,
    chunk_drop_reason,
    expand,
    noun_chunks,
    uncontained,
)

Parsed = Callable[[str], Doc]

DOG_IN_A_FIELD = "a/DT/det/1 dog/NN/ROOT/1 in/IN/prep/1 a/DT/det/4 field/NN/pobj/2 of/IN/prep/4 flowers/NNS/pobj/5"
WIRE_HANGER = (
    "a/DT/det/2 wire/NN/compound/2 hanger/NN/ROOT/2 with/IN/prep/2 a/DT/det/6 paper/NN/compound/6 cover/NN/pobj/3"
    " that/WDT/nsubj/8 reads/VBZ/relcl/6 we/PRP/nsubj/10 heart/VBP/ccomp/8 our/PRP$/poss/12 customers/NNS/dobj/10"
)


def chunks(doc: Doc) -> dict[str, Span]:
    return {chunk.text: chunk for chunk in doc.noun_chunks}


def expression(doc: Doc, chunk: str) -> str:
    start, end = expand(chunks(doc)[chunk])
    return doc.text[start:end]


# ---- the cases of Kosmos-2 -------------------------------------------------------------------------------------------


def test_a_dog_in_a_field_of_flowers_is_one_expression(parsed: Parsed) -> None:
    doc = parsed(DOG_IN_A_FIELD)
    assert list(chunks(doc)) == ["a dog", "a field", "flowers"]
    grown = [expand(chunk) for chunk in doc.noun_chunks]
    assert [doc.text[start:end] for start, end in grown] == [doc.text, "a field of flowers", "flowers"]
    assert uncontained(grown) == [(0, len(doc.text))]


def test_the_released_record_of_the_wire_hanger(parsed: Parsed) -> None:
    doc = parsed(WIRE_HANGER)
    assert doc.text == "a wire hanger with a paper cover that reads we heart our customers"
    hanger, cover = chunks(doc)["a wire hanger"], chunks(doc)["a paper cover"]
    assert [(chunk.start_char, chunk.end_char) for chunk in (hanger, cover)] == [(0, 13), (19, 32)]
    assert [expand(hanger), expand(cover)] == [(0, 66), (19, 66)]
    assert uncontained([(19, 66), (0, 66)]) == [(0, 66)]


def test_a_chunk_with_conjuncts_is_not_expanded_on_either_side(parsed: Parsed) -> None:
    doc = parsed("a/DT/det/1 man/NN/ROOT/1 and/CC/cc/1 a/DT/det/4 dog/NN/conj/1 on/IN/prep/4 grass/NN/pobj/5")
    assert expression(doc, "a man") == "a man"
    assert expression(doc, "a dog") == "a dog"
    assert expression(doc, "grass") == "grass"


def test_an_expression_reaches_left_of_its_chunk_where_the_tree_does(parsed: Parsed) -> None:
    doc = parsed("both/DT/predet/3 of/IN/prep/0 the/DT/det/3 dogs/NNS/ROOT/3 barking/VBG/acl/3")
    chunk = doc[2:4]
    assert expand(chunk) == (0, len(doc.text))


# ---- what is trimmed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "grown"),
    [
        ("a/DT/det/1 dog/NN/ROOT/1 barking/VBG/acl/1 _./././1", "a dog barking"),
        ("a/DT/det/1 dog/NN/ROOT/1 barking/VBG/acl/1 _,/,/punct/1 and/CC/cc/1", "a dog barking"),
        ("a/DT/det/1 dog/NN/ROOT/1 and/CC/cc/1", "a dog"),
        ("a/DT/det/1 dog/NN/ROOT/1 (/-LRB-/punct/3 _barking/VBG/acl/1 _)/-RRB-/punct/3", "a dog (barking)"),
        ("a/DT/det/1 dog/NN/ROOT/1 (/-LRB-/punct/3 _barking/VBG/acl/1", "a dog"),
        ("a/DT/det/1 dog/NN/ROOT/1 barking/VBG/acl/1 _)/-RRB-/punct/1", "a dog barking"),
        ("a/DT/det/1 dog/NN/ROOT/1 barking/VBG/acl/1 _]/-RRB-/punct/1 loudly/NN/dep/2", "a dog barking"),
        ("a/DT/det/1 dog/NN/ROOT/1 ,/,/punct/1 [/-LRB-/punct/1", "a dog"),
        ("a/DT/det/1 dog/NN/ROOT/1 (/-LRB-/punct/3 _barking/VBG/acl/1 _]/-RRB-/punct/3", "a dog"),
    ],
)
def test_dangling_conjunctions_punctuation_and_lone_brackets_are_trimmed(
    parsed: Parsed, items: str, grown: str
) -> None:
    assert expression(parsed(items), "a dog") == grown


@pytest.mark.parametrize(
    ("items", "found"),
    [
        (":/:/punct/2 the/DT/det/2 train/NN/ROOT/2 on/IN/prep/2 rails/NNS/pobj/3", ["the train", "rails"]),
        ("-/:/punct/3 -/:/punct/3 stock/NN/compound/3 photo/NN/ROOT/3", ["stock photo"]),
        ("close/JJ/amod/2 -/:/punct/2 up/NN/ROOT/2", ["close - up"]),
        ("?/./ROOT/0", []),
    ],
)
def test_a_chunk_starts_at_a_word(parsed: Parsed, items: str, found: list[str]) -> None:
    chunks = list(noun_chunks(parsed(items)))
    assert [chunk.text for chunk in chunks] == found
    assert all(expand(chunk)[0] == chunk.start_char for chunk in chunks)


def test_a_bracket_before_the_chunk_without_its_partner_is_trimmed_on_the_left(parsed: Parsed) -> None:
    doc = parsed("(/-LRB-/punct/2 _a/DT/det/2 dog/NN/ROOT/2 barking/VBG/acl/2")
    assert doc.text[slice(*expand(doc[1:3]))] == "a dog barking"


WORDS = ["dog", "cat", "and", ",", ".", "(", ")", "[", "]", "{", "}", "-", "\n"]
BRACKETS = set("()[]{}")


@st.composite
def chunks_of_any_tree(draw: st.DrawFn) -> Span:
    """A run of words of a caption whose tree is any tree, non-projective ones too."""
    size = draw(st.integers(1, 9))
    order = draw(st.permutations(range(size)))
    heads = [0] * size
    for place, token in enumerate(order):
        heads[token] = order[draw(st.integers(0, max(0, place - 1)))] if place else token
    words = draw(st.lists(st.sampled_from(WORDS), min_size=size, max_size=size))
    deps = ["ROOT" if heads[i] == i else "cc" if words[i] == "and" else "dep" for i in range(size)]
    first = draw(st.integers(0, size - 1))
    doc = Doc(VOCAB, words=words, heads=heads, deps=deps, pos=["NOUN"] * size)
    return doc[first : draw(st.integers(first + 1, size))]


VOCAB = spacy.blank("en").vocab


@given(chunks_of_any_tree())
def test_whatever_the_tree_an_expression_holds_its_chunk_and_ends_at_words(chunk: Span) -> None:
    start, end = expand(chunk)
    doc = chunk.doc
    assert start <= chunk.start_char and chunk.end_char <= end
    inside = doc.char_span(start, end)
    assert inside is not None
    assert inside.start >= min(chunk.root.left_edge.i, chunk.start)
    assert inside.end - 1 <= max(chunk.root.right_edge.i, chunk.end - 1)


@given(chunks_of_any_tree())
def test_whatever_the_tree_nothing_dangles_outside_the_chunk(chunk: Span) -> None:
    start, end = expand(chunk)
    inside = chunk.doc.char_span(start, end)
    assert inside is not None

    def loose(token: Token) -> bool:
        return token.dep_ == "cc" or token.text in {",", ".", "-", "\n"}

    assert inside.start == chunk.start or not loose(inside[0])
    assert inside.end == chunk.end or not loose(inside[-1])


@pytest.mark.slow
@given(chunks_of_any_tree())
def test_brackets_around_a_chunk_that_has_none_come_in_pairs(chunk: Span) -> None:
    assume(BRACKETS.isdisjoint(token.text for token in chunk))
    start, end = expand(chunk)
    stack: list[str] = []
    for character in chunk.doc.text[start:end]:
        if character in "([{":
            stack.append({"(": ")", "[": "]", "{": "}"}[character])
        elif character in ")]}":
            assert stack and stack.pop() == character
    assert not stack


# ---- what is dropped -------------------------------------------------------------------------------------------------


def test_the_authors_list_of_abstract_nouns() -> None:
    listed = "time, life, love, freedom, happiness, wisdom, peace, justice, hope, courage, faith, understanding"
    assert {*listed.split(", "), "advantage", "pursuit"} == ABSTRACT_NOUNS


@pytest.mark.parametrize("noun", sorted(ABSTRACT_NOUNS))
def test_every_abstract_noun_is_dropped_in_any_case_and_number(parsed: Parsed, noun: str) -> None:
    for word in (noun, noun.capitalize(), noun + "s"):
        doc = parsed(f"the/DT/det/1 {word}/NN/ROOT/1")
        assert chunk_drop_reason(doc[0:2]) == "abstract"


def test_a_pronoun_is_dropped_and_a_thing_is_kept(parsed: Parsed) -> None:
    doc = parsed("he/PRP/nsubj/1 sees/VBZ/ROOT/1 a/DT/det/3 lifeboat/NN/dobj/1")
    assert [chunk_drop_reason(chunk) for chunk in doc.noun_chunks] == ["pronoun", None]


def test_an_abstract_noun_that_only_describes_drops_nothing(parsed: Parsed) -> None:
    assert chunk_drop_reason(parsed("a/DT/det/2 life/NN/compound/2 jacket/NN/ROOT/2")[0:3]) is None


def test_further_nouns_may_be_dropped(parsed: Parsed) -> None:
    view = parsed("a/DT/det/1 view/NN/ROOT/1")[0:2]
    assert chunk_drop_reason(view) is None
    assert chunk_drop_reason(view, ABSTRACT_NOUNS | {"view"}) == "abstract"


# ---- containment -----------------------------------------------------------------------------------------------------

SPANS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)).map(lambda s: (s[0], s[0] + s[1])), max_size=12)


def contains(outer: Offsets, inner: Offsets) -> bool:
    return outer != inner and outer[0] <= inner[0] and inner[1] <= outer[1]


@given(SPANS)
def test_exactly_the_spans_that_lie_in_no_other_are_kept_in_order(spans: list[Offsets]) -> None:
    expected = sorted({span for span in spans if not any(contains(other, span) for other in spans)})
    assert uncontained(spans) == expected
