"""(d) Peak memory of a build as its input grows tenfold, in units of one size.

GrIT over 1,000 and over 10,000 pairs in units of 100, on one CPU; 200 photo files serve both. Twice a second it is read
from /proc what each process of the build keeps in memory: the driver, the largest Ray worker, and all of them together
with Ray's own, where a page that several share counts once (PSS).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.inputs import coco_folder, photos
from benchmarks.measure import Row

SIZES = (1_000, 10_000)
UNIT = 100
EVERY_S = 0.5
_BUILD = """
import sys, ray
from contextlib import suppress
from pathlib import Path
from benchmarks.inputs import recipe_of
from builders.shards.store import Store
from pipelines.grit import grit
from pipelines.run import build
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
recipe = recipe_of(Path(sys.argv[1]), int(sys.argv[2]))
build(recipe, grit(recipe), Store(sys.argv[3]))
ray.shutdown()
"""


def main() -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = photos(200)
        found = []
        for size in SIZES:
            coco_folder(folder / str(size), files, size)
            found.append(peaks(_BUILD, str(folder / str(size)), str(UNIT), str(folder / f"out-{size}")))
    return grown(*found, f"{SIZES[1]:,} / {SIZES[0]:,} inputs")


def grown(small: dict[str, float], large: dict[str, float], inputs: str) -> list[Row]:
    """The peaks of two builds beside each other."""
    return [
        Row(
            f"{what}: {inputs}",
            f"{large[what] / 1e6:,.0f} MB",
            f"{small[what] / 1e6:,.0f} MB",
            large[what] / small[what],
            target=1.1,
            at_most=True,
        )
        for what in small
    ]


def peaks(script: str, *arguments: str) -> dict[str, float]:
    """Run a build in a process of its own, and watch it and its children until it ends; bytes."""
    driver = subprocess.Popen([sys.executable, "-c", script, *arguments])
    peaks = {"driver": 0.0, "largest worker": 0.0, "all processes": 0.0}
    while driver.poll() is None:
        sizes = {process: _resident(process) for process in _tree(driver.pid)}
        workers = [rss for process, (rss, _) in sizes.items() if _is_worker(process)]
        now = sizes[driver.pid][0], max(workers, default=0.0), sum(pss for _, pss in sizes.values())
        peaks = {name: max(peak, size) for (name, peak), size in zip(peaks.items(), now, strict=True)}
        time.sleep(EVERY_S)
    if driver.returncode:
        raise RuntimeError(f"the build of {' '.join(arguments)} ended with {driver.returncode}")
    return peaks


def _tree(root: int) -> list[int]:
    """A process and all that it started, directly or not."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def _resident(process: int) -> tuple[float, float]:
    """Bytes in memory: with shared pages (RSS), and with its share of them (PSS). Nothing once it has ended."""
    sizes = {"Rss": 0.0, "Pss": 0.0}
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]:
            name, _, value = line.partition(":")
            if name in sizes:
                sizes[name] = float(value.split()[0]) * 1024
    return sizes["Rss"], sizes["Pss"]


def _is_worker(process: int) -> bool:
    """Whether it is a Ray worker: these name themselves after the task that they run."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::")
    return False
