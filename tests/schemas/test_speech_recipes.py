"""Recipes of speech: what of them is content, what may change between runs, and every error by its field's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.errors import UserError
from schemas.load import load_recipe
from schemas.recipe import KINDS, Recipe, content

UNITS: dict[str, Any] = {"kind": "speech_units", "source": {"path": "/s"}}
CROSSMODAL: dict[str, Any] = {"kind": "speech_crossmodal", "source": {"path": "/s"}, "units": {"vocabulary": "/v"}}
CHAIN: dict[str, Any] = {"kind": "speech_chain", "source": {"path": "/s"}, "units": {"vocabulary": "/v"}}
HUBERT = {"features": "hubert", "model": "utter-project/mHuBERT-147", "layer": 11}
LLM = {"model": "mill-1"}


def made(fields: dict[str, Any], **changes: Any) -> Recipe:
    return KINDS[fields["kind"]].model_validate({**fields, **changes})


def same(fields: dict[str, Any], **changes: Any) -> bool:
    """Whether a dataset of the one may go on as one of the other."""
    return content(made(fields, **changes)) == content(made(fields))


# ---- content ---------------------------------------------------------------------------------------------------------


def test_a_recipe_of_units_is_hubert_s_first_iteration_where_nothing_else_is_said() -> None:
    assert content(made(UNITS)) == {
        "kind": "speech_units",
        "seed": 0,
        "output": {"unit": 1000},
        "source": dict.fromkeys(("kind", "text", "speaker", "language", "names", "limit")),
        "audio": {
            "min_seconds": 0.1,
            "max_seconds": 30.0,
            "min_rate": 8000,
            "min_rms_db": -60.0,
            "max_silence": 0.8,
            "max_clipped": 0.001,
        },
        "units": {"features": "mfcc", "k": 100, "layer": None, "subtract_mean": False},
    }


def test_cross_modal_turns_are_the_lectures_at_even_chances_where_nothing_else_is_said() -> None:
    told = content(made(CROSSMODAL))
    assert {name: told[name] for name in ("asr", "llm", "instructions", "style")} == {
        "asr": 0.5,
        "llm": None,
        "instructions": 100,
        "style": "lecture",
    }
    assert told["pack"] == {"max_length": 512}
    assert told["units"] == {}, "where vocabulary and model lie is no content: their digests are guarded"


def test_a_chain_takes_responses_of_under_35_words_in_one_of_four_templates() -> None:
    told = content(made(CHAIN))
    assert {name: told[name] for name in ("max_words", "templates", "style", "units")} == {
        "max_words": 34,
        "templates": "drawn",
        "style": "lecture",
        "units": {},
    }
    assert told["weights"] == {"s2s": 1.0, "s2t": 1.0, "t2s": 1.0, "t2t": 1.0}


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        (UNITS, {"name": "other"}),
        (UNITS, {"max_failed": 1.0}),
        (UNITS, {"source": {"path": "/elsewhere", "audio": "/clips"}}),
        (CROSSMODAL, {"source": {"path": "/elsewhere"}}),
        (CROSSMODAL, {"units": {"vocabulary": "/elsewhere", "model": "/m"}}),
        (CROSSMODAL, {"pack": {"tokenizer": "/t"}}),
        (CHAIN, {"source": {"path": "/elsewhere"}}),
        (CHAIN, {"units": {"vocabulary": "/elsewhere"}}),
    ],
    ids=lambda value: "-".join(value) if "kind" not in value else value["kind"],
)
def test_where_things_lie_may_change_between_runs(fields: dict[str, Any], change: dict[str, Any]) -> None:
    assert same(fields, **change)


def test_where_a_hubert_to_fit_on_lies_may_change_and_its_layer_may_not() -> None:
    fields = {**UNITS, "units": HUBERT}
    assert same(fields, units={**HUBERT, "model": "/models/mhubert"})
    assert not same(fields, units={**HUBERT, "layer": 6})


def test_how_a_model_is_asked_for_instructions_may_change_and_who_may_not() -> None:
    fields = {**CROSSMODAL, "llm": LLM}
    assert same(fields, llm={**LLM, "kind": "openai_batch", "concurrency": 2, "ledger": "/paid"})
    assert not same(fields, llm={"model": "mill-2"})
    assert not same(fields, llm=None)


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        (UNITS, {"seed": 1}),
        (UNITS, {"output": {"unit": 10}}),
        (UNITS, {"units": {"k": 50}}),
        (UNITS, {"units": {"k": [50, 100]}}),
        (UNITS, {"units": {"subtract_mean": True}}),
        (UNITS, {"audio": {"max_seconds": 20}}),
        (UNITS, {"source": {"path": "/s", "limit": 3}}),
        (UNITS, {"source": {"path": "/s", "names": "{text}_{speaker}"}}),
        (CROSSMODAL, {"asr": 1.0}),
        (CROSSMODAL, {"instructions": 5}),
        (CROSSMODAL, {"style": "released"}),
        (CROSSMODAL, {"pack": {"max_length": 1024}}),
        (CHAIN, {"max_words": 120}),
        (CHAIN, {"weights": {"s2s": 2}}),
        (CHAIN, {"templates": "all"}),
        (CHAIN, {"style": "released"}),
        (CHAIN, {"source": {"path": "/s", "response": "answer"}}),
    ],
    ids=lambda value: "-".join(value) if "kind" not in value else value["kind"],
)
def test_what_decides_bytes_is_content(fields: dict[str, Any], change: dict[str, Any]) -> None:
    assert not same(fields, **change)


# ---- what does not fit -----------------------------------------------------------------------------------------------


def refused(folder: Path, fields: dict[str, Any], *sets: str) -> str:
    """The one line that the user reads, without the file's name."""
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(fields))
    with pytest.raises(UserError) as error:
        load_recipe(path, sets)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


K = "must be a whole number from 2 to 100,000, or a list of different ones"


@pytest.mark.parametrize("k", [1, True, 100_001, [], [5, 5], [1, 2], 1.5, "many", [10, 1.5], [True, 5], None, {"a": 1}])
def test_a_wrong_number_of_units_is_told_by_its_field(tmp_path: Path, k: Any) -> None:
    told = refused(tmp_path, {**UNITS, "units": {"k": k}})
    assert told == (f"units.k: {K}" if isinstance(k, dict) else f"units.k is {k!r}: {K}")


def test_several_vocabularies_and_one_are_both_lists() -> None:
    for k, ks in ((7, [7]), ([100, 500], [100, 500])):
        recipe: Any = made(UNITS, units={"k": k})
        assert recipe.units.ks == ks


NEEDS = "is needed where units.features is hubert"


@pytest.mark.parametrize(
    ("units", "told"),
    [
        ({"features": "hubert"}, f"units.model: {NEEDS}"),
        ({"features": "hubert", "model": "m"}, f"units.layer: {NEEDS}"),
        ({**HUBERT, "layer": 0}, "units.layer is 0: "),
        ({**HUBERT, "subtract_mean": True}, "units.subtract_mean: is of mfcc alone"),
        ({"model": "m"}, "units.model and units.layer: need units.features: hubert"),
        ({"layer": 6}, "units.model and units.layer: need units.features: hubert"),
        ({"features": "mel"}, "units.features is 'mel': input should be 'mfcc' or 'hubert'"),
        ({"feature": "mfcc"}, "there is no field units.feature; did you mean units.features?"),
    ],
)
def test_units_to_fit_that_do_not_go_together(tmp_path: Path, units: dict[str, Any], told: str) -> None:
    assert refused(tmp_path, {**UNITS, "units": units}).startswith(told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"source": {}}, "source.path is not given; set it in the recipe or with --set source.path=…"),
        ({"source": {"path": "/s", "kind": "mp3"}}, "source.kind is 'mp3', but must be one of: commonvoice, folder, "),
        ({"source": {"path": "/s", "limit": 0}}, "source.limit is 0: "),
        ({"audio": {"max_seconds": 601}}, "audio.max_seconds is 601: "),
        ({"audio": {"min_rms_db": 1}}, "audio.min_rms_db is 1: "),
        ({"audio": {"max_silence": 1.1}}, "audio.max_silence is 1.1: "),
        ({"audio": {"min_seconds": 40}}, "audio.min_seconds: 40 is over audio.max_seconds, 30"),
        ({"units": {}}, "units.vocabulary is not given; set it in the recipe or with --set units.vocabulary=…"),
        ({"units": {"vocabulary": None}}, "units.vocabulary is not given; "),
        ({"units": {"vocabulary": "/v", "k": 5}}, "there is no field units.k; "),
        ({"asr": 1.5}, "asr is 1.5: "),
        ({"asr": -0.1}, "asr is -0.1: "),
        ({"asr": True}, "asr is True: must be a number"),
        ({"style": "mine"}, "style is 'mine': input should be 'lecture' or 'released'"),
        ({"instructions": 0}, "instructions is 0: "),
        ({"pack": {"max_length": 15}}, "pack.max_length is 15: "),
        ({"pack": {"maximum": 512}}, "there is no field pack.maximum; "),
        ({"llm": {"kind": "template"}}, "llm.kind is 'template', but must be one of: openai, openai_batch"),
        ({"llm": {}}, "llm.model is not given; "),
        ({"llm": {**LLM, "max_usd": 1}}, "llm.max_usd: needs llm.prices with the prices of 'mill-1'"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value.split(":")[0],
)
def test_what_does_not_fit_cross_modal_turns(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    assert refused(tmp_path, {**CROSSMODAL, **change}).startswith(told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"source": {"path": "/s", "kind": "ljspeech"}}, "source.kind is 'ljspeech', but must be one of: alpaca, "),
        ({"source": {"path": "/s", "answer": "x"}}, "there is no field source.answer; "),
        ({"max_words": 0}, "max_words is 0: "),
        ({"weights": {"s2s": -1}}, "weights.s2s is -1: "),
        ({"weights": {"s2s": True}}, "weights.s2s is True: must be a number"),
        ({"weights": {"speech": 1}}, "there is no field weights.speech; "),
        (
            {"weights": dict.fromkeys(("s2s", "s2t", "t2s", "t2t"), 0)},
            "weights: one of s2s, s2t, t2s and t2t must be above 0",
        ),
        ({"templates": "some"}, "templates is 'some': input should be 'drawn' or 'all'"),
        ({"style": "mine"}, "style is 'mine': input should be 'lecture' or 'released'"),
        ({"units": None}, "units"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value.split(":")[0],
)
def test_what_does_not_fit_a_chain(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    assert refused(tmp_path, {**CHAIN, **change}).startswith(told)


# ---- paths -----------------------------------------------------------------------------------------------------------


def test_paths_lie_beside_the_recipe_and_a_models_name_is_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    fields = {**CROSSMODAL, "source": {"path": "speech", "audio": "clips"}, "pack": {"tokenizer": "t.json"}}
    path.write_text(yaml.safe_dump({**fields, "units": {"vocabulary": "fitted", "model": "owner/name"}}))
    recipe: Any = load_recipe(path)
    assert (recipe.source.path, recipe.source.audio) == (f"{tmp_path}/speech", f"{tmp_path}/clips")
    assert recipe.pack.tokenizer == f"{tmp_path}/t.json"
    assert (recipe.units.vocabulary, recipe.units.model) == (f"{tmp_path}/fitted", "owner/name")
    (tmp_path / "hubert").mkdir()
    path.write_text(yaml.safe_dump({**UNITS, "units": {**HUBERT, "model": "./hubert"}}))
    fitted: Any = load_recipe(path)
    assert fitted.units.model == f"{tmp_path}/hubert"
