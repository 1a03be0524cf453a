"""(g) Asking a language model: how full the places in flight are across unit borders, and what a request costs us.

A build of drawn scenes in units of 200 asks a loopback server (a process of its own, on the same cores) whose answers
take 0.5 to 5 seconds, with 256 in flight. Compared with what the places allow: in flight / mean latency, both as the
server saw them, between the moment when all places were first taken and the last request. Beside it the same with
answers that come at once, where all time is overhead: the build against a bare loop over the same SDK, which keeps
nothing. Ray's start is not counted.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import ray

from benchmarks.measure import Row, compare, interleave
from builders.shards.store import Store
from pipelines.kinds import make_dag
from pipelines.run import build
from schemas.load import load_recipe

IN_FLIGHT = 256
UNIT = 200
SLOW = 4_000
QUICK = 2_000
ROUNDS = 3


def main() -> list[Row]:
    """The rows of this benchmark."""
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(0, 0) as base:
            _build(folder, base, 50, "first")
        with served(0.5, 5) as base:
            _build(folder, base, SLOW, "slow")
            rows = [_filled(_log(base))]
        with served(0, 0) as base:
            seconds = interleave(
                {
                    "gristmill": lambda turn: _build(folder, base, QUICK, f"quick{turn}"),
                    "bare": lambda _: asyncio.run(_bare(base)),
                },
                ROUNDS,
            )
    ray.shutdown()
    ours, bare = (statistics.median(seconds[name]) / QUICK * 1000 for name in ("gristmill", "bare"))
    rows.append(compare("answers at once: whole build / bare loop", *seconds.values(), QUICK, "requests/s"))
    return [*rows, Row("overhead of a request, drawing and shards included", f"{ours:.1f} ms", f"{bare:.1f} ms")]


@contextmanager
def served(least: float, most: float) -> Iterator[str]:
    """The server; where it listens."""
    command = [sys.executable, "-m", "benchmarks.llm_server", str(least), str(most)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{json.loads(server.stdout.readline())}"
    finally:
        server.terminate()
        server.wait()


def _filled(log: list[tuple[float, float]]) -> Row:
    """The server's rate over what as many places as we may take would come to."""
    came = sorted(one for one, _ in log)
    first, last = came[IN_FLIGHT - 1], came[-1]
    rate = (len(came) - IN_FLIGHT) / (last - first)
    latency = statistics.mean(end - start for start, end in log)
    most = IN_FLIGHT / latency
    what = f"{IN_FLIGHT} in flight, {latency:.2f} s on average"
    return Row(what, f"{rate:.1f} requests/s", f"{most:.1f} requests/s", rate / most, None, 0.9)


def _log(base: str) -> list[tuple[float, float]]:
    with urllib.request.urlopen(f"{base}/log") as answer:
        return [(start, end) for start, end in json.load(answer)]


def _build(folder: Path, base: str, count: int, name: str) -> float:
    """The same requests whatever the build is called; each has a ledger of its own, so all are asked."""
    recipe = {
        "kind": "llava",
        "source": {"kind": "scenes", "count": count, "size": 64},
        "llm": {"model": "loopback", "base_url": f"{base}/v1", "concurrency": IN_FLIGHT},
        "weights": {"conversation": 1, "detail": 0, "complex": 0},
        "output": {"unit": UNIT},
    }
    (folder / f"{name}.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    checked = load_recipe(folder / f"{name}.yaml")
    began = time.perf_counter()
    manifest = build(checked, make_dag(checked), Store(folder / name))
    took = time.perf_counter() - began
    asked = manifest["llm"]["last_run"]["requests"]
    if manifest["samples"] != count or asked > count:
        raise AssertionError(f"{count} inputs became {manifest['samples']} samples by {asked} requests")
    return took


async def _bare(base: str) -> None:
    """As many requests of the same size, as many at once, by the SDK alone."""
    client = openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0)
    messages = [{"role": role, "content": "x" * 1500} for role in ("system", "user", "assistant", "user")]
    places = asyncio.Semaphore(IN_FLIGHT)

    async def ask(number: int) -> None:
        async with places:
            last = {"role": "user", "content": str(number)}
            await client.chat.completions.create(model="loopback", messages=[*messages, last])

    await asyncio.gather(*map(ask, range(QUICK)))
    await client.close()
