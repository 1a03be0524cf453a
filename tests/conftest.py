"""What tests on every floor share: hypothesis without a clock, data that may not be there, transformers as a judge."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from builders.places.filesystem import filesystem
from builders.step import Services
from builders.torchvision_fix import complete_torchvision
from tests.hub import Hub, put
from tests.s3 import KEYS, S3, serving

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("gristmill", deadline=None)  # the machine is shared: a slow example is no failure
settings.load_profile("gristmill")


class _Unwatched:
    def add(self, amounts: object) -> None:
        """Nobody watches these builds."""


@pytest.fixture(scope="session")
def services() -> Services:
    """What a worker without a GPU hands to its steps."""
    return Services(_Unwatched(), "cpu")


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """An empty cache in place of the hub's, and what puts files there."""
    cache = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    return partial(put, cache)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """One S3 server for the run; see `s3`."""
    with serving() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """The server, which harms nothing yet, with an environment that leads to it through its proxy."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3_server.proxy.url}.items():
        monkeypatch.setenv(name, value)
    filesystem.cache_clear()
    s3_server.proxy.calm()
    yield s3_server
    s3_server.proxy.calm()
    filesystem.cache_clear()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout; a clone has none."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the reference data in {folder}, which a clone does not bring")
    return folder


@pytest.fixture(scope="session")
def shipped_parser() -> Path:
    """The trained English pipeline that gristmill brings."""
    folder = ROOT / "models" / "caption_parser" / "pipeline"
    if not (folder / "config.cfg").is_file():
        pytest.skip(f"{folder} is not trained: python models/caption_parser/train.py")
    return folder


@pytest.fixture(scope="session")
def kosmos2() -> ModuleType:
    """transformers' own Kosmos-2 code, the judge of our text."""
    complete_torchvision()
    return importlib.import_module("transformers.models.kosmos2.processing_kosmos2")
