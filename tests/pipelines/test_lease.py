"""A build holds its output's lease, and closes nothing once it has lost it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.shards.dataset import committed
from builders.shards.lease import LEASES, SIGNATURE
from builders.shards.store import Store
from builders.shards.verify import verify
from builders.step import Record, Result
from pipelines import run
from pipelines.dag import Stage
from schemas.errors import BuildError
from tests.leases import signed_by
from tests.pipelines.coco import good_pairs
from tests.pipelines.milling import data_files, mill
from tests.pipelines.toys import Numbers, Toy, dag, number

pytestmark = pytest.mark.ray


@dataclass(frozen=True)
class Overtaken:
    """Of the record with the number `at`, a step that is slow enough for another builder to sign meanwhile."""

    store: Store
    at: int

    def __call__(self, record: Record) -> Result:
        if number(record) == self.at:
            signed_by(self.store)
        return {"n": 0}


def test_given_that_another_signs_on_the_way_then_no_unit_follows_and_neither_manifest_nor_card_is_written(
    tmp_path: Path, out: Path
) -> None:
    recipe, sizes = good_pairs(tmp_path / "coco", 1).save(), (2,) * 12
    overtaken = dag(
        Stage(
            "all",
            (
                Toy(
                    Overtaken(Store(str(out)), at=5),
                ),
            ),
        ),
        source=Numbers(sizes),
    )

    with pytest.raises(BuildError, match="paused, or its store silent, for too long, and rosa on elsewhere"):
        mill(recipe, out, dag=overtaken)

    done = committed(Store(str(out)))
    assert 2 not in done and len(done) < len(sizes)
    assert not (out / "manifest.json").exists() and not (out / "README.md").exists()
    assert [path for path in data_files(out) if path.startswith("data/000002")] == []
    assert (out / SIGNATURE).exists(), "the other's stays"

    again = dag(Stage("all", (Toy(lambda record: {"n": 0}),)), source=Numbers(sizes))
    assert mill(recipe, out, dag=again)["samples"] == 24, "the same command goes on"
    assert verify(Store(str(out))).problems == []


def test_given_that_another_signs_after_the_last_unit_then_the_driver_does_not_close_the_dataset(
    tmp_path: Path, out: Path
) -> None:
    def overtaken(store: Store) -> dict[str, int]:
        signed_by(Store(str(out)))
        return {}

    recipe = good_pairs(tmp_path / "coco", 1).save()
    late = dag(Stage("all", (Toy(lambda record: {"n": 0}),)), source=Numbers((2, 2)), statistics=overtaken)

    with pytest.raises(BuildError, match="rosa on elsewhere, .* has built there"):
        mill(recipe, out, dag=late)

    assert committed(Store(str(out))) == [0, 1]
    assert not (out / "manifest.json").exists() and not (out / "README.md").exists()


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
