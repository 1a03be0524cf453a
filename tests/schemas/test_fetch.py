"""How images are fetched: img2dataset's names and defaults, what is content, and what is refused."""

from __future__ import annotations

import dataclasses
import inspect
import math
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from builders.acquire.img2dataset_parts import resizer_class
from builders.acquire.resize import Resizing
from schemas.errors import UserError
from schemas.fetch import Fetch, Interpolation, ResizeMode
from schemas.load import load_recipe
from schemas.recipe import PairsRecipe, content

URLS = {"kind": "urls", "path": "/list.parquet"}
OTHERWISE = {"retries": (2, 0)}
"""Options whose default is not img2dataset's: ours, and theirs."""


def fetch(**fields: Any) -> Fetch:
    return Fetch.model_validate(fields)


def recipe(**fields: Any) -> PairsRecipe:
    return PairsRecipe.model_validate({"kind": "pairs", "source": URLS, **fields})


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    """img2dataset's own options, with their defaults."""
    resizer_class()  # whose import is the tidy one
    from img2dataset import download

    options = {name: option.default for name, option in inspect.signature(download).parameters.items()}
    options["disallowed_header_directives"] = ["noai", "noimageai", "noindex", "noimageindex"]  # set in its body
    return options


# ---- img2dataset's ---------------------------------------------------------------------------------------------------


def test_an_option_that_img2dataset_has_too_has_its_default(theirs: dict[str, Any]) -> None:
    ours = {name: math.inf if name.startswith("max_") and value is None else value for name, value in Fetch()}
    shared = ours.keys() & theirs.keys()
    assert len(shared) == 17
    assert {name: (ours[name], theirs[name]) for name in shared if ours[name] != theirs[name]} == OTHERWISE


def test_no_options_of_its_resizer_are_left_out(theirs: dict[str, Any]) -> None:
    options = set(inspect.signature(resizer_class().__init__).parameters) - {"self", "blurrer"}
    assert {field.name for field in dataclasses.fields(Resizing)} == options
    assert options <= Fetch.model_fields.keys()


def test_choices_are_its_choices() -> None:
    resizer_class()
    from img2dataset import resizer

    assert set(get_args(ResizeMode)) == {mode.name for mode in resizer.ResizeMode}
    assert set(get_args(Interpolation)) == set(resizer._INTER_STR_TO_CV2)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"image_size": 0},
        {"resize_mode": "stretch"},
        {"encode_format": "avif"},
        {"encode_quality": 101},
        {"encode_format": "png", "encode_quality": 10},
        {"encode_format": "png"},
        {"max_aspect_ratio": 0.5},
        {"max_image_area": 0},
        {"max_bytes": 0},
        {"max_bytes": 129_000_000},
        {"user_agent_token": "two words"},
        {"user_agent_token": "line\nbreak"},
        {"user_agent_token": ""},
        {"timeout": 0},
        {"timeout": True},
        {"max_seconds": float("inf")},
        {"retries": -1},
        {"connections": 0},
        {"per_host": 0},
        {"thread_count": 8},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        fetch(**fields)


@pytest.mark.parametrize("quality", [0, 9])
def test_the_quality_of_a_png_is_its_compression(quality: int) -> None:
    assert fetch(encode_format="png", encode_quality=quality).encode_quality == quality
    with pytest.raises(ValidationError, match="fetch.encode_quality: for png it is the compression, 0 to 9"):
        fetch(encode_format="png", encode_quality=10)


def test_there_is_nothing_to_fetch_where_images_are_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"kind: pairs\nsource: {{path: {tmp_path}}}\nfetch: {{image_size: 64}}\n")
    with pytest.raises(UserError, match="fetch") as error:
        load_recipe(path)
    assert "urls" in str(error.value)
    path.write_text(f"kind: pairs\nsource: {{kind: urls, path: {tmp_path}}}\nfetch: {{image_size: 64}}\n")
    loaded = load_recipe(path)
    assert isinstance(loaded, PairsRecipe)
    assert loaded.fetch == Fetch(image_size=64)


# ---- content ---------------------------------------------------------------------------------------------------------

RUNNING = {"timeout": 5, "max_seconds": 9, "retries": 0, "connections": 9, "per_host": 9, "allow_private": True}


def test_how_servers_are_asked_is_no_content() -> None:
    assert content(recipe(fetch=RUNNING)) == content(recipe(fetch={}))


@pytest.mark.parametrize("name", sorted(Fetch.model_fields.keys() - RUNNING.keys()))
def test_what_decides_which_bytes_are_kept_is_content(name: str) -> None:
    change: dict[str, Any] = {
        "resize_mode": "no",
        "upscale_interpolation": "area",
        "downscale_interpolation": "cubic",
        "encode_format": "webp",
        "user_agent_token": "mill",
        "disallowed_header_directives": [],
    }
    default = Fetch.model_fields[name].default
    other = change[name] if name in change else not default if isinstance(default, bool) else 77
    assert content(recipe(fetch={name: other})) != content(recipe(fetch={}))


def test_a_recipe_may_leave_it_all_out() -> None:
    assert recipe().fetch in (None, Fetch())
