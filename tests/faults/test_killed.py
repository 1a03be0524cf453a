"""Processes that really die in the middle of a build, and disks that really fill up."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.shards.store import Store
from builders.shards.verify import verify
from tests.faults.conftest import UNITS, Unharmed, digest
from tests.faults.processes import Build
from tests.pipelines.milling import data_files, times

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]  # each start of Ray takes seconds, on a busy machine many

SEED = 20231


def assert_unharmed(out: Path, unharmed: Unharmed) -> None:
    """The dataset is what a build comes to that nobody hurt, and nothing else lies there."""
    assert digest(out) == unharmed.digest
    assert data_files(out) == unharmed.files
    report = verify(Store(str(out)))
    assert (report.problems, report.notes) == ([], [])
    names = {path.name for path in out.iterdir()}
    assert names == {"build.json", "manifest.json", "README.md", "data", "index", "rejects", "units"}


def test_given_a_driver_killed_at_five_random_moments_when_resumed_then_the_bytes_are_those_of_an_unharmed_build(
    unharmed: Unharmed, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    draw = random.Random(SEED)
    committed: dict[str, int] = {}
    before_work = draw.randrange(5)
    for kill in range(5):
        with Build(unharmed.recipe, out) as build:
            more, later = draw.randint(1, 5), draw.uniform(0, 0.4)
            if kill == before_work:
                later = draw.uniform(1, 6)
            else:
                build.wait_until(build.committed + more)
            time.sleep(later)
            build.kill_driver()
        now = times(out)
        print(f"seed {SEED}, kill {kill + 1}: {later:.2f} s after the moment; {len(now)} of {UNITS} units committed")
        assert now.items() >= committed.items(), "a unit that was committed was built again"
        assert not (out / "manifest.json").exists()
        committed = now
    assert 4 <= len(committed) < UNITS

    with Build(unharmed.recipe, out) as build:
        assert build.ends() == 0, build.said()

    assert times(out).items() >= committed.items(), "a unit that was committed was built again"
    assert_unharmed(out, unharmed)


def test_given_worker_processes_killed_in_the_middle_then_the_build_ends_by_itself_with_the_same_bytes(
    unharmed: Unharmed, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with Build(unharmed.recipe, out) as build:
        for units, word in ((3, "ReadUnits"), (8, "Watch"), (13, "ReadUnits")):
            build.wait_until(units)
            victims: list[int] = []
            while not victims:
                victims = build.find(f"ray::{word}")
            print(f"kill -9 {victims[0]} after {build.committed} units: a worker of {word}")
            os.kill(victims[0], signal.SIGKILL)

        assert build.ends() == 0, build.said()
        assert "Traceback" not in build.said()

    assert_unharmed(out, unharmed)


@pytest.mark.parametrize("end", [Build.interrupt, Build.terminate], ids=["ctrl_c", "sigterm"])
def test_given_an_end_by_signal_then_exit_1_and_a_line_that_says_how_to_go_on_and_the_same_command_goes_on(
    unharmed: Unharmed, tmp_path: Path, end: Callable[[Build], None]
) -> None:
    out = tmp_path / "out"
    with Build(unharmed.recipe, out) as build:
        build.wait_until(4)
        end(build)
        assert build.ends() == 1, build.said()
        said = build.said()
        build.kill_driver()
    committed = times(out)
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("gristmill: interrupted; what is committed in ")
    assert "Run the same command again to go on" in said
    assert 4 <= len(committed) < UNITS

    with Build(unharmed.recipe, out) as build:
        assert build.ends() == 0, build.said()

    assert times(out).items() >= committed.items()
    assert_unharmed(out, unharmed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if not made or made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip() if made else 'no mount command'}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_given_a_disk_that_fills_up_then_one_line_and_exit_1_and_with_more_room_the_same_command_finishes(
    unharmed: Unharmed, small_disk: Path
) -> None:
    with Build(unharmed.recipe, small_disk) as build:
        assert build.ends() == 1, build.said()
        said = build.said()
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("gristmill: could not write ")
    assert "No space left on device" in said
    assert not (small_disk / "manifest.json").exists()
    committed = times(small_disk)
    assert 0 < len(committed) < UNITS

    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    with Build(unharmed.recipe, small_disk) as build:
        assert build.ends() == 0, build.said()

    assert times(small_disk).items() >= committed.items()
    assert_unharmed(small_disk, unharmed)
