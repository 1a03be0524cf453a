"""Every query of the Grafana dashboard has data in a real Prometheus that scrapes the cluster of `make cluster-demo`.

With Ray's own interval between exports and the configuration of docs/watching.md, so it takes minutes.
"""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import cluster_demo
from deploy.loopback import Loopback, loopback
from tests.builders.llm import replies
from tests.builders.llm.server import Seen, serve
from tests.faults.processes import ROOT, wait_for
from tests.pipelines.test_dashboard import panels, plain
from tests.pipelines.test_llava_asked import SCENE, TALK, recipe_for

pytestmark = [pytest.mark.consumers, pytest.mark.timeout(1200)]

STEP_S = 5
"""Between two moments at which a query is evaluated: an export, and a scrape, come every ten seconds."""
SHOWN = {
    "Inputs a second, by what became of them": {"kept", "rejected", "failed"},
    "Share rejected and failed": {"rejected", "failed"},
    "Commonest losses": {"no_chunk", "no_answer", "server_error"},
    "Bytes a second, by folder": {"data", "index", "rejects"},
    "Requests and answers a second": {"asked"},
    "Tokens a second": {"in", "out"},
    "US dollars that the ledger saved": {"again"},
}
"""Of a panel: values of tags that must be among its series above 0. The others must have one such series."""


@pytest.fixture
def prometheus() -> str:
    found = shutil.which("prometheus")
    if not found:
        pytest.skip("Prometheus is not installed: apt-get install prometheus")
    return found


@pytest.fixture
def cluster() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


class Server:
    """A Prometheus that runs."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, path: str, **query: Any) -> Any:
        with urllib.request.urlopen(f"{self._url}/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def scraped(self) -> set[str]:
        """The hosts of which a target is up."""
        try:
            targets = self.ask("targets")["activeTargets"]
        except OSError:
            return set()
        return {urllib.parse.urlsplit(one["scrapeUrl"]).hostname or "" for one in targets if one["health"] == "up"}

    def above_zero(self, query: str, start: float) -> list[dict[str, str]]:
        """The tags of each series of a query that was above 0 at some moment since `start`."""
        found = self.ask("query_range", query=query, start=start, end=time.time(), step=STEP_S)["result"]
        return [one["metric"] for one in found if any(0 < float(value) < math.inf for _, value in one["values"])]

    def sums(self, meter: str, tag: str) -> dict[str, int]:
        """What a counter has come to, by a tag."""
        found = self.ask("query", query=f"sum by ({tag}) ({meter})")["result"]
        return {one["metric"][tag]: round(float(one["value"][1])) for one in found}


@contextmanager
def scraping(program: str, targets: Path, folder: Path) -> Iterator[Server]:
    """A Prometheus that finds Ray's nodes by the file that Ray writes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = {
        "global": {"scrape_interval": "10s"},
        "scrape_configs": [
            {"job_name": "ray", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "10s"}]}
        ],
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


def reply(seen: Seen) -> replies.Reply:
    """Answers, a refused one, and one that no parser takes, so that records are lost in both ways.

    The server has one thread: five replies a second, so that a build is exported several times.
    """
    time.sleep(0.2)
    if seen.number % 7 == 3:
        return replies.broken(500)
    if seen.number % 7 == 5:
        return replies.answer("no dialogue")
    return replies.answer(SCENE if "\n\n" in seen.prompt else TALK)


def submit(cluster: Loopback, recipe: Path, out: Path, *sets: str) -> Path:
    """A build as a job, as the demo's; the file with what was said of it."""
    log = out.with_suffix(".log")
    ray = [str(Path(sys.executable).with_name("ray")), "job", "submit", "--working-dir", "."]
    options = [option for one in sets for option in ("--set", one)]
    command = [*ray, "--", "python", "-m", "pipelines", "build", str(recipe), *options, "--out", str(out)]
    with log.open("w") as said:
        subprocess.run(command, cwd=ROOT, env=cluster.env, stdout=said, stderr=said, check=True, timeout=400)
    return log


def test_every_query_of_the_dashboard_is_above_zero(prometheus: str, cluster: Loopback, tmp_path: Path) -> None:
    targets = cluster.folder / "head/prom_metrics_service_discovery.json"
    wait_for(targets.exists, 120, "Ray to write where its nodes tell their metrics")
    outs = {name: tmp_path / name for name in ("grit", "asked", "again")}
    with scraping(prometheus, targets, tmp_path) as server, serve(reply) as api:
        wait_for(lambda: len(server.scraped()) == len(cluster.nodes), 120, "every node to be scraped")
        prices = {replies.MODEL: {"input": 2.0, "output": 8.0}}
        recipe = recipe_for(tmp_path, api, count=240, prices=prices, concurrency=2, retries=0)
        start = time.time()
        assert cluster_demo.submit(cluster, outs["grit"]) == 0
        log = submit(cluster, recipe, outs["asked"], "name=asked")
        submit(cluster, recipe, outs["again"], "name=again", f"llm.ledger={outs['asked']}/ledger")

        built = {name: json.loads((out / "manifest.json").read_text()) for name, out in outs.items()}
        units = {name: manifest["units"] for name, manifest in built.items()}
        answers = {"ledger": built["again"]["llm"]["last_run"]["from_ledger"]}
        answers["asked"] = sum(built[name]["llm"]["last_run"]["answers"] for name in ("asked", "again"))
        wait_for(
            lambda: (
                server.sums("ray_gristmill_units_total", "dataset") == units
                and server.sums("ray_gristmill_llm_answers_total", "source") == answers
            ),
            60,
            f"the last export and scrape, after which units are {units} and answers {answers}",
        )
        found = [(title, query, server.above_zero(plain(query), start)) for title, query in panels()]
        inputs = server.sums("ray_gristmill_inputs_total", "outcome")
        listed = server.ask("label/dataset/values", **{"match[]": "ray_gristmill_units_left"})

    assert [query for _, query, series in found if not series] == []
    shown = {title: {value for _, _, series in found for tags in series for value in tags.values()} for title in SHOWN}
    assert {title: SHOWN[title] - shown[title] for title in SHOWN} == {title: set() for title in SHOWN}
    assert set(listed) == set(outs), "what the dashboard's variable offers"
    funnels: Counter[str] = Counter()
    for manifest in built.values():
        funnels.update({name: manifest["funnel"]["inputs"][name] for name in ("kept", "rejected", "failed")})
    assert inputs == dict(funnels)
    check_lines(log, cluster)


def check_lines(log: Path, cluster: Loopback) -> None:
    """The driver tells of every unit, and the workers' own files of what failed."""
    committed = [line["unit"] for line in events(log) if line["event"] == "unit_committed"]
    assert sorted(committed) == list(range(30))
    told = [line for file in cluster.folder.glob("*/session_2*/logs/worker-*.err") for line in events(file)]
    failed = [line for line in told if line["event"] == "record_failed"]
    assert {(line["dataset"], line["stage"], line["step"], line["reason"]) for line in failed} == {
        (name, "ask", "ask", "server_error") for name in ("asked", "again")
    }
    assert all(line["key"].startswith("scene-") and line["unit"] < 30 for line in failed)


def events(file: Path) -> list[dict[str, Any]]:
    """The lines for machines in a log."""
    return [json.loads(line) for line in file.read_text().splitlines() if line.startswith('{"at"')]
