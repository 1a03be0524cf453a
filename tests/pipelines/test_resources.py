"""One recipe on clusters of every size: the same bytes, and no stage that waits for another for ever.

Each cluster is a process of its own, with logical CPUs and GPUs: what a step would run on is told, no GPU is used.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.coco import good_pairs
from tests.pipelines.milling import mill

pytestmark = pytest.mark.ray

ROOT = Path(__file__).resolve().parents[2]
HANGS_S = 150
"""A build of a dozen photos that takes longer is starving."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_pairs(tmp_path_factory.mktemp("coco"), 12, unit=2).save()


@pytest.fixture(scope="module")
def expected(recipe: Path, one_ray: None) -> str:
    """The digest of a build with 2 CPUs."""
    digest = mill(recipe, recipe.parent / "two")["dataset_digest"]
    assert isinstance(digest, str)
    return digest


@pytest.mark.parametrize(
    ("cpus", "gpus", "device"), [(1, 0, "cpu"), (4, 0, "cpu"), (1, 1, "cuda"), (2, 1, "cuda")], ids=str
)
def test_given_a_cluster_of_any_size_then_the_build_ends_with_the_same_digest_and_gpus_are_used_where_there_are_any(
    recipe: Path, expected: str, tmp_path: Path, cpus: int, gpus: int, device: str
) -> None:
    command = [sys.executable, "-m", "tests.pipelines.one_cluster", str(cpus), str(gpus), str(recipe), str(tmp_path)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS_S, check=False)

    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert told["grit"] == expected
    assert told["devices"] == [device]
    assert told["bug"].startswith("step 'crooked' returned 0 results for ")
