"""A build that stands still for so long that another builds there: when it wakes, it harms nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.shards.dataset import read_manifest
from builders.shards.store import Store
from builders.shards.verify import verify
from tests.faults.conftest import Unharmed
from tests.faults.processes import Build, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.consumers, pytest.mark.timeout(900)]  # minutes: in make test-all


def claim_of(out: Path) -> str:
    try:
        return (out / "build.json").read_text()
    except FileNotFoundError:  # between the old one and the new
        return ""


@pytest.mark.parametrize("wake", ["after", "during"])
def test_given_a_paused_build_when_another_of_other_content_is_built_there_then_the_first_stops_and_the_other_is_whole(
    unharmed: Unharmed, tmp_path: Path, wake: str
) -> None:
    out = tmp_path / "out"
    other = ("--overwrite", "--set", "output.unit=10")
    with Build(unharmed.recipe, tmp_path / "alone", *other) as build:
        assert build.ends() == 0, build.said()
    alone = read_manifest(Store(tmp_path / "alone"))

    with Build(unharmed.recipe, out) as first:
        first.wait_until(2)
        first.pause()
        with Build(unharmed.recipe, out, *other) as second:
            if wake == "during":
                wait_for(lambda: alone["content_hash"] in claim_of(out), 200, "the second's claim")
                second.wait_until(2)
                first.wake()
            assert second.ends() == 0, second.said()
        first.wake()
        assert first.ends() == 1
        assert "this build was paused, or its store silent, for too long" in first.said().splitlines()[-1]

    report = verify(Store(out))
    assert (report.problems, report.notes) == ([], [])
    assert read_manifest(Store(out))["dataset_digest"] == alone["dataset_digest"]
    assert Store(out).list("leases") == []
