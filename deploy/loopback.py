"""A Ray cluster on this machine: a head and some workers, each a raylet with an address and a folder of its own.

Everything listens on loopback addresses alone and wants the token that is made for this one cluster. The way to see on
one machine what nodes do that share no memory: `python -m deploy.loopback` holds one until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MARK = "GRISTMILL_CLUSTER"
"""The variable that every process of a cluster inherits: what is ended is what holds it, and nothing else."""
STORE_BYTES = 150_000_000
"""Memory of each node's object store: a unit of the demo is some megabytes."""
START_S = 120
"""For one try. Ray starts within 10 s; a machine that does much else takes a minute."""


@dataclass
class Loopback:
    """A cluster that runs.

    env: what a process needs to talk to it: the token's file, and the addresses of the cluster and of its job server.
    """

    folder: Path
    mark: str
    env: dict[str, str]
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def dashboard(self) -> str:
        """Where jobs are submitted to."""
        return self.env["RAY_API_SERVER_ADDRESS"]

    def ask(self, path: str) -> bytes:
        """What the dashboard answers to GET `path`. Raises OSError."""
        token = (self.folder / "token").read_text()
        request = urllib.request.Request(self.dashboard + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            body: bytes = answer.read()
        return body

    def alive(self) -> int:
        """How many nodes the cluster counts."""
        try:
            told = json.loads(self.ask("/nodes?view=summary"))
        except (OSError, ValueError):
            return 0
        return sum(1 for node in told["data"]["summary"] if node["raylet"].get("state") == "ALIVE")

    def log(self, node: str) -> str:
        """What `ray start` of a node printed."""
        return (self.folder / f"{node}.log").read_text(errors="replace")

    def kill(self, node: str) -> None:
        """kill -9 of all that runs on a node, as when its machine loses power."""
        _end(f"{self.mark}/{node}")

    def stop(self) -> None:
        """End every process of the cluster, and remove its folder."""
        _end(self.mark)
        for process in self.nodes.values():
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def loopback(workers: int = 2, cpus: int = 1) -> Iterator[Loopback]:
    """A cluster of a head, which runs drivers and no tasks, and `workers` of `cpus` CPUs. Ended whatever happens.

    Raises RuntimeError where a node does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="gm-", dir="/tmp"))  # sockets lie below: no path may pass 107 bytes
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    env = kept | {
        "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', os.defpath)}",  # a job's `python` is this one
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    cluster = Loopback(folder, secrets.token_hex(8), env)

    def head() -> list[str]:
        gcs, dashboard, client = _free_ports(3)
        env["RAY_ADDRESS"], env["RAY_API_SERVER_ADDRESS"] = f"127.0.0.2:{gcs}", f"http://127.0.0.1:{dashboard}"
        told = ["--head", f"--port={gcs}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
        return [*told, f"--ray-client-server-port={client}", "--num-cpus=0"]

    try:
        _start(cluster, "head", head, 2, 1)
        for number in range(workers):
            name = f"worker{number}"
            _start(
                cluster, name, lambda: [f"--address={env['RAY_ADDRESS']}", f"--num-cpus={cpus}"], 3 + number, 2 + number
            )
        yield cluster
    finally:
        cluster.stop()


def _start(cluster: Loopback, node: str, options: Callable[[], Sequence[str]], address: int, nodes: int) -> None:
    """`ray start` of one node, until the cluster counts `nodes`. Raises RuntimeError.

    It gets three tries: `ray start` gives up after 30 s, which a busy machine may take, and another process may have
    taken a port that was free; the head then runs on without its job server.
    """
    for _ in range(3):
        process = cluster.nodes[node] = _launch(cluster, node, options(), address)
        end = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < end:
            if cluster.alive() == nodes:
                return
            if gone := [name for name, other in cluster.nodes.items() if name != node and other.poll() is not None]:
                raise RuntimeError(f"{gone[0]} ended while {node} started:\n{_last(cluster, gone[0])}")
            time.sleep(0.5)
        cluster.kill(node)
    raise RuntimeError(f"{node} did not start:\n{_last(cluster, node)}")


def _last(cluster: Loopback, node: str) -> str:
    return "\n".join(cluster.log(node).splitlines()[-20:])


def _launch(cluster: Loopback, node: str, options: Sequence[str], address: int) -> subprocess.Popen[bytes]:
    """Ray takes 127.0.0.1 for the machine's outer address, but 127.0.0.2 and those that follow for what they are."""
    metrics, agent, agent_grpc, environments = _free_ports(4)
    command = [
        *("ray", "start", "--block", "--disable-usage-stats", f"--node-ip-address=127.0.0.{address}", *options),
        *(f"--temp-dir={cluster.folder / node}", f"--object-store-memory={STORE_BYTES}", "--num-gpus=0"),
        *("--min-worker-port=0", "--max-worker-port=0", f"--metrics-export-port={metrics}"),
        *(f"--dashboard-agent-listen-port={agent}", f"--dashboard-agent-grpc-port={agent_grpc}"),
        f"--runtime-env-agent-port={environments}",
    ]
    with (cluster.folder / f"{node}.log").open("wb") as log:
        return subprocess.Popen(
            command,
            env={name: value for name, value in cluster.env.items() if name != "RAY_ADDRESS"}
            | {MARK: f"{cluster.mark}/{node}"},
            cwd=cluster.folder,  # what the package brings counts, not what lies where this was started
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this process, which ends them
        )


def _free_ports(count: int) -> list[int]:
    """Below those that Linux hands out by itself (32768 and up), of which Ray's own processes take some at any time."""
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(range(20_000, 32_000))
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("", port))
            found += [port] if port not in found else []
    return found


def _end(mark: str) -> None:
    """kill -9 of every process that carries the mark, until none is left: what is killed may just have started more."""
    while pids := marked(mark):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def marked(mark: str) -> list[int]:
    """The processes that carry the mark and still run. An ended one that nobody has waited for has no environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                named = f"\0{MARK}={mark}".encode()
                if named in b"\0" + (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def main() -> None:
    """Hold a cluster until Ctrl-C, and tell how to talk to it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.suppress(KeyboardInterrupt), loopback() as cluster:
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_API_SERVER_ADDRESS"):
            print(f"export {name}={cluster.env[name]}")
        print("# a head and two workers, until Ctrl-C", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
