"""Models of a hub: fetched once a node, the same revision on each, and nothing fetched where that is switched off."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders.fake_hub import REVISION, Hub, serving

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 1000, "training.bin": b"not asked for"}
FIND = "from builders.hub import model_folder; print(model_folder('acme/tiny', 'field', ['config.json', 'model*']))"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub("acme/tiny", FILES, slow=0.3)) as served:
        yield served


def started(code: str, hub: Hub, home: Path, **more: str) -> subprocess.Popen[str]:
    """A worker of the node whose cache is `home`."""
    ours = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(ROOT)}
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | ours | more
    return subprocess.Popen(
        [sys.executable, "-c", code], env=env, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def told(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    return out.strip() if process.returncode == 0 else err.strip().splitlines()[-1]


def test_given_workers_of_one_node_that_want_a_model_at_once_then_it_is_fetched_once_and_no_other_file_is(
    hub: Hub, tmp_path: Path
) -> None:
    workers = [started(FIND, hub, tmp_path / "node") for _ in range(3)]

    folders = {told(worker) for worker in workers}

    (folder,) = folders
    assert {file.name: file.read_bytes() for file in Path(folder).iterdir()} == {
        name: data for name, data in FILES.items() if name != "training.bin"
    }
    assert hub.downloads == {"config.json": 1, "model.safetensors": 1}


def test_given_the_folder_that_another_node_found_then_a_node_fetches_that_revision_into_its_own_cache(
    hub: Hub, tmp_path: Path
) -> None:
    driver = Path(told(started(FIND, hub, tmp_path / "head")))
    shutil.rmtree(tmp_path / "head")
    hub.main = "b" * 40
    here = (
        "from pathlib import Path; from builders.hub import on_this_node; "
        f"files = [Path({str(driver)!r}, name) for name in ('config.json', 'model.safetensors')]; "
        f"print(on_this_node(Path({str(driver)!r}), files, 'field'))"
    )

    folders = {told(worker) for worker in [started(here, hub, tmp_path / "worker") for _ in range(2)]}

    assert folders == {str(tmp_path / "worker" / "hub" / "models--acme--tiny" / "snapshots" / REVISION)}
    assert hub.downloads == {"config.json": 2, "model.safetensors": 2}


def test_given_a_local_folder_that_a_node_lacks_then_one_line_says_so(hub: Hub, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from builders.hub import on_this_node; "
        "on_this_node(Path('/models/mine'), [Path('/models/mine/config.json')], 'detector.model')"
    )

    said = told(started(code, hub, tmp_path))

    assert "UserError: detector.model: the node " in said
    assert "has no /models/mine, or not all of it; put it where every node sees it" in said


def test_given_that_fetching_is_switched_off_then_the_cache_serves_and_an_empty_one_is_told(
    hub: Hub, tmp_path: Path
) -> None:
    first = told(started(FIND, hub, tmp_path / "full"))
    asked = hub.requests

    again = told(started(FIND, hub, tmp_path / "full", HF_HUB_OFFLINE="1"))
    empty = told(started(FIND, hub, tmp_path / "empty", HF_HUB_OFFLINE="1"))

    assert again == first
    assert "UserError: field: acme/tiny could not be fetched (" in empty
    assert hub.requests == asked
