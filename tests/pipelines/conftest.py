"""What the engine's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from tests.pipelines.milling import one_ray

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
