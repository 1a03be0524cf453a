"""Units of a HuBERT, from the fit to turns: a tiny random model of the real architecture."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.shards.store import Store
from builders.shards.verify import verify
from builders.speech.features import FeatureSpec
from builders.speech.steps import HALVED
from builders.speech.units import parse_units
from builders.speech.vocabulary import Vocabulary, load_vocabulary, save_vocabulary
from pipelines.kinds import make_dag
from schemas.errors import UserError
from schemas.load import load_recipe
from tests.builders.speech.test_hubert import tiny
from tests.pipelines.milling import data_files, mill
from tests.pipelines.speaking import recipe, samples, speech, told

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hubert")
    speech(made / "lj", 6)
    tiny(made / "model", "group")
    return made


@pytest.fixture(scope="module")
def fitted(folder: Path, one_ray: None) -> Path:
    units = {"features": "hubert", "model": str(folder / "model"), "layer": 2, "k": 7}
    mill(recipe(folder, "speech_units", folder / "lj", units=units, output={"unit": 3}), folder / "units")
    return folder / "units"


def turns(folder: Path, vocabulary: Path, **units: Any) -> Path:
    fields = {"units": {"vocabulary": str(vocabulary), **units}, "output": {"unit": 3}}
    return recipe(folder, "speech_crossmodal", folder / "lj", **fields)


def test_units_are_fitted_on_a_layer_and_applied_to_the_same(folder: Path, fitted: Path, tmp_path: Path) -> None:
    vocabulary = load_vocabulary(str(fitted))
    assert (vocabulary.k, vocabulary.spec.features, vocabulary.spec.layer, vocabulary.spec.hz) == (7, "hubert", 2, 50)

    manifest = mill(turns(folder, fitted, model=str(folder / "model")), tmp_path / "out")

    assert (manifest["funnel"]["inputs"]["kept"], manifest["tallies"][HALVED]) == (6, 0)
    assert manifest["content"]["models"].keys() == {"units.vocabulary", "units.model"}
    assert {"torch", "transformers"} <= manifest["content"]["versions"].keys()
    assert verify(Store(str(tmp_path / "out"))).problems == []
    for turn in (turn for sample in told(tmp_path / "out") for turn in sample["turns"]):
        assert max(parse_units(turn["units"])) < 7
        assert sum(turn["durations"]) == pytest.approx(turn["seconds"] * 50, abs=1)

    moved = shutil.copytree(folder / "model", tmp_path / "moved")
    mill(turns(folder, fitted, model=str(moved)), tmp_path / "again")
    assert data_files(tmp_path / "again") == data_files(tmp_path / "out")
    assert len(samples(tmp_path / "again")) == manifest["samples"]


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        make_dag(load_recipe(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_folder_is_remembered_by_its_name_and_has_to_be_given(folder: Path, fitted: Path) -> None:
    assert load_vocabulary(str(fitted)).spec.model == "model"
    assert refused(turns(folder, fitted)).endswith("/fitted/k7 was fitted on a model in a folder model; give that")


def test_another_model_than_that_of_the_vocabulary_is_told(folder: Path, fitted: Path, tmp_path: Path) -> None:
    other = tiny(tmp_path / "other", "layer")
    assert refused(turns(folder, fitted, model=str(other))) == (
        f"units.model: {other} is not the model that {fitted}/fitted/k7 was fitted on (other digest); give that one"
    )
    gone = refused(turns(folder, fitted, model=str(tmp_path / "gone")))
    assert gone.startswith(f"units.model: '{tmp_path}/gone' is neither a folder nor the id of a model")


def test_an_imported_vocabulary_of_other_dimensions_is_told(folder: Path, tmp_path: Path) -> None:
    """It knows no digest of its model."""
    spec = FeatureSpec("hubert", 50.0, model=str(folder / "model"), layer=2)
    save_vocabulary(Vocabulary(spec, np.eye(5, 768, dtype=np.float32)), Store(str(tmp_path / "imported")))
    assert refused(turns(folder, tmp_path / "imported")) == (
        f"units.model: {folder}/model has 32 dimensions, but {tmp_path}/imported 768; give the model that it was "
        "fitted on"
    )


def test_a_model_that_is_not_where_it_was_fitted_must_be_given(folder: Path, fitted: Path, tmp_path: Path) -> None:
    whole = load_vocabulary(str(fitted))
    elsewhere = dataclasses.replace(whole.spec, model=str(tmp_path / "gone"))
    save_vocabulary(dataclasses.replace(whole, spec=elsewhere), Store(str(tmp_path / "k7")))
    assert json.loads((tmp_path / "k7/units.json").read_text())["model"] == str(tmp_path / "gone")
    assert refused(turns(folder, tmp_path / "k7")).startswith("units.model: ")
    make_dag(load_recipe(turns(folder, tmp_path / "k7", model=str(folder / "model"))))
