"""A dataset on an object store that is ill, and builders that die: what is built is what an unharmed build comes to."""

from __future__ import annotations

import os
import random
import re
import socket
from pathlib import Path

import pytest

from builders.shards.dataset import read_manifest
from builders.shards.lease import leased
from builders.shards.repair import repair
from builders.shards.store import Store
from builders.shards.verify import verify
from tests.faults.conftest import Unharmed
from tests.faults.processes import Build
from tests.s3 import S3, Fault

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def bad_day(seed: int) -> Fault:
    """Of ten requests one is answered by an error, cut off or dropped, and of a hundred one never."""
    dice = random.Random(seed)

    def fault(method: str, path: str) -> str | None:
        drawn = dice.random()
        return "timeout" if drawn < 0.01 else dice.choice(("500", "503", "reset", "truncate")) if drawn < 0.1 else None

    return fault


def test_given_an_ill_store_and_a_killed_driver_when_resumed_then_the_digest_is_that_of_the_disk(
    unharmed: Unharmed, s3: S3
) -> None:
    out = f"s3://{s3.bucket()}/sets/out"
    s3.proxy.fault = bad_day(11)
    with Build(unharmed.recipe, out) as build:
        build.wait_until(5)
        build.kill_driver()
    store = Store(out)
    s3.proxy.fault = lambda method, path: None
    assert len(store.list("leases")) == 2, "the dead builder's, and its signature"
    store.put_bytes("data/000099.tar", b"of a dead attempt")
    s3.proxy.fault = bad_day(12)
    with Build(unharmed.recipe, out) as build:
        assert build.ends() == 0, build.said()
    harmed = sum(s3.proxy.done.values())
    s3.proxy.fault = lambda method, path: None
    assert harmed > 20
    assert read_manifest(store)["dataset_digest"] == unharmed.digest
    assert repair(store) == ["removed 1 file in data/"]
    report = verify(store)
    assert (report.problems, report.notes, report.digest) == ([], [], unharmed.digest)
    assert store.list("leases") == []


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_given_an_output_that_somebody_builds_when_built_then_it_is_refused_with_who_that_is(
    unharmed: Unharmed, s3: S3, tmp_path: Path, where: str
) -> None:
    out = str(tmp_path / "out") if where == "disk" else f"s3://{s3.bucket()}/out"
    with leased(Store(out)), Build(unharmed.recipe, out) as second:
        assert second.ends() == 2, second.said()
        assert re.search(rf"{socket.gethostname()}, process {os.getpid()}, since .* builds there", second.said())
    assert Store(out).list("leases") == []


def test_given_a_build_that_is_interrupted_then_its_lease_is_given_back(unharmed: Unharmed, s3: S3) -> None:
    out = f"s3://{s3.bucket()}/out"
    with Build(unharmed.recipe, out) as build:
        build.wait_until(1)
        build.interrupt()
        assert build.ends() == 1
    assert Store(out).list("leases") == []
