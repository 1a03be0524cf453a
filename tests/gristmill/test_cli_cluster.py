"""`gristmill plan --cluster` and `gristmill submit`, as their user meets them. No cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gristmill.running import Cli, assert_one_line

ROOT = Path(__file__).resolve().parents[2]
GRIT = ROOT / "recipes/demo/grit.yaml"


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def test_given_no_address_then_the_plan_is_for_the_cluster_file_and_names_the_nodes_of_each_stage(
    cli: Cli, recipe: Path
) -> None:
    said = cli("plan", recipe, "--cluster")

    assert said.code == 0, said.err
    assert "(ray_cluster.yaml)" in said.out
    assert "nodes 16 x cpu_spot or cpu_on_demand (16 CPUs, 0 GPUs)" in said.out
    assert ", on cpu_spot or cpu_on_demand, gpu_spot or gpu_on_demand" in said.out


def test_given_a_cluster_that_no_stage_fits_then_the_plan_is_told_and_then_what_would_wait_for_ever(
    cli: Cli, recipe: Path, tmp_path: Path
) -> None:
    file = tmp_path / "head_alone.yaml"
    file.write_text("head_node_type: head\navailable_node_types: {head: {resources: {CPU: 0}}}")

    said = cli("plan", recipe, "--cluster", "--address", file)

    assert_one_line(said, 2, "stage photos wants 1 CPU on one node, but the largest has 0 (1 x head (0 CPUs, 0 GPUs))")
    assert "NO NODE" in said.out


def test_given_a_relative_output_then_nothing_is_sent(cli: Cli) -> None:
    assert_one_line(cli("submit", GRIT, "--out", "out/x"), 2, "--out out/x: is relative")


def test_given_that_no_cluster_answers_then_one_line_says_so(cli: Cli) -> None:
    said = cli("submit", GRIT, "--out", "s3://bucket/x", "--address", "http://127.0.0.1:9")

    assert_one_line(said, 2, "--address http://127.0.0.1:9: no cluster answers there")


def test_given_no_address_then_one_line_tells_how_to_write_one(cli: Cli) -> None:
    said = cli("submit", GRIT, "--out", "s3://bucket/x")

    assert_one_line(said, 2, "--address (not given)", "http://127.0.0.1:8265")
