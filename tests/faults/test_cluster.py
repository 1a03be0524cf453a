"""A cluster of three nodes on this machine: jobs that are left alone, stopped, submitted again, and lose a node."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.loopback import Loopback, loopback, marked
from tests.faults.processes import ROOT, TIME_OUT_S, wait_for
from tests.pipelines.milling import data_files, times

pytestmark = [pytest.mark.faults, pytest.mark.consumers, pytest.mark.timeout(1200)]  # minutes: in make test-all

RECIPE = "recipes/demo/grit.yaml"
UNITS = 250
FIELDS = ("source={kind: scenes, count: 500}", "detector={kind: annotations}", "output.unit=2")
SETS = tuple(part for field in FIELDS for part in ("--set", field))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Loopback]:
    with loopback() as running:
        yield running
    assert not marked(running.mark), "the cluster left processes behind"
    assert not running.folder.exists()


def gristmill(cluster: Loopback, *arguments: object, **env: str) -> subprocess.Popen[str]:
    """A command of somebody who has the cluster's address and token, and stands elsewhere."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", *map(str, arguments)],
        cwd=ROOT,
        env=cluster.env | env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def ends(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=TIME_OUT_S)
    return process.returncode, said


def test_given_a_wrong_token_then_one_line_says_so_and_nothing_is_sent(cluster: Loopback, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0" * 64)

    code, said = ends(
        gristmill(cluster, "submit", RECIPE, "--out", tmp_path / "x", RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    )

    assert code == 2
    assert said.startswith("gristmill: --address http://127.0.0.1:")
    assert "the cluster does not take our token; export RAY_AUTH_MODE=token" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name", ["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"])
def test_a_plan_for_the_running_cluster_names_its_nodes(cluster: Loopback, name: str) -> None:
    address = cluster.env[name]

    code, said = ends(gristmill(cluster, "plan", RECIPE, "--cluster", "--address", address))

    assert code == 0, said
    assert f"on 2 CPUs, 0 GPUs ({address})" in said
    assert "nodes 2 x node (1 CPU, 0 GPUs)" in said
    assert "nodes 1 x node (0 CPUs, 0 GPUs)" in said


def test_given_a_recipe_that_is_wrong_on_the_cluster_then_its_line_and_its_exit_code_come_back(
    cluster: Loopback, tmp_path: Path
) -> None:
    code, said = ends(
        gristmill(cluster, "submit", RECIPE, "--out", tmp_path / "x", "--set", "source.captions=/mnt/nowhere.json")
    )

    assert code == 2, said
    assert [line for line in said.splitlines() if line.startswith("gristmill: ")][-1].count("/mnt/nowhere.json") == 1


def test_given_a_job_that_nobody_watches_that_is_stopped_and_submitted_again_and_loses_a_node_then_no_byte_differs(
    cluster: Loopback, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ("submit", RECIPE, *SETS, "--out", out)

    watcher = gristmill(cluster, *command)
    wait_for(lambda: len(times(out)) >= 3 or watcher.poll() is not None, TIME_OUT_S, "the first units")
    watcher.send_signal(signal.SIGINT)
    code, said = ends(watcher)
    assert code == 1, said
    stop = re.search(r"the job goes on; to end it: (ray job stop \S+)$", said, re.MULTILINE)
    assert stop, said
    seen = len(times(out))
    wait_for(lambda: len(times(out)) > seen, TIME_OUT_S, "units that are built though nobody watches")

    program, *rest = stop[1].split()
    subprocess.run([Path(sys.executable).with_name(program), *rest], env=cluster.env, check=True, capture_output=True)
    committed = times(out)
    assert 3 < len(committed) < UNITS, "stopped too late: nothing is left to go on with"

    again = gristmill(cluster, *command)
    wait_for(lambda: len(times(out)) >= len(committed) + 3 or again.poll() is not None, TIME_OUT_S, "more units")
    cluster.kill("worker1")
    assert again.poll() is None, f"it ended before its node was lost:\n{ends(again)[1]}"
    code, said = ends(again)
    assert code == 0, said
    assert len(times(out)) == UNITS
    assert times(out).items() >= committed.items()

    alone = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    local = [sys.executable, "-m", "pipelines", "build", RECIPE, *SETS, "--out", str(tmp_path / "local")]
    subprocess.run(local, cwd=ROOT, env=alone, check=True, capture_output=True)
    assert data_files(out) == data_files(tmp_path / "local")
    digests = [json.loads((at / "manifest.json").read_text())["dataset_digest"] for at in (out, tmp_path / "local")]
    assert digests[0] == digests[1]
