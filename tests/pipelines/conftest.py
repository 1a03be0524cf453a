"""What the engine's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from tests.pipelines.milling import one_ray
from tests.tiny_clip import VIT, save_clip
from tests.tiny_detectors import save_detector

__all__ = ["one_ray"]


@pytest.fixture(autouse=True)
def _ray(request: pytest.FixtureRequest) -> None:
    """A test marked `ray` finds it running, and its module's own steps and sources travel to the workers by value."""
    if request.node.get_closest_marker("ray"):
        request.getfixturevalue("one_ray")
        ray.cloudpickle.register_pickle_by_value(request.module)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a dataset is to be built."""
    return tmp_path / "out"


@pytest.fixture(scope="session")
def dino(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_detector("grounding-dino", tmp_path_factory.mktemp("dino")))


@pytest.fixture(scope="session")
def owl(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_detector("owlv2", tmp_path_factory.mktemp("owl")))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_clip(tmp_path_factory.mktemp("clip")))


@pytest.fixture(scope="session")
def larger_clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_clip(tmp_path_factory.mktemp("larger_clip"), vision={**VIT, "image_size": 48}))
