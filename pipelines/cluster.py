"""Which nodes a cluster has or may get: of the session that this process is in, behind an address, or in a file."""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipelines.hardware import Cluster, Nodes, cluster_of
from schemas.errors import UserError

CLUSTER_FILE = Path(__file__).resolve().parents[1] / "ray_cluster.yaml"
BOOTSTRAP = Path("~/ray_bootstrap_config.yaml").expanduser()
"""Where `ray up` puts the cluster's file on the head."""
CONNECT_S = 3.0
"""For a node of the cluster to take a connection."""
MOST = 1_000_000
"""CPUs of a node, or nodes: what is more is a slip of the hand."""
RAYS_MOST = 2
"""Workers of a file without `max_workers`: Ray's own default, as in its defaults.yaml for AWS."""


def planned_for(address: str | None) -> tuple[Cluster, str]:
    """The cluster behind `address` (http://… or HOST:PORT; else RAY_API_SERVER_ADDRESS, RAY_ADDRESS), or the one that a
    cluster file describes: `address` itself, else ray_cluster.yaml. With it, what to call it. Raises UserError."""
    address = address or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS")
    if address and ("://" in address or re.fullmatch(r"[\w.-]+:\d+", address)):
        return cluster_of(_answered(address if "://" in address else _job_server(address))), address
    file = Path(address) if address else CLUSTER_FILE
    return in_file(file).cluster(), file.name


@dataclass(frozen=True)
class NodeTypes:
    """What a file for `ray up` describes: the head, the types of workers, and how many workers there may be in all."""

    head: Nodes
    workers: tuple[Nodes, ...]
    most: int

    def cluster(self, there: Sequence[Nodes] = ()) -> Cluster:
        """The cluster that they make, with further nodes that are `there`."""
        return cluster_of([self.head, *there], self.workers, self.most)


def in_file(file: Path) -> NodeTypes:
    """The node types of a file for `ray up`. Raises UserError.

    Types with the same resources are one, of as many nodes as they may have together. Where their `priority` differs,
    the lower stand in for the highest (on-demand for spot) and add nothing: as many as the largest of them may have.
    """
    try:
        told: Any = yaml.safe_load(file.read_text("utf-8"))
        types: Mapping[str, Any] = told["available_node_types"]
        of_head = types[told["head_node_type"]]["resources"]
        most = int(_amount(told.get("max_workers", RAYS_MOST)))
        alike: dict[tuple[float, int, frozenset[Any]], list[tuple[int, int, str]]] = {}
        for name, kind in types.items():
            sized = (*_sized(kind["resources"]), frozenset(kind["resources"].items()))
            count = int(_amount(kind.get("max_workers", most)))
            if name != told["head_node_type"]:
                alike.setdefault(sized, []).append((int(kind.get("priority", 0)), count, str(name)))
        head = Nodes(str(told["head_node_type"]), *_sized(of_head), 1)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; give a cluster file, or --address of a running one") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        why = " ".join(str(error).split())
        raise UserError(
            f"{file}: tells no node types with resources: CPU ({why}); add them, or give --address of a running cluster"
        ) from None
    return NodeTypes(head, tuple(_one_kind(cpus, gpus, kinds) for (cpus, gpus, _), kinds in alike.items()), most)


def _one_kind(cpus: float, gpus: int, kinds: Sequence[tuple[int, int, str]]) -> Nodes:
    """Node types of one size, each with priority, count and name, as one: the first choice is named first."""
    counts: Counter[int] = Counter()
    for priority, count, _ in kinds:
        counts[priority] += count
    names = [name for _, _, name in sorted(kinds, key=lambda kind: -kind[0])]
    return Nodes(" or ".join(names), cpus, gpus, max(counts.values()))


def _sized(resources: Mapping[str, Any]) -> tuple[float, int]:
    return _amount(resources["CPU"]), int(_amount(resources.get("GPU", 0)))


def _amount(told: Any) -> float:
    """A number of a file, of CPUs or nodes. Raises ValueError or TypeError where it is none that there can be."""
    amount = float(told)
    if not 0 <= amount <= MOST:
        raise ValueError(f"{told} is no amount")
    return amount


def _job_server(address: str) -> str:
    """Where the job server of a cluster listens. Raises UserError."""
    from ray._private.services import canonicalize_bootstrap_address
    from ray.dashboard.utils import ray_address_to_api_server_url

    from pipelines.submit import quiet

    try:
        at = canonicalize_bootstrap_address(address) or address  # a loopback address becomes the node's own
        host, _, port = at.rpartition(":")
        with socket.create_connection((host, int(port)), CONNECT_S):
            pass  # Ray itself would try for 40 s
        with quiet():
            url: str = ray_address_to_api_server_url(address)
    except Exception as error:  # Ray raises whatever its connection ran into
        why = " ".join(str(error).split())[:200]
        raise UserError(f"--address {address}: no cluster answers there ({why}); start it, or give another") from None
    return url


def _answered(address: str) -> list[Nodes]:
    """The nodes that are there by now, as the job server tells them."""
    from pipelines.submit import connect, quiet

    connect(address)  # its errors are one line
    from ray.util.state import list_nodes

    with quiet():
        found = list_nodes(address=address, limit=10_000, raise_on_missing_output=False)
    return _kinds(Counter(_size(node.resources_total or {}) for node in found if node.state == "ALIVE"))


def of_session() -> Cluster:
    """What the Ray has that this process is connected to, nodes included that its autoscaler may start. A Ray of one
    machine that does not grow is that machine.

    Of the autoscaler's node types only the file tells that `ray up` leaves on the head, where drivers run.
    """
    import ray

    live = Counter(_size(node["Resources"]) for node in ray.nodes() if node["Alive"])
    types = _autoscaled() if os.environ.get("RAY_ADDRESS") else None
    if types:
        known = {(kind.cpus, kind.gpus) for kind in (types.head, *types.workers)}
        return types.cluster(_kinds(Counter({size: n for size, n in live.items() if size not in known})))
    found = cluster_of(_kinds(live))
    alone = len(found.nodes) == 1 and found.nodes[0].count == 1 and found.nodes[0].cpus >= 1
    return Cluster(found.cpus, found.gpus) if alone else found


def _autoscaled() -> NodeTypes | None:
    try:
        return in_file(BOOTSTRAP)
    except UserError:  # not started by `ray up`, or on premises, where only the nodes know their sizes
        return None


def _size(resources: Mapping[str, float]) -> tuple[float, int]:
    return float(resources.get("CPU", 0)), int(resources.get("GPU", 0))


def _kinds(sizes: Counter[tuple[float, int]]) -> list[Nodes]:
    return [Nodes("node", cpus, gpus, count) for (cpus, gpus), count in sorted(sizes.items(), reverse=True)]
