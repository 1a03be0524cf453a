"""Every query of the Grafana dashboard has data in a real Prometheus that scrapes a build on two raylets."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.cluster_utils import Cluster

from tests.builders.llm import replies
from tests.builders.llm.server import Seen, serve
from tests.pipelines.test_dashboard import panels, plain
from tests.pipelines.test_llava_asked import SCENE, TALK, recipe_for

pytestmark = pytest.mark.consumers

ROOT = Path(__file__).resolve().parents[2]
SECONDS = {"RAY_metrics_report_interval_ms": "1000", "RAY_raylet_start_wait_time_s": "120"}
"""For Ray, so that a short build is seen more than once."""


@pytest.fixture
def prometheus() -> str:
    found = shutil.which("prometheus")
    if not found:
        pytest.skip("Prometheus is not installed: apt-get install prometheus")
    return found


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head and a worker, each with a raylet and a port for metrics of its own."""
    for name, value in SECONDS.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path_factory.mktemp("r")  # short: sockets lie in it
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "temp_dir": str(folder)})
    try:
        made.add_node(num_cpus=1)
        yield made
    finally:
        made.shutdown()


class Server:
    """A Prometheus that runs."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, path: str, **query: Any) -> Any:
        with urllib.request.urlopen(f"{self._url}/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def is_up(self, nodes: int) -> bool:
        try:
            return sum(one["health"] == "up" for one in self.ask("targets")["activeTargets"]) >= nodes
        except OSError:
            return False

    def values(self, query: str, start: float) -> list[float]:
        """What a query has come to since `start`, second by second."""
        found = self.ask("query_range", query=query, start=start, end=time.time(), step=1)["result"]
        return [float(value) for series in found for _, value in series["values"]]


@contextmanager
def scraping(program: str, targets: Path, folder: Path) -> Iterator[Server]:
    """A Prometheus that finds Ray's nodes by the file that Ray writes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "ray", "file_sd_configs": [{"files": [str(targets)]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([program, *options, f"--web.listen-address=127.0.0.1:{port}"], stderr=log)
        try:
            yield Server(port)
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait(what: Any, told: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"waited in vain for {told}"
        time.sleep(0.5)


def reply(seen: Seen) -> replies.Reply:
    """Answers, a refused one, and one that no parser takes, so that records are lost in both ways."""
    time.sleep(0.2)
    if seen.number % 7 == 3:
        return replies.broken(500)
    if seen.number % 7 == 5:
        return replies.answer("no dialogue")
    return replies.answer(SCENE if "\n\n" in seen.prompt else TALK)


def build(recipe: Path, out: Path, address: str, *sets: str) -> Path:
    """`gristmill build` on the cluster; the file with what it said."""
    log = out.with_suffix(".log")
    options = [option for one in sets for option in ("--set", one)]
    with log.open("w") as said:
        subprocess.run(
            [sys.executable, "-m", "pipelines", "build", str(recipe), "--out", str(out), *options],
            env={**os.environ, "RAY_ADDRESS": address},
            cwd=ROOT,
            stdout=said,
            stderr=said,
            check=True,
            timeout=240,
        )
    return log


@pytest.mark.timeout(600)
def test_every_query_of_the_dashboard_has_data(prometheus: str, cluster: Cluster, tmp_path: Path) -> None:
    session = Path(cluster.head_node.get_session_dir_path())
    targets, logs = session / "prom_metrics_service_discovery.json", session / "logs"
    wait(targets.exists, "Ray to write where its nodes tell their metrics")
    with scraping(prometheus, targets, tmp_path) as server, serve(reply) as api:
        wait(lambda: server.is_up(2), "both nodes to be scraped")
        prices = {replies.MODEL: {"input": 2.0, "output": 8.0}}
        recipe = recipe_for(tmp_path, api, count=96, prices=prices, concurrency=2, retries=0)
        start = time.time()
        log = build(recipe, tmp_path / "first", cluster.address)
        build(recipe, tmp_path / "again", cluster.address, f"llm.ledger={tmp_path / 'first' / 'ledger'}")
        time.sleep(3)  # the last numbers are handed on when a process ends, and scraped within a second

        known = {query: server.values(plain(query), start) for _, query in panels()}
        committed = server.ask("query", query="sum (ray_gristmill_units_total)")["result"][0]["value"][1]

    assert [query for query, values in known.items() if not any(map(math.isfinite, values))] == []
    assert float(committed) == 24
    lines = events(log)
    assert sorted(line["unit"] for line in lines if line["event"] == "unit_committed") == list(range(12))
    told = [line for file in logs.glob("worker-*.err") for line in events(file)]
    failed = [line for line in told if line["event"] == "record_failed"]
    assert {(line["dataset"], line["stage"], line["step"], line["reason"]) for line in failed} == {
        ("recipe", "ask", "ask", "server_error")
    }
    assert all(line["key"].startswith("scene-") and line["unit"] < 12 for line in failed)


def events(file: Path) -> list[dict[str, Any]]:
    """The lines for machines in a log."""
    return [json.loads(line) for line in file.read_text().splitlines() if line.startswith('{"at"')]
