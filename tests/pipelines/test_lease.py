"""A build holds its output's lease, and closes nothing once it has lost it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builders.shards.dataset import committed
from builders.shards.lease import LEASES
from builders.shards.store import Store
from pipelines import run
from schemas.errors import BuildError
from tests.pipelines.coco import good_pairs
from tests.pipelines.milling import mill

pytestmark = pytest.mark.ray


class Lost:
    """A lease that is lost while the last units are built."""

    def __init__(self, store: Store) -> None:
        self.store, self.held = store, 0

    def claimed(self) -> None:
        """The claim is written."""

    def check(self) -> None:
        if committed(self.store):
            raise BuildError("rosa builds there now")
        self.held += 1


def test_given_a_lease_lost_on_the_way_then_neither_manifest_nor_card_is_written(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = good_pairs(tmp_path / "coco", 4).save()
    leases: list[Lost] = []

    @contextmanager
    def leased(store: Store, job: str | None) -> Iterator[Lost]:
        leases.append(Lost(store))
        yield leases[-1]

    with monkeypatch.context() as patched:
        patched.setattr(run, "leased", leased)
        with pytest.raises(BuildError, match="rosa builds there now"):
            mill(recipe, out)
    assert len(leases) == 1 and leases[0].held > 0, "asked before the units were built, too"
    assert committed(Store(str(out))) and not (out / "manifest.json").exists() and not (out / "README.md").exists()
    assert mill(recipe, out)["samples"] == 4, "the same command goes on"


def test_given_a_build_that_ends_then_no_lease_is_left(tmp_path: Path, out: Path) -> None:
    mill(good_pairs(tmp_path / "coco", 4).save(), out)
    assert not (out / LEASES).exists()


def test_what_the_cluster_calls_the_job_stands_in_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", '{"metadata": {"job_submission_id": "raysubmit_7"}}')
    assert run.job_id() == "raysubmit_7"
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert run.job_id() is None
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR")
    assert run.job_id() is None
