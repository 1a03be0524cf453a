"""What a cluster on one machine starts, it ends, and nothing else. With a stand-in for `ray`: tests/faults has the real
one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.loopback import MARK, Loopback, loopback, marked


@pytest.fixture
def sleeping() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Processes of two nodes of a cluster, of another cluster, and of none."""
    marks = {"head": "aa/head", "worker": "aa/worker0", "other": "ab/head", "none": None}
    found = {
        name: subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"]} | ({MARK: mark} if mark else {}))
        for name, mark in marks.items()
    }
    yield found
    for process in found.values():
        process.kill()
        process.wait()


def test_a_cluster_knows_its_own_processes_by_what_they_inherit(sleeping: dict[str, subprocess.Popen[bytes]]) -> None:
    assert sorted(marked("aa")) == sorted([sleeping["head"].pid, sleeping["worker"].pid])
    assert marked("aa/worker0") == [sleeping["worker"].pid]
    assert marked("a0") == []


def test_given_a_node_that_is_killed_then_the_others_go_on(
    sleeping: dict[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    cluster = Loopback(tmp_path / "folder", "aa", {})

    cluster.kill("worker0")

    assert sleeping["worker"].wait(timeout=10) == -9
    assert all(sleeping[name].poll() is None for name in ("head", "other", "none"))


def test_given_a_cluster_that_is_stopped_then_other_clusters_go_on(
    sleeping: dict[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    cluster = Loopback(tmp_path / "folder", "aa", {}, {"head": sleeping["head"]})
    cluster.folder.mkdir()

    cluster.stop()

    assert not cluster.folder.exists()
    assert [sleeping[name].wait(timeout=10) for name in ("head", "worker")] == [-9, -9]
    assert all(sleeping[name].poll() is None for name in ("other", "none"))


@pytest.fixture
def ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `ray` that writes down how it was called, and gives up."""
    program = tmp_path / "ray"
    program.write_text(
        '#!/bin/sh\necho "$@" >> "$(dirname "$0")/called"\nenv > "$(dirname "$0")/env"\necho no luck\nexit 1\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    return tmp_path


@pytest.mark.slow
def test_given_a_node_that_does_not_start_then_it_is_tried_again_and_told_and_nothing_is_left(ray: Path) -> None:
    with pytest.raises(RuntimeError, match=r"head did not start:\nno luck"), loopback():
        raise AssertionError("it never started")

    assert len((ray / "called").read_text().splitlines()) == 3
    env = dict(line.partition("=")[::2] for line in (ray / "env").read_text().splitlines())
    assert not marked(env[MARK].split("/")[0])
    assert not Path(env["RAY_AUTH_TOKEN_PATH"]).parent.exists()


@pytest.mark.slow
def test_a_node_listens_on_loopback_alone_wants_a_token_and_knows_no_other_cluster(ray: Path) -> None:
    with pytest.raises(RuntimeError), loopback():
        pass

    called = (ray / "called").read_text().splitlines()[0].split()
    env = dict(line.partition("=")[::2] for line in (ray / "env").read_text().splitlines())
    assert called[:3] == ["start", "--block", "--disable-usage-stats"]
    assert {"--head", "--node-ip-address=127.0.0.2", "--dashboard-host=127.0.0.1", "--num-cpus=0"} <= set(called)
    assert env["RAY_AUTH_MODE"] == "token"
    assert "RAY_ADDRESS" not in env
    assert not any(len(value) == 64 for name, value in env.items() if "TOKEN" in name), "the token lies in a file"
