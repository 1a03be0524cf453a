"""Captions as detectors read them: which tokens a span owns, and what becomes of more than a pass can hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.grounding.zero_shot_text import QUERIES, lowered, passages, questions, stretches, tasks

pytestmark = pytest.mark.slow  # transformers loads for its tokenizers


@pytest.fixture(scope="module")
def bert(tiny: Callable[[str], Path]) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny("grounding-dino"))


@pytest.fixture(scope="module")
def clip(tiny: Callable[[str], Path]) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny("omdet-turbo"))


def words(tokenizer: Any, ids: Any) -> str:
    return " ".join(tokenizer.convert_ids_to_tokens(list(ids)))


# ---- one caption -----------------------------------------------------------------------------------------------------


def test_a_caption_is_lower_cased_and_closed_by_a_full_stop_and_each_span_owns_its_tokens(bert: Any) -> None:
    (one,) = passages(bert, "A red DOG in a field", [(0, 9), (13, 20)], 256)
    assert words(bert, one.ids) == "[CLS] a red dog in a field . [SEP]"
    assert [words(bert, one.ids[a:b]) for a, b in one.places] == ["a red dog", "a field"]
    assert one.spans == (0, 1)


@pytest.mark.parametrize("end", [".", "?"])
def test_a_caption_that_ends_already_gets_no_second_full_stop(bert: Any, end: str) -> None:
    (one,) = passages(bert, f"a dog{end}", [(0, 5)], 256)
    assert words(bert, one.ids) == f"[CLS] a dog {end} [SEP]"


def test_two_spans_with_the_same_words_own_each_their_own_tokens(bert: Any) -> None:
    (one,) = passages(bert, "a dog and a dog", [(10, 15), (0, 5)], 256)
    assert one.spans == (0, 1)
    assert one.places == ((4, 6), (1, 3))


def test_nested_spans_share_tokens(bert: Any) -> None:
    (one,) = passages(bert, "a dog in a field", [(0, 16), (0, 5), (9, 16)], 256)
    assert one.places == ((1, 6), (1, 3), (4, 6))


def test_a_span_without_a_token_is_in_no_pass(bert: Any) -> None:
    (one,) = passages(bert, "a dog \x07 a cat", [(0, 5), (6, 7), (8, 13)], 256)
    assert one.spans == (0, 2)
    assert [words(bert, one.ids[a:b]) for a, b in one.places] == ["a dog", "a cat"]
    assert passages(bert, "a dog \x07", [(6, 7)], 256) == [] == passages(bert, "a dog", [], 256)


def test_offsets_hold_where_lower_case_has_more_characters(bert: Any) -> None:
    caption = "İİİ and a DOG"
    assert len(lowered(caption)) == len(caption)
    (one,) = passages(bert, caption, [(8, 13)], 256)
    assert words(bert, one.ids[slice(*one.places[0])]) == "a dog"


# ---- more than a pass holds ------------------------------------------------------------------------------------------


def test_a_caption_over_the_limit_is_read_in_stretches_that_lose_no_span(bert: Any) -> None:
    caption = " and ".join(["a red dog"] * 120)
    spans = [(i * 14, i * 14 + 9) for i in range(120)]
    found = passages(bert, caption, spans, 256)
    assert len(found) == 2
    assert all(len(one.ids) <= 256 for one in found)
    assert sorted(i for one in found for i in one.spans) == list(range(120))
    assert all(words(bert, one.ids[a:b]) == "a red dog" for one in found for a, b in one.places)
    assert all(words(bert, one.ids[:1] + one.ids[-2:]) == "[CLS] . [SEP]" for one in found)


def test_of_a_span_longer_than_a_pass_the_end_is_read_where_its_head_noun_stands(bert: Any) -> None:
    caption = "red " * 30 + "dog with a cat"
    (one,) = passages(bert, caption, [(0, 123)], 20)
    assert len(one.ids) <= 20
    assert words(bert, one.ids[slice(*one.places[0])]) == "red " * 16 + "dog"


PLACES = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 20)).map(lambda p: (p[0], p[0] + p[1])), max_size=30)


@given(PLACES, st.integers(20, 60))
def test_every_place_lies_whole_in_the_one_stretch_that_owns_it(places: list[tuple[int, int]], room: int) -> None:
    total = 220
    named = dict(enumerate(places))
    found = stretches(named, total, room)
    assert sorted(name for _, _, names in found for name in names) == sorted(named)
    for first, end, names in found:
        assert names and 0 <= first <= end <= total and end - first <= max(room, 0)
        assert all(first <= named[name][0] and named[name][1] <= end for name in names)
    assert len(found) <= max(1, len(places))


# ---- queries ---------------------------------------------------------------------------------------------------------


def test_each_chunk_is_a_query_and_two_with_the_same_words_stay_two(clip: Any) -> None:
    (one,) = questions(clip, "A dog and a dog", [(0, 5), (10, 15)], 16)
    assert [words(clip, ids) for ids in one.ids] == ["<|startoftext|> a</w> dog</w> <|endoftext|>"] * 2
    assert one.spans == (0, 1)


def test_of_a_query_over_the_limit_the_end_is_asked(clip: Any) -> None:
    (one,) = questions(clip, "red " * 30 + "dog", [(0, 123)], 16)
    assert words(clip, one.ids[0]) == "<|startoftext|> " + "red</w> " * 13 + "dog</w> <|endoftext|>"


def test_more_queries_than_a_pass_holds_are_asked_in_several(clip: Any) -> None:
    caption = " ".join(["dog"] * 150)
    found = questions(clip, caption, [(i * 4, i * 4 + 3) for i in range(150)], 16)
    assert [len(one.ids) for one in found] == [QUERIES, QUERIES, 150 - 2 * QUERIES]
    assert [i for one in found for i in one.spans] == list(range(150))
    assert questions(clip, caption, [], 16) == []


def test_a_task_names_the_queries_of_its_pass_as_omdet_turbos_processor_writes_it(clip: Any) -> None:
    (one,) = tasks(clip, "a dog with a cup", [(0, 5), (11, 16)], 77)
    assert list(one.task) == clip("Detect a dog, a cup.")["input_ids"]
    assert [list(ids) for ids in one.ids] == [clip("a dog")["input_ids"], clip("a cup")["input_ids"]]


def test_a_task_over_the_limit_becomes_several_that_lose_no_query(clip: Any) -> None:
    caption = " and ".join(["a red dog"] * 40)
    found = tasks(clip, caption, [(i * 14, i * 14 + 9) for i in range(40)], 77)
    assert len(found) > 1
    assert all(len(one.task) <= 77 for one in found)
    assert [i for one in found for i in one.spans] == list(range(40))
    for one in found:
        assert list(one.task) == clip(f"Detect {', '.join(['a red dog'] * len(one.spans))}.")["input_ids"]


def test_a_query_that_fills_a_task_alone_is_cut_and_its_neighbours_are_asked_beside(clip: Any) -> None:
    caption = "red " * 100 + "dog and a cat"
    found = tasks(clip, caption, [(0, 403), (408, 413)], 77)
    assert [one.spans for one in found] == [(0,), (1,)]
    assert len(found[0].task) == 77
    assert words(clip, found[0].ids[0]).endswith("red</w> dog</w> <|endoftext|>")
