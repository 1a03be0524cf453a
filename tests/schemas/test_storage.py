"""The recipe's `storage` block: how object stores are reached, and never content."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from schemas.errors import UserError
from schemas.load import load_recipe
from schemas.recipe import PairsRecipe, content
from schemas.storage import Storage

HERE = {"endpoint": "http://127.0.0.1:9000", "region": "eu-west-1"}


def recipe(folder: Path, path: str = "s3://bucket/pairs", **storage: object) -> Path:
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump({"kind": "pairs", "source": {"path": path}, "storage": storage}))
    return file


def test_its_settings_go_with_every_location_on_an_object_store(tmp_path: Path) -> None:
    loaded = load_recipe(recipe(tmp_path, **HERE), ["source.captions=s3://bucket/captions.tsv", "source.images=/local"])
    assert isinstance(loaded, PairsRecipe)
    assert loaded.source.path == "s3://bucket/pairs?endpoint=http://127.0.0.1:9000&region=eu-west-1"
    assert loaded.source.captions == "s3://bucket/captions.tsv?endpoint=http://127.0.0.1:9000&region=eu-west-1"
    assert loaded.source.images == "/local"


def test_an_address_that_brings_its_own_settings_keeps_them() -> None:
    assert Storage(region="a").on("s3://bucket/x?region=b") == "s3://bucket/x?region=b"
    assert Storage(anonymous=True).on("gs://bucket/x") == "gs://bucket/x?anonymous=true"
    assert Storage().on("s3://bucket/x") == "s3://bucket/x"
    assert Storage(region="a").on("/disk/x") == "/disk/x"


def test_it_is_no_content(tmp_path: Path) -> None:
    with_it = content(load_recipe(recipe(tmp_path, **HERE)))
    without = content(load_recipe(recipe(tmp_path), ["storage=null"]))
    assert with_it == without
    assert "127.0.0.1" not in str(with_it)


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:9000", "http://me:hidden@host", "http://host/?key=hidden", "http://h:x"]
)
def test_an_endpoint_that_is_none_is_refused_and_not_told(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(UserError, match=r"mine\.yaml: storage\.endpoint: must be as http://127") as refused:
        load_recipe(recipe(tmp_path, endpoint=endpoint))
    assert "hidden" not in str(refused.value)
