"""(f) Fetching and resizing a list of URLs against img2dataset's own run and a bare loop, each on all cores.

2,000 photos of about 70 KB, served by nginx on this machine (which shares its cores with whoever fetches), resized to
256 pixels as img2dataset does by default. gristmill: a whole build, rules and index included, on a Ray that a small
build has started. img2dataset: `img2dataset.download` with as many processes and connections, its processes' start
included, as in every run of it. Bare: benchmarks/fetch_others.py, which writes nothing. Imports are not counted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from benchmarks.fetch_others import SHARD, THREADS
from benchmarks.inputs import captions, photos
from benchmarks.measure import Row, compare, interleave
from builders.shards.store import Store
from pipelines.kinds import make_dag
from pipelines.run import build
from schemas.load import load_recipe

URLS = 2_000
PHOTOS = 500
ROUNDS = 5
PORT = 8897


def main() -> list[Row]:
    """The rows of this benchmark."""
    processes = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as base:
        folder = Path(name)
        _lists(folder, base)
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        _build(folder, "first")
        seconds = interleave(
            {
                "gristmill": lambda _: _build(folder, "list"),
                "img2dataset": lambda _: _img2dataset(folder, processes),
                "bare": lambda _: _bare(folder, processes),
            },
            ROUNDS,
        )
        ray.shutdown()
        ours = seconds["gristmill"]
        return [
            compare("whole / img2dataset", ours, seconds["img2dataset"], URLS, "URLs/s", 0.95),
            compare("whole / bare", ours, seconds["bare"], URLS, "URLs/s"),
            compare("(img2dataset / bare)", seconds["img2dataset"], seconds["bare"], URLS, "URLs/s"),
        ]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """nginx over the photos; where it listens."""
    if not shutil.which("nginx"):
        raise SystemExit("benchmarks/fetch.py serves its photos by nginx: apt-get install nginx-light")
    (folder / "www").mkdir()
    for number, photo in enumerate(photos(PHOTOS)):
        (folder / "www" / f"{number}.jpg").write_bytes(photo)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{ worker_connections 4096; }}\n"
        f"http {{ access_log off; keepalive_requests 100000; types {{ image/jpeg jpg; }}\n"
        f"  server {{ listen 127.0.0.1:{PORT}; root {folder}/www; }} }}\n"
    )
    folder.chmod(0o755)  # its workers run as nobody
    nginx = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")])
    try:
        time.sleep(1)
        yield f"http://127.0.0.1:{PORT}"
    finally:
        nginx.terminate()
        nginx.wait()


def _lists(folder: Path, base: str) -> None:
    texts = captions(URLS)
    for name, count in (("list", URLS), ("first", 20)):
        rows = [{"url": f"{base}/{i % PHOTOS}.jpg?{i}", "caption": texts[i]} for i in range(count)]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
        recipe = {
            "kind": "pairs",
            "source": {"kind": "urls", "path": f"{name}.parquet"},
            "fetch": {"allow_private": True, "per_host": 1000, "connections": THREADS},
            "output": {"unit": SHARD if count == URLS else 5},
        }
        (folder / f"{name}.yaml").write_text(json.dumps(recipe))  # JSON is YAML


def _build(folder: Path, name: str) -> float:
    began = time.perf_counter()
    recipe = load_recipe(folder / f"{name}.yaml")
    manifest = build(recipe, make_dag(recipe), Store(folder / name), overwrite=True)
    took = time.perf_counter() - began
    if manifest["samples"] != manifest["funnel"]["inputs"]["total"]:
        raise AssertionError(f"not all URLs were kept: {manifest['funnel']}")
    return took


def _img2dataset(folder: Path, processes: int) -> float:
    out = folder / "img2dataset"
    shutil.rmtree(out, ignore_errors=True)
    took = _told([_others("img2dataset", str(folder / "list.parquet"), str(out), str(processes))])
    told = [json.loads(path.read_text()) for path in out.glob("*_stats.json")]
    if sum(one["successes"] for one in told) != URLS:
        raise AssertionError(f"img2dataset has not fetched all: {told}")
    return took


def _bare(folder: Path, processes: int) -> float:
    return _told([_others("bare", str(folder / "list.parquet"), str(i), str(processes)) for i in range(processes)])


def _others(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fetch_others", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _told(running: list[subprocess.Popen[bytes]]) -> float:
    """The seconds of the slowest."""
    return max(float(json.loads(one.communicate()[0].splitlines()[-1])["whole"]) for one in running)
