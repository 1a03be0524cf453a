"""The files for clusters: Ray's own validation takes them, and they say what the docs promise."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from pipelines.cluster import in_file
from pipelines.hardware import Nodes

ROOT = Path(__file__).resolve().parents[2]
AWS = ROOT / "ray_cluster.yaml"
ON_PREMISES = ROOT / "deploy/on_premises.yaml"
TO_FILL_IN = "FILL-IN"


def read(file: Path) -> dict[str, Any]:
    told = yaml.safe_load(file.read_text())
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize("file", [AWS, ON_PREMISES], ids=lambda file: file.name)
def test_ray_takes_the_file_for_ray_up(file: Path) -> None:
    prepared = prepare_config(read(file))

    validate_config(prepared)
    assert prepared["head_node_type"] in prepared["available_node_types"]


def test_ray_refuses_a_field_that_it_does_not_know() -> None:
    wrong = prepare_config(read(AWS) | {"max_worker": 3})

    with pytest.raises(Exception, match="max_worker"):
        validate_config(wrong)


@pytest.mark.parametrize("file", [AWS, ON_PREMISES, ROOT / "deploy/rayjob.yaml"], ids=lambda file: file.name)
def test_what_a_user_must_fill_in_is_named_at_the_top(file: Path) -> None:
    text = file.read_text()
    head = text[: re.search(r"^[^#\n]", text, re.MULTILINE).start()]  # type: ignore[union-attr]
    left = [line for line in text.splitlines() if TO_FILL_IN in line and not line.startswith("#")]

    assert left
    for line in left:
        field = next(part for part in re.findall(r"[A-Za-z_]+", line) if part != "FILL")
        named = {"Arn": "IamInstanceProfile", "worker_image": "worker_image"}.get(field, field)
        assert named in head, line


def test_spot_is_tried_first_and_on_demand_of_the_same_size_stands_beside_it() -> None:
    types = read(AWS)["available_node_types"]

    for kind in ("cpu", "gpu"):
        spot, other = types[f"{kind}_spot"], types[f"{kind}_on_demand"]
        assert spot["node_config"].pop("InstanceMarketOptions") == {"MarketType": "spot"}
        assert "InstanceMarketOptions" not in other["node_config"]
        assert spot["priority"] > other["priority"]
        assert {name: spot[name] for name in ("resources", "node_config")} == {
            name: other[name] for name in ("resources", "node_config")
        }
        assert spot["min_workers"] == other["min_workers"] == 0


def test_the_head_is_no_spot_instance_and_runs_no_tasks() -> None:
    head = read(AWS)["available_node_types"]["head"]

    assert head["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]


def test_plan_knows_the_sizes_of_every_node_type() -> None:
    types = in_file(AWS)

    assert types.head == Nodes("head", 0, 0, 1)
    assert types.workers == (
        Nodes("cpu_spot or cpu_on_demand", 16, 0, 16),
        Nodes("gpu_spot or gpu_on_demand", 8, 1, 4),
    )


@pytest.mark.parametrize("file", [AWS, ON_PREMISES], ids=lambda file: file.name)
def test_every_node_wants_the_token_and_the_job_server_listens_on_loopback(file: Path) -> None:
    told = read(file)

    assert "--env RAY_AUTH_MODE=token" in told["docker"]["run_options"]
    assert any("--dashboard-host=127.0.0.1" in command for command in told["head_start_ray_commands"])


@pytest.mark.parametrize("file", [AWS, ON_PREMISES], ids=lambda file: file.name)
def test_what_docker_wants_of_a_machine_is_made_there_before_the_container_starts(file: Path, tmp_path: Path) -> None:
    told = yaml.safe_load(file.read_text().replace("/home/ubuntu", "$HOME"))
    options = " ".join(told["docker"]["run_options"])

    for command in told["initialization_commands"]:
        in_shell(command, tmp_path)

    keys, cache = in_shell(f"set -- {options}; {PATHS}", tmp_path).splitlines()
    assert Path(keys).stat().st_mode & 0o777 == 0o600, "keys are for its owner alone"
    assert Path(cache).is_dir(), "Docker would make it root's"


PATHS = """
while [ $# -gt 0 ]; do
  case $1 in --env-file) keys=$2;; --volume) case $2 in *:/home/gristmill/cache) cache=${2%%:*};; esac;; esac; shift
done; echo "$keys"; echo "$cache"
"""


def in_shell(command: str, home: Path) -> str:
    """What a command says, run as `ray up` runs it on a machine: by bash."""
    done = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "HOME": str(home)}, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_token_that_only_its_owner_may_read_is_read_by_the_user_of_the_image(dockerfile: list[str]) -> None:
    uid = next(match[1] for line in dockerfile if (match := re.search(r"useradd .*--uid (\d+)", line)))
    top = ON_PREMISES.read_text().partition("\ncluster_name:")[0]

    assert f"must say {uid}." in top
    assert f"of user id {uid}\n" in top


# -- KubeRay. Checked by hand against the CRD of its releases; here against the fields that we use.

CONTAINER = {"name", "image", "envFrom", "resources", "securityContext", "volumeMounts"}
FIELDS: dict[str, set[str]] = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "spec": {
        *("entrypoint", "submissionMode", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"),
        *("activeDeadlineSeconds", "backoffLimit", "rayClusterSpec"),
    },
    "cluster": {
        *("rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec"),
        "workerGroupSpecs",
    },
    "head": {"rayStartParams", "template"},
    "worker": {"rayStartParams", "template", "groupName", "replicas", "minReplicas", "maxReplicas"},
    "pod": {"serviceAccountName", "tolerations", "containers", "volumes"},
}


@pytest.fixture
def rayjob() -> dict[str, Any]:
    return read(ROOT / "deploy/rayjob.yaml")


def test_the_rayjob_uses_the_fields_that_kuberay_has(rayjob: dict[str, Any]) -> None:
    cluster = rayjob["spec"]["rayClusterSpec"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]

    assert rayjob["apiVersion"] == "ray.io/v1" and rayjob["kind"] == "RayJob"
    assert rayjob.keys() == FIELDS[""]
    assert rayjob["spec"].keys() == FIELDS["spec"]
    assert cluster.keys() == FIELDS["cluster"]
    assert cluster["headGroupSpec"].keys() == FIELDS["head"]
    for group in cluster["workerGroupSpecs"]:
        assert group.keys() == FIELDS["worker"]
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for pod in pods:
        assert pod["template"]["spec"].keys() <= FIELDS["pod"]
        assert all(isinstance(value, str) for value in pod["rayStartParams"].values()), "KubeRay takes text alone"
        for container in pod["template"]["spec"]["containers"]:
            assert container.keys() <= CONTAINER
            volumes = {volume["name"] for volume in pod["template"]["spec"].get("volumes", [])}
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes


def test_the_rayjob_ends_by_itself_and_tries_again_with_the_same_entrypoint(rayjob: dict[str, Any]) -> None:
    spec = rayjob["spec"]

    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["activeDeadlineSeconds"] > spec["ttlSecondsAfterFinished"] > 0
    assert spec["backoffLimit"] > 0
    assert spec["entrypoint"].startswith("gristmill build /opt/gristmill/recipes/demo/grit.yaml --out s3://")
    assert "--overwrite" not in spec["entrypoint"], "it would start over with each try"


def test_the_rayjob_names_the_ray_that_is_installed_wants_a_token_and_holds_no_key(rayjob: dict[str, Any]) -> None:
    cluster = rayjob["spec"]["rayClusterSpec"]

    assert cluster["rayVersion"] == ray.__version__
    assert cluster["authOptions"] == {"mode": "token"}
    assert "env" not in cluster["headGroupSpec"]["template"]["spec"]["containers"][0]


def test_what_the_pods_of_the_rayjob_want_is_made_by_commands_at_its_top(rayjob: dict[str, Any]) -> None:
    top = (ROOT / "deploy/rayjob.yaml").read_text().partition("\napiVersion:")[0]
    cluster = rayjob["spec"]["rayClusterSpec"]
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    secrets = {named["secretRef"]["name"] for pod in pods for named in pod["containers"][0].get("envFrom", [])}

    for account in {pod["serviceAccountName"] for pod in pods}:
        assert f"kubectl create serviceaccount {account}\n" in top
    for secret in secrets:
        assert f"kubectl create secret generic {secret} " in top


# -- the image


@pytest.fixture
def dockerfile() -> list[str]:
    text = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_torch_is_installed_first_at_the_versions_of_the_constraints(dockerfile: list[str]) -> None:
    installs = [line for line in dockerfile if "pip install" in line]
    constraints = (ROOT / "constraints.txt").read_text().splitlines()

    assert re.findall(r"'(\S+)'", installs[0]) == [line for line in constraints if line.startswith("torch")]
    assert "-c constraints.txt" in installs[1]


def test_the_image_takes_what_travels_and_runs_as_nobody_special(dockerfile: list[str]) -> None:
    copied = {word.rstrip("/") for line in dockerfile if line.startswith("COPY") for word in line.split()[1:-1]}
    ignored = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    users = [line for line in dockerfile if line.startswith("USER")]

    assert copied == {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)
    assert users == ["USER gristmill"]
    assert dockerfile.index(users[0]) > max(i for i, line in enumerate(dockerfile) if line.startswith("RUN"))
