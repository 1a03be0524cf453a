"""What can be spoken, what is rejected and why, and what is written out for the voice."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builders.speech.espeak import languages
from builders.speech.speakable import MAX_CHARS, scripts_of, unspeakable
from builders.speech.written_out import spoken

# ---- what cannot be spoken -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "texts"),
    [
        (
            "url",
            ["See https://example.org/a?b=c for more.", "Look at example.com", "ftp://host/file", "www.a.b", "cam.edu"],
        ),
        ("email", ["Write to jane.doe+x@example.org, please."]),
        (
            "code",
            [
                "Can you explain the `for` loop?",
                "```python\nprint(1)\n```",
                "Why does my_variable change?",
                "Explain the compareTo method.",
                "What does sumOfNumbers return?",
                "What is an AbstractFactoryBean?",
                "Call reset() first.",
                "def add(a, b): return a + b",
                "Use console.log(x) here.",
                "It holds {a, b}.",
                "if a == b",
                "x != y",
                "i++",
                "a -> b",
                "std::sort sorts",
                "Open C:\\Users\\me",
                "Look in /usr/bin please",
                "Edit config.yaml first",
                "0xFF is what?",
            ],
        ),
        ("latex", [r"What is \frac{1}{2}?", "Solve $x_1 + y = 3$ for me.", "E = mc^2", "$$a$$", r"2\pi is a number"]),
        (
            "markup",
            [
                "# A heading",
                "- an item",
                "• an item",
                "1. First, this.",
                "a) this",
                "Do this:\n\n1. Plan.\n2. Act.",
                "This is **bold**.",
                "Some *emphasis*",
                "| a | b |",
                "[a link](there)",
                "Dear [name],",
                "> a quotation",
                "<b>Bold</b> words",
                "Fish &amp; chips",
                "_ _ _ fill this in",
            ],
        ),
        ("several_lines", ["One line.\nAnother.", "One paragraph.\r\n\r\nAnother.", "a\u2028b"]),
        (
            "symbol",
            [
                "Well done 😀",
                "a → b",
                "3 < 4",
                "~5",
                "★ five stars",
                "Hi\x07",
                "\ue000",
                "𝓗ello",
                "a\u0300\u0301\u0302",
            ],
        ),
        ("script", ["привет", "the word 你好", "αβγ", "Hello мир"]),
        ("long_number", ["My card is 4111111111111111.", "Call 12345-67890-12345", "3.14159265358979"]),
        ("long_word", ["a" * 41]),
        ("empty", ["", "   \n ", "...", "?!", "—"]),
        ("too_long", ["word " * (MAX_CHARS // 5 + 1)]),
    ],
)
def test_what_a_reader_would_stumble_over_is_rejected_with_its_reason(reason: str, texts: list[str]) -> None:
    for text in texts:
        found = unspeakable(text)
        assert found is not None and found[0] == reason, (text, found)
        assert len(found[1]) <= 100 and (found[1] or reason == "empty")


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of Peru?",
        "  \n\nGreat question! Let me explain.\n",
        "Bake it at 400°F for 20-30 minutes, then add 1/2 cup of sugar & 3 eggs.",
        "I'd like a student(s) discount: 50% off, i.e. $5.50 — or £3!",
        "“It’s fine,” she said… ‘really’?",
        "YouTube, iPhone, macOS, JavaScript, McDonald's, C++, C# and Node.js",
        "What kind of music does Focus@Will provide?",
        "He met her in 1999, 2001, 2005 and 2010.",
        "2 + 2 = 4, and 5 × 3 = 15.",
        "The Champs-Élysées and the naïve café",
        "I have $5 and he has $10.",
        "Is it 9:30 pm, and/or #1?",
        "cafe\u0301",
    ],
)
def test_ordinary_prose_can_be_spoken(text: str) -> None:
    assert unspeakable(text) is None


def test_words_are_counted_last() -> None:
    assert unspeakable("one two three", max_words=3) is None
    assert unspeakable("one two three four", max_words=3) == ("too_long", "4 words; 3 at most")
    assert unspeakable("1. one two three four", max_words=3) == ("markup", "1.")


@pytest.mark.parametrize(
    ("language", "speakable", "not_speakable"),
    [
        ("ru", "Привет, как дела?", "Hello there"),
        (
            "cmn",
            "你好，世界！这是一个很长很长的句子没有空格也可以说出来因为中文的词语之间没有空格所以四十个字也不算太长吧对不对",
            "Hello",
        ),
        ("ja", "こんにちは、カタカナと漢字。", "привет"),
        ("hi", "नमस्ते, आप कैसे हैं।", "hello"),
        ("el", "Καλημέρα!", "Доброе утро"),
        ("ar", "مرحبا، كيف حالك؟", "hello"),
        ("pt-br", "Olá, tudo bem?", "你好"),
    ],
)
def test_letters_must_be_of_the_script_of_the_voices_language(
    language: str, speakable: str, not_speakable: str
) -> None:
    assert unspeakable(speakable, language) is None
    found = unspeakable(not_speakable, language)
    assert found is not None and found[0] == "script"


def test_a_code_of_a_region_has_the_script_of_its_language() -> None:
    assert scripts_of("ru-LV") == scripts_of("ru") == {"cyrillic"}
    assert scripts_of("en-US") == scripts_of("de") == {"latin"}
    assert scripts_of("en-shaw") == {"shavian"}
    assert scripts_of("cmn-latn-pinyin") == {"latin"}


def test_every_language_of_espeak_that_is_not_in_latin_letters_is_known() -> None:
    other = {code.partition("-")[0] for code in languages() if scripts_of(code) != {"latin"}} - {"en"}
    assert other == set(
        "am ar as ba be bg bn bpy bs chr cmn cv el fa grc gu hak he hi hy hyw ja ka kk kn ko kok ky mk ml mr my ne nog "
        "or pa ru sd shn si sr ta te th ti tt ug uk ur yue zh".split()
    )


# ---- what is written out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It costs $5.", "It costs 5 dollars."),
        ("$1, £2.50, $0.99, €1.00, $0", "1 dollar, 2 pounds and 50 pence, 99 cents, 1 euro, 0 dollars"),
        ("saved $5,000 or $2.5 million or $20k", "saved 5,000 dollars or 2.5 million dollars or 20 thousand dollars"),
        ("30€ or ¥500 or US$5", "30 euros or 500 yen or 5 dollars"),
        ("in 1999, 1905 and 1800", "in 19 99, 19 oh 5 and 18 hundred"),
        ("in 2024 and in 1492", "in 2024 and in 1492"),
        ("the 1990s, the '80s, the 2000s", "the 19 nineties, the eighties, the two thousands"),
        ("from 1990-1995, 20–30 times", "from 19 90 to 19 95, 20 to 30 times"),
        ("555-1234 and 2023-10-12", "555-1234 and 2023-10-12"),
        ("1,999 or 1999.5 or 1999/2000", "1,999 or 1999.5 or 1999/2000"),
        ("1/2 cup, open 24/7, and/or", "a half cup, open 24 7, and or"),
        ("#1 and No. 5", "number 1 and number 5"),
        ("Dr. Lee, Mr. Ray vs. Prof. Oh, Jr.", "Doctor Lee, Mister Ray versus Professor Oh, Junior"),
        ("fruit (e.g. figs, etc.)", "fruit (for example figs, et cetera)"),
        ("St. Paul is on Elm St. today", "Saint Paul is on Elm St. today"),
        ("10 km at 20°C, 5 m²", "10 kilometers at 20 degrees Celsius, 5 m squared"),
        ("“It’s”  —  well – so", '"It\'s", well, so'),
        (" \n two\n\nlines ", "two lines"),
        (
            "50% of A & B, 3rd, 9:30, 3.14, 1,234, NASA, 2 + 2 = 4",
            "50% of A & B, 3rd, 9:30, 3.14, 1,234, NASA, 2 + 2 = 4",
        ),
    ],
)
def test_english_is_written_as_it_is_said(text: str, said: str) -> None:
    assert spoken(text) == said == spoken(said)


def test_another_language_keeps_its_words() -> None:
    assert spoken("Dr. Maier zahlte  „$5“ — 1999.", "de") == 'Dr. Maier zahlte "$5", 1999.'


TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="0123456789$€.,-–—/#'’sS ²k ", max_size=30),
    st.lists(
        st.sampled_from(["$5", "1999", "Dr.", "e.g.", "2–3", "—", "#", "1/2", "km", "€", "0s", " ", "\u0308", "²"])
    ).map("".join),
)


@given(TEXTS, st.sampled_from(["en", "en-gb", "de", "cmn"]))
@example("$$$5", "en")
@example("d²\u030c", "en")
@example("\ud800", "en")
def test_whatever_is_written_out_is_on_one_line_and_is_not_changed_again(text: str, language: str) -> None:
    said = spoken(text, language)
    assert spoken(said, language) == said
    assert len(said.splitlines()) <= 1 and said == said.strip() and said == unicodedata.normalize("NFC", said)


@given(TEXTS, st.sampled_from(["en", "ru", "ja", "xx"]))
@example("$0", "en")
def test_no_text_breaks_the_judge_and_what_is_speakable_is_not_emptied(text: str, language: str) -> None:
    found = unspeakable(text, language)
    assert found is None or all(isinstance(part, str) for part in found)
    if found is None:
        assert any(map(str.isalnum, spoken(text, language)))


def test_hostile_texts_are_judged_in_time() -> None:
    for unit in ("a", "1", " ", "$", "$5", "<", "a.", "A", "Aa", "|", "1-", "—", "²", "-", "\u0301", "@a", "-"):
        text = unit * (MAX_CHARS // len(unit))
        unspeakable(text)
        spoken(text)


# ---- true instructions -----------------------------------------------------------------------------------------------


def _moss(path: Path) -> list[tuple[str, str]]:
    """(question, answer) of every turn that is in English."""
    turns = [turn for line in path.read_text().splitlines() for turn in json.loads(line)["chat"].values()]
    bare = [
        (re.sub(r"^<\|\w+\|>: |<eo[hm]>\n$", "", t["Human"]), re.sub(r"^<\|\w+\|>: |<eo[hm]>\n$", "", t["MOSS"]))
        for t in turns
    ]
    return [(human, moss) for human, moss in bare if not re.search("[\u2e80-\uffff]", human + moss)]


def test_questions_of_moss_are_speakable_but_for_those_about_code(shared: Path) -> None:
    questions = [question for question, _ in _moss(shared / "data/text/moss_sft.jsonl")]
    assert len(questions) > 250
    for question in questions:
        found = unspeakable(question)
        assert found is None or (found[0] == "code" and re.search(r"`|\(\)|\\", question)), (question, found)


def test_answers_of_moss_that_list_or_program_are_rejected(shared: Path) -> None:
    for _, answer in _moss(shared / "data/text/moss_sft.jsonl"):
        found = unspeakable(answer)
        if found is None:
            assert re.fullmatch(r"[\w\s.,;:!?'\"()/$%&°#@’–—-]+", answer.strip()) and "\n" not in answer.strip()
        else:
            assert found[0] in ("url", "code", "latex", "markup", "several_lines"), (answer, found)
