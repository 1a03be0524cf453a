"""Which nodes a build may count on: those of a file, and those of a Ray."""

from __future__ import annotations

import socket
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines import cluster
from pipelines.cluster import NodeTypes, of_session, planned_for
from pipelines.dag import Stage
from pipelines.hardware import Nodes, cluster_of
from pipelines.plan import render_plan
from schemas.errors import UserError
from schemas.load import load_recipe
from tests.pipelines.coco import good_pairs
from tests.pipelines.milling import mill
from tests.pipelines.toys import Toy, dag

TYPES = """
max_workers: 9
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0}, max_workers: 3}
  small: {resources: {CPU: 4}, max_workers: 2}
  large: {resources: {CPU: 8, GPU: 2, memory: 1000}, max_workers: 5}
"""
HEAD = Nodes("head", 0, 0, 1)


def in_file(tmp_path: Path, text: str) -> NodeTypes:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    return cluster.in_file(file)


def with_types(most: int, **types: str) -> str:
    """A file with a head and types of workers, each as the fields beside its resources (4 CPUs)."""
    lines = [f"  {name}: {{resources: {{CPU: 4}}, {fields}}}" for name, fields in types.items()]
    start = f"max_workers: {most}\nhead_node_type: head\navailable_node_types:\n  head: {{resources: {{CPU: 0}}}}"
    return "\n".join([start, *lines])


def test_given_a_file_for_ray_up_then_each_type_counts_as_often_as_it_may_be_there_and_the_head_once(
    tmp_path: Path,
) -> None:
    assert in_file(tmp_path, TYPES) == NodeTypes(HEAD, (Nodes("small", 4, 0, 2), Nodes("large", 8, 2, 5)), 9)


def test_given_a_type_without_a_count_then_it_may_be_all_workers_and_without_any_count_as_many_as_ray_takes(
    tmp_path: Path,
) -> None:
    text = (
        "max_workers: 6\nhead_node_type: h\navailable_node_types: {h: {resources: {CPU: 0}}, w: {resources: {CPU: 1}}}"
    )

    assert in_file(tmp_path, text).workers == (Nodes("w", 1, 0, 6),)
    assert in_file(tmp_path, text.partition("\n")[2]).workers == (Nodes("w", 1, 0, 2),)


def test_given_types_of_one_size_where_the_lower_priority_stands_in_then_it_adds_no_nodes(tmp_path: Path) -> None:
    text = with_types(24, demand="max_workers: 3, priority: 1", spot="max_workers: 5, priority: 2")

    assert in_file(tmp_path, text).workers == (Nodes("spot or demand", 4, 0, 5),)
    assert in_file(tmp_path, text.replace(": 3", ": 7")).workers == (Nodes("spot or demand", 4, 0, 7),)


@pytest.mark.parametrize("priority", ["", ", priority: 3"])
def test_given_types_of_one_size_with_the_same_priority_or_none_then_their_nodes_are_added_up(
    tmp_path: Path, priority: str
) -> None:
    text = with_types(24, a="max_workers: 3" + priority, b="max_workers: 5" + priority)

    assert in_file(tmp_path, text).workers == (Nodes("a or b", 4, 0, 8),)


def test_given_types_with_other_resources_then_they_are_two_kinds_whatever_their_priority(tmp_path: Path) -> None:
    text = with_types(24, a="max_workers: 3, priority: 1", b="max_workers: 5, priority: 2")

    found = in_file(tmp_path, text.replace("a: {resources: {CPU: 4}", "a: {resources: {CPU: 4, wide: 1}"))

    assert found.workers == (Nodes("a", 4, 0, 3), Nodes("b", 4, 0, 5))


def test_given_fewer_workers_in_all_than_the_types_make_together_then_the_plan_counts_those(tmp_path: Path) -> None:
    found = in_file(tmp_path, with_types(2, a="max_workers: 9", b="max_workers: 9")).cluster()

    assert str(found) == "8 CPUs, 0 GPUs, 2 workers at most"
    assert found.nodes == (HEAD, Nodes("a or b", 4, 0, 18))


SIZED_WRONG = [
    "CPU: .nan",
    "CPU: .inf",
    "CPU: 1e300",
    "CPU: -1",
    "CPU: x",
    "cpu: 4",
    "CPU: 4, GPU: .nan",
    "CPU: 4, GPU: .inf",
]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", "available_node_types: {a: {}}", "available_node_types: 3"),
        "available_node_types: {}",
        "head_node_type: head\navailable_node_types: {}",
        TYPES.replace("head_node_type: head", "head_node_type: other"),
        TYPES.replace("max_workers: 9", "max_workers: .inf"),
        TYPES.replace("max_workers: 2", "max_workers: -1"),
        TYPES.replace("max_workers: 2", "priority: .inf"),
        *(TYPES.replace("CPU: 4", sizes) for sizes in SIZED_WRONG),
        TYPES.replace("CPU: 4", "CPU: 4, wide: [1]"),
    ],
)
def test_given_a_file_without_sizes_then_one_line_names_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=rf"^{tmp_path}/c.yaml: tells no node types with resources: CPU") as raised:
        in_file(tmp_path, text)

    assert "\n" not in str(raised.value)


def test_given_no_such_file_then_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"c.yaml: No such file or directory; give a cluster file, or --address"):
        planned_for(str(tmp_path / "c.yaml"))


def test_without_an_address_the_plan_is_for_the_file_that_comes_with_the_checkout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)

    found, name = planned_for(None)

    assert (found.gpus, name) == (4, "ray_cluster.yaml")


def test_given_an_address_where_nobody_listens_then_one_line_says_so_before_ray_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ray.dashboard.utils.ray_address_to_api_server_url", lambda address: pytest.fail("asked"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    with pytest.raises(UserError, match=rf"^--address 127.0.0.1:{port}: no cluster answers there \(.*refused\); start"):
        planned_for(f"127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.0.0.1:99999"])
def test_given_a_port_that_there_is_not_then_one_line_says_so(address: str) -> None:
    with pytest.raises(UserError, match=rf"^--address {address}: no cluster answers there") as raised:
        planned_for(address)

    assert "\n" not in str(raised.value)


def test_no_other_ray_of_the_machine_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_job_server", lambda address: pytest.fail("looked for"))

    with pytest.raises(UserError, match="^auto: No such file or directory; give a cluster file, or --address"):
        planned_for("auto")


def test_a_plan_for_a_cluster_names_its_nodes_and_where_each_stage_may_run(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(TYPES)
    recipe = load_recipe(good_pairs(tmp_path, 1).save())
    steps = [Toy(lambda record: {}, name=name, adds={f"of_{name}": pa.int64()}) for name in ("light", "model", "huge")]
    stages = [Stage(step.name, (step,), gpus=gpus) for step, gpus in zip(steps, (0, 1, 4), strict=True)]

    text = render_plan(recipe, dag(*stages), None, planned_for(str(file)))

    assert "on 48 CPUs, 10 GPUs (c.yaml)" in text
    assert "nodes 5 x large (8 CPUs, 2 GPUs)" in text
    lines = [line.partition("stage ")[2] for line in text.splitlines() if "stage " in line]
    assert lines[0].endswith(", on small, large")
    assert lines[1].endswith(", on large")
    assert lines[2].endswith(", on NO NODE: it would wait for ever")


@pytest.mark.ray
def test_given_a_ray_of_one_machine_then_stages_are_fitted_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    found = of_session()

    assert (found.cpus, found.gpus, found.nodes) == (2, 0, ())


@pytest.mark.ray
def test_given_a_head_that_ray_up_started_then_the_nodes_count_that_its_autoscaler_may_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap = tmp_path / "ray_bootstrap_config.yaml"
    bootstrap.write_text(TYPES)
    monkeypatch.setattr(cluster, "BOOTSTRAP", bootstrap)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")

    found = of_session()

    assert found.gpus == 10
    assert [kind.name for kind in found.nodes] == ["head", "node", "small", "large"]


@pytest.mark.ray
def test_given_nodes_on_which_a_stage_would_wait_for_ever_then_the_build_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = good_pairs(tmp_path, 2).save()
    monkeypatch.setattr("pipelines.run.of_session", lambda: cluster_of([Nodes("head", 0, 0, 1)]))

    with pytest.raises(UserError, match=r"^stage photos wants 1 CPU on one node, but the largest has 0 "):
        mill(recipe, tmp_path / "out")
