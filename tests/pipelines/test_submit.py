"""What `gristmill submit` sends to a cluster, and what it refuses to send. No cluster is needed."""

from __future__ import annotations

import json
import shlex
import socket
from pathlib import Path

import pytest

from pipelines import submit
from pipelines.submit import ROOT, connect, job
from schemas.errors import UserError

GRIT = ROOT / "recipes/demo/grit.yaml"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of another's: the list of what travels, and a recipe that names what a test needs."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / ".rayignore").write_text((ROOT / ".rayignore").read_text())
    monkeypatch.setattr(submit, "ROOT", tmp_path)
    return tmp_path


def recipe(checkout: Path, path: str) -> Path:
    file = checkout / "recipes/mine.yaml"
    file.write_text(f"kind: pairs\nsource: {{path: {path}}}\n")
    return file


# -- the job


def test_the_driver_runs_the_same_build_in_the_copy_of_the_checkout() -> None:
    sent = job(GRIT, "s3://bucket/grit", ["output.unit=4"], ["--retry-failed"])

    assert sent.entrypoint == (
        "python -m pipelines build recipes/demo/grit.yaml --out s3://bucket/grit --set output.unit=4 --retry-failed"
    )
    assert sent.runtime_env == {"working_dir": str(ROOT)}
    assert sent.metadata == {"recipe": "recipes/demo/grit.yaml", "out": "s3://bucket/grit"}


def test_given_words_that_a_shell_would_take_apart_then_they_arrive_whole() -> None:
    sent = job(GRIT, "/mnt/my data/x", ["detector.synonyms={bike: [bicycle]}"])

    assert sent.entrypoint.endswith("--out '/mnt/my data/x' --set 'detector.synonyms={bike: [bicycle]}'")


def test_given_a_key_in_the_environment_here_then_no_part_of_the_job_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789")
    llava = ROOT / "recipes/llava.yaml"

    sent = job(llava, "s3://bucket/x", [f"source.{name}=/mnt/x" for name in ("images", "captions", "instances")])

    assert "very-secret" not in json.dumps([sent.entrypoint, sent.runtime_env, sent.metadata])


def test_an_environment_of_packages_travels_beside_the_code() -> None:
    sent = job(GRIT, "s3://bucket/x", [], [], ROOT / "deploy/env_pip.yaml")

    assert sent.runtime_env["working_dir"] == str(ROOT)
    assert sent.runtime_env["pip"]["packages"][0] == "-c ${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}/constraints.txt"


# -- paths


@pytest.mark.parametrize("out", ["out/x", "x", "~/x", "./x"])
def test_given_an_output_that_would_go_with_the_job_then_it_is_refused(out: str) -> None:
    with pytest.raises(UserError, match=r"is relative, and would lie in the job's own copy of the code"):
        job(GRIT, out, [])


@pytest.mark.parametrize("out", ["package://skimage/data", "nonsense://K:hidden@bucket/x", "https://host/x", "s3:///x"])
def test_given_an_output_where_no_dataset_can_lie_then_one_line_says_so_before_anything_travels(out: str) -> None:
    with pytest.raises(UserError, match=r"^--out [^\n]+$|^--out: [^\n]+$"):
        job(GRIT, out, [])


@pytest.mark.parametrize("field", ["--out", "source.images", "detector.model"])
@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIAKEY:hidden@bucket/x",
        "s3://AKIAKEY:hid/hidden@bucket/x",
        "s3://bucket/x?access_key=AKIAKEY&secret_key=hidden",
        "s3://bucket/x?endpoint=http://me:hidden@127.0.0.1:9000",
        "https://me:hidden@host/x",
    ],
)
def test_given_an_address_with_a_secret_then_it_is_refused_unsent_and_the_secret_not_told(field: str, uri: str) -> None:
    sets = [f"source.{name}=/mnt/x" for name in ("images", "captions", "instances")]
    sets = ["source.kind=coco", *sets, "detector={kind: zero_shot, model: a/b}"]
    out, sets = (uri, []) if field == "--out" else ("s3://bucket/x", [*sets, f"{field}={uri}"])

    with pytest.raises(UserError, match=f"^{field}: ") as refused:
        job(GRIT, out, sets)

    assert "hid" not in str(refused.value)


def test_given_addresses_without_secrets_then_they_go_as_they_are_though_nothing_is_there() -> None:
    sets = ["source.images=package://no_such_package/x", "source.captions=s3://bucket/c.json?region=eu-west-1"]

    sent = job(GRIT, "s3://bucket/x?endpoint=http://127.0.0.1:1", sets)

    assert shlex.split(sent.entrypoint)[-4:] == ["--set", sets[0], "--set", sets[1]]
    assert sent.metadata["out"] == "s3://bucket/x?endpoint=http://127.0.0.1:1"


def test_given_a_path_of_the_cluster_then_it_goes_as_it_is_though_this_machine_lacks_it(checkout: Path) -> None:
    sent = job(recipe(checkout, "/mnt/shared/pairs"), "/mnt/shared/x", ["clip.model=/mnt/models/clip"])

    assert sent.entrypoint.endswith("--set clip.model=/mnt/models/clip")


@pytest.mark.parametrize("path", ["../photos", "../../photos", "out"])
def test_given_a_recipe_that_names_a_path_of_this_machine_then_the_field_is_named(checkout: Path, path: str) -> None:
    (checkout / "data").mkdir()
    (checkout / "recipes/out").symlink_to(checkout / "data")

    with pytest.raises(UserError, match=r"^source.path: \S+ is a path of this machine, which the cluster does not see"):
        job(recipe(checkout, path), "/mnt/x", [])


@pytest.mark.parametrize(("path", "refused"), [("../../head.pt", True), ("/mnt/head.pt", False), ("head.json", False)])
def test_given_a_path_in_a_list_then_it_is_looked_at_as_well(checkout: Path, path: str, refused: bool) -> None:
    file = recipe(checkout, "/mnt/a")
    (checkout / "recipes/head.json").write_text("{}")
    heads = f"heads: [{{path: /mnt/other.pt, column: a}}, {{path: {path}, column: b}}]"
    file.write_text(file.read_text() + f"clip: {{model: ViT-B-32, pretrained: openai, {heads}}}\n")

    try:
        job(file, "/mnt/x", [])
    except UserError as error:
        assert refused and str(error).startswith("clip.heads.path: ")
    else:
        assert not refused


def test_given_a_set_path_that_is_relative_then_it_is_refused_unless_it_travels(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout / "recipes")
    mine = recipe(checkout, "/mnt/a")
    (checkout / "recipes/corpus").mkdir()
    (checkout / "recipes/corpus/pairs.jsonl").write_text("{}")

    travels = job(mine, "/mnt/x", ["source.path=corpus/pairs.jsonl"])
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    assert travels.entrypoint.endswith("--set source.path=recipes/corpus/pairs.jsonl")
    with pytest.raises(UserError, match=r"^source.path: "):
        job(mine, "/mnt/x", ["source.path=pairs.jsonl"])


def test_given_a_recipe_that_does_not_travel_then_it_is_told_where_to_put_it(checkout: Path) -> None:
    for elsewhere in (checkout / "mine.yaml", checkout.parent / "mine.yaml"):
        elsewhere.write_text("kind: pairs")
        with pytest.raises(UserError, match=rf"{elsewhere}: does not travel.*copy it.*below {checkout}/recipes"):
            job(elsewhere, "/mnt/x", [])


@pytest.mark.parametrize("folder", ["out", "my.recipes", "my_secrets"])
def test_given_a_recipe_in_a_folder_that_is_ignored_then_it_is_told_that_it_does_not_travel(
    checkout: Path, folder: str
) -> None:
    (checkout / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    file = checkout / "recipes" / folder / "g.yaml"
    file.parent.mkdir()
    file.write_text("kind: pairs\nsource: {path: /mnt/a}\n")

    with pytest.raises(UserError, match=rf"{file} does not travel to the cluster: it is left out by .rayignore or"):
        job(file, "/mnt/x", [])


def test_given_data_below_recipes_of_which_a_file_does_not_travel_then_the_field_and_the_file_are_told(
    checkout: Path,
) -> None:
    corpus = checkout / "recipes/corpus"
    corpus.mkdir()
    for name in ("captions.json", ".DS_Store", "read.py"):
        (corpus / name).write_text("{}")
    mine = recipe(checkout, "corpus")

    assert job(mine, "/mnt/x", []).size > 0
    (corpus / "1.jpg").write_bytes(b"x")

    with pytest.raises(UserError, match=rf"^source.path: {corpus}/1.jpg does not travel to the cluster: it is left"):
        job(mine, "/mnt/x", [])


def test_given_a_path_below_recipes_where_nothing_is_then_it_is_told(checkout: Path) -> None:
    with pytest.raises(UserError, match=r"^source.path: \S+/recipes/none.jsonl does not travel .*: it is not there;"):
        job(recipe(checkout, "none.jsonl"), "/mnt/x", [])


def test_the_demo_that_names_a_model_of_the_checkout_finds_it_in_the_package() -> None:
    assert "build recipes/demo/pairs.yaml" in job(ROOT / "recipes/demo/pairs.yaml", "/mnt/x", []).entrypoint


def test_given_a_gristmill_that_was_installed_without_its_checkout_then_nothing_could_travel(checkout: Path) -> None:
    (checkout / ".rayignore").unlink()

    with pytest.raises(UserError, match=rf"^submit: sends the code of a checkout, but {checkout} is none; clone"):
        job(recipe(checkout, "/mnt/a"), "/mnt/x", [])


def test_given_a_wrong_recipe_then_it_is_told_before_anything_travels(checkout: Path) -> None:
    with pytest.raises(UserError, match=r"there is no field sed; did you mean seed\?"):
        job(recipe(checkout, "/mnt/a"), "/mnt/x", ["sed=1"])


# -- the cluster


@pytest.mark.parametrize("address", [None, "127.0.0.1:8265", "auto", "ray://h:10001", "http://"])
def test_given_no_address_of_a_job_server_then_one_line_tells_its_form(
    monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)

    with pytest.raises(UserError, match=r"give that of the job server, as http://127.0.0.1:8265"):
        connect(address)


def test_given_that_nobody_answers_then_one_line_says_so_whatever_the_environment_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1")

    with pytest.raises(UserError, match=r"^--address http://127.0.0.1:9: no cluster answers there; start one"):
        connect("http://127.0.0.1:9")


def test_given_a_server_that_takes_connections_and_is_silent_then_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(submit, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(UserError, match=rf"^--address {address}: no cluster answers there; start one"):
            connect(address)
