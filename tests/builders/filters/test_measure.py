"""What rules are told by: numbers of an image and its caption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.dice import Dice
from builders.filters.measure import (
    MeasureGrammar,
    MeasureImage,
    MeasureLanguage,
    MeasureText,
    language_model,
    measure_text,
    script,
)
from builders.sources.scenes.english import mean
from builders.sources.scenes.foreign import LANGUAGES, translate
from builders.sources.scenes.noise import World
from builders.step import Services

SHARES = ("repetition", "url_share", "html_share", "emoji_share")


def image(width: int, height: int, data: bytes = b"x") -> dict[str, Any]:
    (result,) = MeasureImage()([{"image": data, "width": width, "height": height}])
    assert isinstance(result, dict)
    return result


# ---- images ----------------------------------------------------------------------------------------------------------


def test_an_image_is_measured_by_bytes_and_sides() -> None:
    assert image(640, 480, b"x" * 7) == {"n_bytes": 7, "side_min": 480, "side_max": 640, "aspect": 1.3334}


def test_a_ratio_just_over_a_limit_is_not_rounded_onto_it() -> None:
    assert image(300, 100)["aspect"] == 3.0
    assert image(300_001, 100_000)["aspect"] == 3.0001


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_aspect_is_the_same_lying_and_standing_and_never_too_low(width: int, height: int) -> None:
    aspect = image(width, height)["aspect"]
    assert aspect == image(height, width)["aspect"]
    assert max(width, height) / min(width, height) <= aspect < max(width, height) / min(width, height) + 0.00011


# ---- text ------------------------------------------------------------------------------------------------------------


@given(st.text(max_size=200))
def test_every_share_is_within_0_and_1_and_the_columns_are_those_promised(caption: str) -> None:
    told = measure_text(caption)
    assert told.keys() == MeasureText.adds.keys()
    assert all(0 <= told[share] <= 1 for share in SHARES)
    assert told["n_chars"] == len(caption) and told["n_words"] == len(caption.split())


@pytest.mark.parametrize(
    ("caption", "share", "expected"),
    [
        ("a dog and a cat", "repetition", 0.2),
        ("A dog, a dog", "repetition", 0.25),
        ("a dog", "repetition", 0.0),
        ("", "repetition", 0.0),
        ("see https://a.com/b?c", "url_share", 0.8096),
        ("at www.a.b now", "url_share", 0.5),
        ("photo from example.com", "url_share", 0.5),
        ("Mr. Brown at 9.30 a.m.", "url_share", 0.0),
        ("<b>hi</b>", "html_share", 0.7778),
        ("Tom &amp; Jerry", "html_share", 0.3334),
        ("3 < 4 and 5 > 2, R&D", "html_share", 0.0),
        ("dog \U0001f436", "emoji_share", 0.2),
        ("\u2764\ufe0f", "emoji_share", 1.0),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f466", "emoji_share", 1.0),
        ("\U0001f1e9\U0001f1ea", "emoji_share", 1.0),
        ("1\ufe0f\u20e3", "emoji_share", 1.0),
        ("1 dog, # 2 * \u00a9 \u2013 caf\u00e9", "emoji_share", 0.0),
        ("\u0d28\u0d4d\u200d", "emoji_share", 0.0),  # a joiner within a Malayalam letter
    ],
)
def test_shares_are_of_what_is_there(caption: str, share: str, expected: float) -> None:
    assert measure_text(caption)[share] == expected


def test_measuring_takes_time_in_proportion_to_the_text() -> None:
    for part in ("a-", "<a", "www", "&a", "1\ufe0f", "\u200d"):
        measure_text(part * 100_000)  # quadratic would be minutes


@pytest.mark.parametrize(
    ("caption", "scripts"),
    [
        ("a dog, 3!", "latin"),
        ("café Ærø", "latin"),
        ("一只狗 dog", "cjk latin"),
        ("時々", "cjk"),
        ("コーヒー ｺｰﾋｰ", "katakana"),
        ("ｄｏｇ 𝐝𝐨𝐠 1ª", "latin"),
        ("собака", "cyrillic"),
        ("Hawaiʻi", "latin"),
        ("12 + 3", ""),
    ],
)
def test_scripts_are_those_of_the_letters(caption: str, scripts: str) -> None:
    assert measure_text(caption)["scripts"] == scripts


@given(st.characters(categories=["L"]))
def test_any_letter_has_a_script_or_none_without_error(letter: str) -> None:
    assert script(letter) == script(letter).lower()


# ---- language --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def language(services: Services) -> MeasureLanguage:
    step = MeasureLanguage()
    step.setup(services)
    return step


def share(step: MeasureLanguage, captions: list[str], code: str) -> float:
    results: Any = step([{"caption": caption} for caption in captions])
    return sum(result["language"] == code for result in results) / len(captions)


def test_captions_of_coco_are_english(language: MeasureLanguage, shared: Path) -> None:
    told = json.loads((shared / "data/coco_mini/captions_train2017.json").read_text())
    assert share(language, [one["caption"] for one in told["annotations"]], "en") > 0.99


def test_captions_in_other_languages_are_told_apart(language: MeasureLanguage) -> None:
    world = World(1)
    for code in LANGUAGES:
        dice = [Dice(1, "foreign", i) for i in range(100)]
        captions = [translate(mean(world.scene(i), dice[i]), code, dice[i]) for i in range(100)]
        assert share(language, captions, code) > 0.95
        assert share(language, captions, "en") < 0.02


def test_short_and_shouted_captions_are_english_still(language: MeasureLanguage) -> None:
    captions = ["a man riding a horse", "two dogs", "A MAN RIDING A HORSE", "The city\nat night"]
    assert share(language, captions, "en") == 1


@pytest.mark.parametrize("caption", ["", "狗", "\0", "1234 !!", "x" * 100_000, "\U0001f436"])
def test_what_is_no_sentence_is_measured_too(language: MeasureLanguage, caption: str) -> None:
    (told,) = language([{"caption": caption}])
    assert isinstance(told, dict) and 0 <= told["language_score"] <= 1


def test_scores_have_4_decimals_and_are_the_same_in_any_batch(language: MeasureLanguage) -> None:
    records = [{"caption": caption} for caption in ("a dog", "ein Hund", "un chien sur la plage")]
    together = language(records)
    assert together == [language([record])[0] for record in records]
    assert all(round(told["language_score"], 4) == told["language_score"] for told in together)  # type: ignore[call-overload,index]


def test_the_model_is_a_folder_that_the_package_brings() -> None:
    assert (language_model() / "lid.176.ftz").is_file()


# ---- grammar ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caption", "noun", "determiner", "preposition"),
    [
        ("a dog on the beach", True, True, True),
        ("dogs play in water", True, False, True),
        ("his dog", True, True, False),
        ("running quickly", False, False, False),
    ],
)
def test_grammar_tells_noun_determiner_and_preposition(
    services: Services, shipped_parser: Path, caption: str, noun: bool, determiner: bool, preposition: bool
) -> None:
    step = MeasureGrammar(shipped_parser)
    step.setup(services)
    assert step([{"caption": caption}]) == [
        {"has_noun": noun, "has_determiner": determiner, "has_preposition": preposition}
    ]
