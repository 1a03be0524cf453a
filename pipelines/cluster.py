"""Which nodes a cluster has or may get: of the session that this process is in, behind an address, or in a file."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipelines.hardware import Cluster, Nodes, cluster_of
from schemas.errors import UserError

CLUSTER_FILE = Path(__file__).resolve().parents[1] / "ray_cluster.yaml"
BOOTSTRAP = Path("~/ray_bootstrap_config.yaml").expanduser()
"""Where `ray up` puts the cluster's file on the head."""


def planned_for(address: str | None) -> tuple[Cluster, str]:
    """The cluster behind `address` (http://… or HOST:PORT; else RAY_API_SERVER_ADDRESS, RAY_ADDRESS), or the one that a
    cluster file describes: `address` itself, else ray_cluster.yaml. With it, what to call it. Raises UserError."""
    address = address or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS")
    if address and ("://" in address or re.fullmatch(r"auto|[\w.-]+:\d+", address)):
        return cluster_of(_answered(address if "://" in address else _job_server(address))), address
    file = Path(address) if address else CLUSTER_FILE
    return cluster_of(in_file(file)), file.name


def in_file(file: Path) -> list[Nodes]:
    """The node types of a file for `ray up`, at their `max_workers`; the head is one. Raises UserError."""
    try:
        told: Any = yaml.safe_load(file.read_text("utf-8"))
        types: Mapping[str, Any] = told["available_node_types"]
        nodes = []
        for name, kind in types.items():
            sizes, most = kind["resources"], kind.get("max_workers", told.get("max_workers", 0))
            head = name == told["head_node_type"]
            nodes.append(Nodes(name, float(sizes["CPU"]), int(sizes.get("GPU", 0)), 1 if head else int(most)))
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; give a cluster file, or --address of a running one") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        why = " ".join(str(error).split())
        raise UserError(
            f"{file}: tells no node types with resources: CPU ({why}); add them, or give --address of a running cluster"
        ) from None
    return nodes


def _job_server(address: str) -> str:
    """Where the job server of a cluster listens. Raises UserError."""
    from ray.dashboard.utils import ray_address_to_api_server_url

    from pipelines.submit import quiet

    try:
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
    types = _autoscaled() if os.environ.get("RAY_ADDRESS") else []
    known = {(kind.cpus, kind.gpus) for kind in types}
    found = cluster_of([*types, *_kinds(Counter({size: n for size, n in live.items() if size not in known}))])
    alone = len(found.nodes) == 1 and found.nodes[0].count == 1 and found.nodes[0].cpus >= 1
    return Cluster(found.cpus, found.gpus) if alone else found


def _autoscaled() -> list[Nodes]:
    try:
        return in_file(BOOTSTRAP)
    except UserError:  # not started by `ray up`, or on premises, where only the nodes know their sizes
        return []


def _size(resources: Mapping[str, float]) -> tuple[float, int]:
    return float(resources.get("CPU", 0)), int(resources.get("GPU", 0))


def _kinds(sizes: Counter[tuple[float, int]]) -> list[Nodes]:
    return [Nodes("node", cpus, gpus, count) for (cpus, gpus), count in sorted(sizes.items(), reverse=True)]
