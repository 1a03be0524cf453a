"""`make cluster-demo`: the same recipe built by a cluster of three nodes and by this machine alone, digests compared.

A head and two workers are started, the build is submitted as a job, its log followed, and everything ended again, on
Ctrl-C and on failure too. Exit code 0 where both datasets have the same digest.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.loopback import Loopback, loopback

ROOT = Path(__file__).resolve().parents[1]
RECIPE = "recipes/demo/grit.yaml"
SETS = ("--set", "output.unit=4")
"""Twelve units, so that each worker gets some."""


def main() -> int:
    """Build twice, and tell both digests."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--out", type=Path, help="keep both datasets in this folder")
    kept = options.parse_args().out
    with tempfile.TemporaryDirectory(prefix="cluster-demo-") as folder:
        out = (kept or Path(folder)).resolve()
        with loopback() as cluster:
            print(f"a head and {len(cluster.nodes) - 1} workers, job server at {cluster.dashboard}", flush=True)
            if submit(cluster, out / "cluster") or not (out / "cluster/manifest.json").exists():
                return 1
        if build(out / "local"):
            return 1
        digests = {name: digest(out / name) for name in ("cluster", "local")}
    print("digest " + " ".join(f"{name}={value}" for name, value in digests.items()))
    return int(digests["cluster"] != digests["local"])


def submit(cluster: Loopback, out: Path) -> int:
    """`ray job submit` of the build, its log followed. Returns the exit code."""
    ray = [str(Path(sys.executable).with_name("ray")), "job", "submit", "--working-dir", "."]
    command = [*ray, "--", "python", "-m", "pipelines", "build", RECIPE, *SETS, "--out", str(out)]
    return subprocess.run(command, cwd=ROOT, env=cluster.env, check=False).returncode


def build(out: Path) -> int:
    """The same build without a cluster. Returns the exit code."""
    command = [sys.executable, "-m", "pipelines", "build", RECIPE, *SETS, "--out", str(out)]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(command, cwd=ROOT, env=alone, check=False).returncode


def digest(dataset: Path) -> str:
    """What a dataset's manifest says of all its bytes."""
    return str(json.loads((dataset / "manifest.json").read_text())["dataset_digest"])


def _end(*_: object) -> None:
    """SIGTERM ends as Ctrl-C does: the cluster goes, too."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; the cluster is ended", file=sys.stderr)
        sys.exit(130)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
