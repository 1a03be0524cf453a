"""One dataset that takes some seconds to build, and what an unharmed build of it comes to."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.grounding.chunks import parser_folder
from tests.faults.processes import Build
from tests.pipelines.coco import good_pairs
from tests.pipelines.milling import data_files

UNITS = 32


@dataclass(frozen=True)
class Unharmed:
    """An unharmed build: the recipe, the digest, and the bytes of shards, index and rejects."""

    recipe: Path
    digest: str
    files: dict[str, str]


@pytest.fixture(scope="session")
def unharmed(tmp_path_factory: pytest.TempPathFactory) -> Unharmed:
    folder = tmp_path_factory.mktemp("unharmed")
    coco = good_pairs(folder, UNITS * 15, unit=15, size=(480, 360))
    coco.caption(5, "")
    coco.captions.insert(15, coco.captions.pop())
    coco.recipe["parser"] = str(shutil.copytree(parser_folder(None), folder / "parser"))
    coco.recipe["source"]["limit"] = UNITS * 15
    recipe = coco.save()
    with Build(recipe, folder / "out") as build:
        assert build.ends() == 0, build.said()
    return Unharmed(recipe, digest(folder / "out"), data_files(folder / "out"))


def digest(out: Path) -> str:
    found = json.loads((out / "manifest.json").read_text())["dataset_digest"]
    assert isinstance(found, str)
    return found
