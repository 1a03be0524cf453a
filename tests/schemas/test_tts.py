"""Who speaks: a word or a mapping, what each kind holds, and what an endpoint shares with one that writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas import load
from schemas.common import BaseRecipe
from schemas.errors import UserError
from schemas.llm import OpenAiLlm
from schemas.recipe import content
from schemas.tts import EspeakTts, OpenAiTts, Tts, VitsTts

KINDS = "espeak, openai, vits"
HOSTED = {"kind": "openai", "model": "tts-1", "voices": ["alloy"]}


class Spoken(BaseRecipe):
    """A recipe that has speech alone."""

    kind: str
    tts: Tts = EspeakTts()


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(load, "KINDS", {"spoken": Spoken})
    return tmp_path / "mine.yaml"


def write(path: Path, tts: Any) -> None:
    path.write_text(yaml.safe_dump({"kind": "spoken", "tts": tts}))


def loaded(path: Path, *sets: str) -> Any:
    return load.load_recipe(path, sets).tts  # type: ignore[union-attr]


def refused(path: Path, *sets: str) -> str:
    with pytest.raises(UserError) as error:
        load.load_recipe(path, sets)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


# ---- which kind ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tts", ["espeak", {"kind": "espeak"}, {}])
def test_a_word_and_its_mapping_are_one_choice_and_espeak_is_the_default(recipe: Path, tts: Any) -> None:
    write(recipe, tts)
    assert loaded(recipe) == EspeakTts(kind="espeak", voices=["en-us"], rate=175, pitch=50) == Spoken(kind="x").tts


def test_a_recipe_that_says_nothing_of_it_is_spoken_by_espeak(recipe: Path) -> None:
    recipe.write_text("kind: spoken\n")
    assert loaded(recipe) == EspeakTts()
    assert loaded(recipe, "tts.rate=200") == EspeakTts(rate=200)


@pytest.mark.parametrize("tts", ["espeak", {"kind": "espeak"}])
@pytest.mark.parametrize(
    ("sets", "made"),
    [
        (["tts=espeak"], EspeakTts()),
        (["tts.rate=200", "tts.voices=[de, en-gb+f3]"], EspeakTts(rate=200, voices=["de", "en-gb+f3"])),
        (["tts.kind=vits", "tts.model=facebook/mms-tts-eng"], VitsTts(kind="vits", model="facebook/mms-tts-eng")),
        (["tts.kind=openai", "tts.model=tts-1", "tts.voices=[alloy]"], OpenAiTts(**HOSTED)),
    ],
)
def test_what_is_set_changes_a_word_as_it_changes_a_mapping(recipe: Path, tts: Any, sets: list[str], made: Any) -> None:
    write(recipe, tts)
    assert loaded(recipe, *sets) == made


def test_a_vits_model_beside_the_recipe_is_found_and_is_no_content(recipe: Path) -> None:
    (recipe.parent / "voice").mkdir()
    write(recipe, {"kind": "vits", "model": "voice"})
    made = loaded(recipe)
    assert made.model == str(recipe.parent / "voice")
    assert content(made)["model"] is None
    assert (made.voices, made.language, made.noise_scale, made.speaking_rate) == (["0"], "en", None, None)


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tts", "told"),
    [
        ("festival", f"tts.kind is 'festival', but must be one of: {KINDS}"),
        ({"kind": "festival"}, f"tts.kind is 'festival', but must be one of: {KINDS}"),
        (5, "tts is 5: must be a mapping of fields"),
        ({"voices": []}, "tts.voices is []: "),
        ({"voices": "en-us"}, "tts.voices is 'en-us': must be a list"),
        ({"voices": [""]}, "tts.voices.0 is '': "),
        ({"rate": 79}, "tts.rate is 79: "),
        ({"rate": 451}, "tts.rate is 451: "),
        ({"pitch": 100}, "tts.pitch is 100: "),
        ({"rate": True}, "tts.rate is True: must be a number"),
        (
            {"model": "x"},
            "tts.model is a field of another tts.kind; the fields here are tts.kind, tts.voices, tts.rate",
        ),
        ({"kind": "vits"}, "tts.model is not given; set it in the recipe or with --set tts.model=…"),
        ({"kind": "vits", "model": "m", "voices": [0]}, "tts.voices.0 is 0: must be text; put it in quotes"),
        ({"kind": "vits", "model": "m", "noise_scale": -1}, "tts.noise_scale is -1: "),
        ({"kind": "openai", "model": "m"}, "tts.voices is not given; set it in the recipe or with --set tts.voices=…"),
        (HOSTED | {"speed": 5}, "tts.speed is 5: "),
        (HOSTED | {"concurrency": 0}, "tts.concurrency is 0: "),
        (HOSTED | {"base_url": "hidden"}, "tts.base_url: must be an address, as https://api.openai.com/v1"),
        (
            HOSTED | {"base_url": "https://a:hidden@b.example"},
            "tts.base_url: must hold no key or password: put it into ",
        ),
        (HOSTED | {"api_key_env": "sk-hidden"}, "tts.api_key_env: must be the name of a variable"),
        (HOSTED | {"response_format": "mp3"}, "there is no field tts.response_format; "),
        (HOSTED | {"max_usd": 1}, "tts.max_usd: needs tts.prices with the prices of 'tts-1'"),
        (HOSTED | {"prices": {"tts-1": {"input": 15, "output": 0}}}, "there is no field tts.prices.tts-1.input; "),
    ],
)
def test_what_does_not_fit_is_told_by_its_dotted_field(recipe: Path, tts: Any, told: str) -> None:
    write(recipe, tts)
    assert refused(recipe).startswith(told)
    assert "hidden" not in refused(recipe)


def test_an_address_with_a_password_names_the_part_whose_variable_holds_keys(recipe: Path) -> None:
    write(recipe, HOSTED | {"base_url": "https://a:hidden@b.example"})
    assert refused(recipe).endswith("put it into the environment (tts.api_key_env)")


# ---- an endpoint -----------------------------------------------------------------------------------------------------


def test_an_endpoint_that_speaks_has_the_fields_of_one_that_writes(recipe: Path) -> None:
    shared = {"model", "provider", "base_url", "api_key_env", "concurrency", "requests_per_minute", "timeout"}
    shared |= {"retries", "prices", "max_usd", "ledger"}
    for name in shared:
        mine, theirs = OpenAiTts.model_fields[name], OpenAiLlm.model_fields[name]
        assert mine.json_schema_extra == theirs.json_schema_extra and mine.metadata == theirs.metadata, name
    write(recipe, HOSTED | {"ledger": "paid"})
    assert loaded(recipe).ledger == str(recipe.parent / "paid")


def test_a_limit_on_money_needs_a_price_by_characters_and_nothing_else(recipe: Path) -> None:
    write(recipe, HOSTED | {"max_usd": 1, "prices": {"tts-1": {"characters": 15}}})
    made = loaded(recipe)
    assert made.price is not None and made.price.characters == 15


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"base_url": "http://127.0.0.1:8880/v1"}, True),
        ({"concurrency": 1}, True),
        ({"prices": {"tts-1": {"characters": 30}}}, True),
        ({"voices": ["nova"]}, False),
        ({"speed": 1.5}, False),
        ({"instructions": "Whisper."}, False),
        ({"model": "tts-1-hd"}, False),
        ({"provider": "kokoro"}, False),
    ],
)
def test_what_decides_the_sound_is_content_and_the_rest_is_running(change: dict[str, Any], same: bool) -> None:
    assert (content(OpenAiTts(**HOSTED | change)) == content(OpenAiTts(**HOSTED))) is same
