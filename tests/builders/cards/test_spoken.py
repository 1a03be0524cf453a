"""Samples of speech, printed."""

from __future__ import annotations

from builders.cards.spoken import describe_exchange, describe_turns
from builders.speech.units import Units
from tests.builders.cards.speech_samples import exchange, packed, turn

LONG = Units(tuple(range(100, 160)), (2,) * 60)
SHORTENED = (
    f"<sosp>{''.join(f'<{i}>' for i in range(100, 112))}…36 more…{''.join(f'<{i}>' for i in range(148, 160))}<eosp>"
)
SHORT = Units((5, 7, 5), (3, 2, 1))


def test_an_exchange_is_told_with_both_sides_their_units_and_its_text() -> None:
    sample = exchange("k1", "s2s", units=(SHORT, LONG))

    told = describe_exchange("k1", sample.record).splitlines()

    assert told[:5] == [
        "k1  s2s",
        "  instruction (en-us, 0.50 s): Why?",
        "    <sosp><5><7><5><eosp> (3 units)",
        "  response (en-gb+f3, 2.00 s): Because it rained.",
        f"    {SHORTENED} (60 units)",
    ]
    assert told[5].startswith("  text: [Human]: This is a speech instruction: <sosp><5><7><5><eosp>. And your")
    assert told[5].endswith(f"[ua] {SHORTENED}<eoa>.")
    assert len(told) == 6


def test_a_whole_exchange_is_told_with_all_its_units_once() -> None:
    sample = exchange(units=(LONG, SHORT))

    told = describe_exchange("k", sample.record, whole=True).splitlines()

    assert told[2] == f"    {LONG} (60 units)"
    assert f"{SHORTENED}. And your" in told[5]


def test_what_the_form_does_not_hold_is_told_all_the_same() -> None:
    told = describe_exchange("k", exchange(form="t2t", units=(SHORT, LONG)).record)

    assert told.startswith("k  t2t\n")
    assert told.count("<sosp>") == 2
    assert "This is a text instruction: Why?" in told


def test_more_than_24_units_are_shortened_and_no_unit_is_no_trouble() -> None:
    all_of_them = Units(tuple(range(24)), (1,) * 24)

    told = describe_exchange("k", exchange(units=(all_of_them, Units((), ()))).record)

    assert f"    {all_of_them} (24 units)" in told
    assert "    <sosp><eosp> (0 units)" in told
    one_more = exchange(units=(Units(tuple(range(25)), (1,) * 25), SHORT))
    assert "<11>…1 more…<13>" in describe_exchange("k", one_more.record)


def test_turns_are_told_by_their_task_as_given_and_wanted() -> None:
    sample = packed(turn("a1", "asr", "Hi.", "<sosp><9><eosp>"), turn("b2", "tts", "Ho.", str(LONG)))

    assert describe_turns("a1", sample.record).splitlines() == [
        "a1  2 turns",
        "  asr (a1, 1.25 s): What is said here?",
        "    <sosp><9><eosp> (1 unit)",
        "    -> Hi.",
        "  tts (b2, 1.25 s): Say this aloud.",
        "    Ho.",
        f"    -> {SHORTENED} (60 units)",
    ]
