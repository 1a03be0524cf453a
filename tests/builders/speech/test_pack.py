"""Turns packed into samples: none lost, none split, none too long."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.speech.crossmodal import Turn, parse_turns, render_turn
from builders.speech.lengths import units_and_words
from builders.speech.pack import PackTurns, first_fit
from builders.step import Packed, Record

COLUMNS = ("task", "instruction", "text", "_units")
PACK = PackTurns(units_and_words, most=40, columns=COLUMNS)


def record(number: int, units: int = 3) -> Record:
    """A turn of `units` + 14."""
    speech = f"<sosp>{''.join(f'<{i}>' for i in range(units))}<eosp>"
    turn = Turn("asr", "What is it?", speech, f"Word {number}.")
    rendered = render_turn(turn)
    return {
        "key": f"k{number}",
        "_turn": rendered,
        "length": units_and_words(rendered),
        "_units": speech,
        "seconds": 1.5,
        **vars(turn),
    }


def told(sample: Packed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sample.record["json"])
    return found


# ---- groups ----------------------------------------------------------------------------------------------------------

most_and_lengths = st.integers(1, 60).flatmap(
    lambda most: st.tuples(st.just(most), st.lists(st.integers(0, most), max_size=40))
)


@given(most_and_lengths)
def test_every_turn_is_in_one_group_that_has_room_for_it(drawn: tuple[int, list[int]]) -> None:
    most, lengths = drawn

    groups = first_fit(lengths, most)

    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    assert all(group == sorted(group) for group in groups) and groups == sorted(groups)
    assert all(sum(lengths[i] for i in group) <= most for group in groups)


@given(most_and_lengths)
def test_no_two_groups_would_fit_in_one(drawn: tuple[int, list[int]]) -> None:
    most, lengths = drawn
    sums = sorted(sum(lengths[i] for i in group) for group in first_fit(lengths, most))
    assert len(sums) < 2 or sums[0] + sums[1] > most


def test_the_longest_are_placed_first() -> None:
    assert first_fit([2, 3, 5, 7, 8], 10) == [[0, 4], [1, 3], [2]]


def test_of_equally_long_turns_the_earlier_is_placed_first() -> None:
    assert first_fit([5, 5, 5, 5, 5], 10) == [[0, 1], [2, 3], [4]]


def test_a_turn_that_is_too_long_is_a_bug_of_the_pipeline() -> None:
    with pytest.raises(ValueError, match=r"turn 1 has length 1,100, over 1,024: reject it before"):
        first_fit([5, 1100], 1024)


# ---- samples ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 25), max_size=25))
def test_samples_hold_all_turns_whole_and_none_is_too_long(sizes: list[int]) -> None:
    records = [record(i, units) for i, units in enumerate(sizes)]

    samples = PACK(records)

    assert sorted(i for sample in samples for i in sample.parents) == list(range(len(records)))
    assert [sample.parents for sample in samples] == sorted(sample.parents for sample in samples)
    for sample in samples:
        held = [records[i] for i in sample.parents]
        assert told(sample)["text"] == "".join(turn["_turn"] for turn in held)
        assert [turn.text for turn in parse_turns(told(sample)["text"])] == [turn["text"] for turn in held]
        assert sample.record["n_turns"] == len(held)
        assert sample.record["sample_length"] == units_and_words(told(sample)["text"]) <= 40
        assert sample.record["sample_length"] + sample.record["sample_room"] == 40


def test_a_sample_tells_its_text_and_each_turns_columns() -> None:
    records = [record(0), record(1)]
    (sample,) = PACK(records)
    assert told(sample) == {
        "text": records[0]["_turn"] + records[1]["_turn"],
        "turns": [{name: one[name] for name in ("key", "task", "instruction", "text", "units")} for one in records],
    }


def test_the_same_records_make_the_same_samples() -> None:
    records = [record(i, i * 7 % 23) for i in range(40)]
    assert PACK(records) == PackTurns(units_and_words, 40, COLUMNS)([dict(one) for one in records])


def test_what_it_reads_and_adds_is_what_it_uses() -> None:
    one = record(0)
    (sample,) = PACK([{name: one[name] for name in PACK.reads}])
    assert sample.record.keys() == PACK.adds.keys()
    pa.table({name: pa.array([sample.record[name]], kind) for name, kind in PACK.adds.items()})


def test_a_turn_that_makes_the_joined_text_too_long_becomes_a_sample_of_its_own() -> None:
    """With a tokenizer that makes one more token where two turns meet."""

    def count(text: str) -> int:
        return units_and_words(text) + text.count("<eos>[Human]")

    records = [record(i, 0) for i in range(2)]
    assert [one["length"] for one in records] == [14, 14]

    assert [sample.parents for sample in PackTurns(count, 29, COLUMNS)(records)] == [(0, 1)]
    alone = PackTurns(count, 28, COLUMNS)(records)

    assert [sample.parents for sample in alone] == [(0,), (1,)]
    assert [sample.record["sample_length"] for sample in alone] == [14, 14]

    between = PackTurns(count, 28, COLUMNS)([records[0], record(2, 1), records[1]])
    assert [sample.parents for sample in between] == [(0,), (1,), (2,)]


def test_nothing_packs_to_nothing() -> None:
    assert PACK([]) == []


# ---- how well samples are filled -------------------------------------------------------------------------------------


def test_samples_of_speech_are_filled_to_nine_tenths() -> None:
    """Turns of 100 to 600, as 2 to 15 seconds are, in samples of 1,024."""
    lengths = [100 + i * 7919 % 501 for i in range(1000)]
    groups = first_fit(lengths, 1024)
    assert sum(lengths) / (1024 * len(groups)) > 0.95
