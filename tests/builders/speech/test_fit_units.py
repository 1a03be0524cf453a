"""The fit of unit vocabularies: what is drawn of an index, and the folders that are made of its features."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.fit import Artefact
from builders.shards.store import Store
from builders.speech.extract import Mfcc
from builders.speech.features import mfcc_spec
from builders.speech.fit_units import FitUnits
from builders.speech.steps import npy
from builders.speech.vocabulary import FACTS, TENSORS, load_vocabulary
from schemas.errors import UserError

pytestmark = pytest.mark.slow

FRAMES = {f"u{i:03d}": 40 + i for i in range(60)}


def index(frames: dict[str, int], seed: int | None = None) -> pa.Table:
    """An index of utterances, shuffled where a seed is given."""
    keys = list(frames)
    if seed is not None:
        random.Random(seed).shuffle(keys)
    return pa.table({"key": keys, "frames": [frames[key] for key in keys]})


def members(frames: dict[str, int]) -> dict[str, bytes]:
    """Features of so many frames: near eight points, each with its own noise."""
    points = np.random.default_rng(0).normal(0, 5, (8, 39))
    made = {}
    for i, (key, count) in enumerate(frames.items()):
        rng = np.random.default_rng(i)
        made[key] = npy((points[rng.integers(0, 8, count)] + rng.normal(0, 0.1, (count, 39))).astype(np.float32))
    return made


def fitted(ks: Sequence[int], seed: int = 0, order: int | None = None) -> Artefact:
    fit = FitUnits(Mfcc(), ks, seed)
    drawn = fit.draw(index(FRAMES, order))
    every = members(FRAMES)
    return fit.make(drawn, {key: every[key] for key in drawn.keys})


# ---- what is drawn ---------------------------------------------------------------------------------------------------


@given(st.integers(0, 10), st.integers(0, 3))
def test_what_is_drawn_depends_on_seed_and_keys_and_not_on_the_order_of_the_index(order: int, seed: int) -> None:
    fit = FitUnits(Mfcc(), [4], seed)
    assert fit.draw(index(FRAMES, order)) == fit.draw(index(FRAMES))


def test_another_seed_draws_others() -> None:
    assert FitUnits(Mfcc(), [4], 0).draw(index(FRAMES)).keys != FitUnits(Mfcc(), [4], 1).draw(index(FRAMES)).keys


def test_a_draw_is_told_in_a_line_and_as_numbers() -> None:
    drawn = FitUnits(Mfcc(), [4], 0).draw(index(dict.fromkeys(map("u{}".format, range(2000)), 100)))
    assert drawn.told == "units: fitted on 200 of 2,000 utterances, 20,000 frames"
    assert drawn.facts == {"utterances": 200, "of": 2000, "frames": 20_000}
    assert drawn.warnings == ()


def test_too_little_speech_is_a_warning_and_far_too_little_an_error() -> None:
    drawn = FitUnits(Mfcc(), [4, 100], 0).draw(index(FRAMES))
    assert len(drawn.keys) == 60
    assert drawn.warnings == ("units.k: 100 units are fitted on 4,170 frames; 5,000 would be enough",)
    with pytest.raises(UserError, match=r"^units\.k: 5000 units need as many frames, but the 60 utterances have 4170"):
        FitUnits(Mfcc(), [5000], 0).draw(index(FRAMES))
    with pytest.raises(UserError, match=r"^source: no utterance was kept"):
        FitUnits(Mfcc(), [4], 0).draw(index({}))


# ---- what is made ----------------------------------------------------------------------------------------------------


def test_each_k_has_a_folder_that_is_read_as_a_vocabulary(tmp_path: Path) -> None:
    made = fitted([8, 3])
    assert ": k8 (distortion " in made.told and ", k3 (distortion " in made.told
    assert list(made.files) == [f"{k}/{name}" for k in ("k8", "k3") for name in (TENSORS, FACTS)]
    for path, data in made.files.items():
        Store(tmp_path).put_bytes(path, data)
    for k in (8, 3):
        one = load_vocabulary(str(tmp_path / f"k{k}"))
        assert (one.k, one.spec, one.seed) == (k, mfcc_spec(), 0)
        assert one.files() == {name: made.files[f"k{k}/{name}"] for name in (TENSORS, FACTS)}
        assert one.sample["frames"] == made.facts["frames"]


def test_a_k_among_others_has_the_centres_that_it_has_alone() -> None:
    """Both see the frames that are drawn for the larger one."""
    several = fitted([2, 8])
    assert several.files["k8/" + TENSORS] == fitted([8]).files["k8/" + TENSORS]


def test_the_same_speech_in_any_order_makes_the_same_bytes_and_another_seed_others() -> None:
    one = fitted([8])
    assert fitted([8], order=5) == one
    assert fitted([8], seed=1).files != one.files


def test_what_was_made_is_told_with_how_well_it_fits() -> None:
    made = fitted([8])
    told = made.facts["vocabularies"]["k8"]
    assert told["unused"] == 0
    assert told["distortion"] == pytest.approx(39 * 0.1**2, rel=0.1)
    assert made.told == (
        f"units: fitted on {made.facts['utterances']} of 60 utterances, {made.facts['frames']:,} frames: "
        f"k8 (distortion {told['distortion']}, 0 unused)"
    )
    assert made.facts["warnings"] == []


def test_a_warning_stands_in_what_is_told_too() -> None:
    made = fitted([100])
    warning = "units.k: 100 units are fitted on 4,170 frames; 5,000 would be enough"
    assert made.told.endswith(f"; {warning}") and made.facts["warnings"] == [warning]


def test_features_that_are_not_the_drawn_ones_are_refused() -> None:
    fit = FitUnits(Mfcc(), [4], 0)
    drawn = fit.draw(index(FRAMES))
    fewer = members({key: FRAMES[key] - 1 for key in drawn.keys})
    with pytest.raises(ValueError, match=f"but {drawn.facts['frames']} were drawn"):
        fit.make(drawn, fewer)
