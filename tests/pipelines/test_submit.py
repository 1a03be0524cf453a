"""What `gristmill submit` sends to a cluster, and what it refuses to send. No cluster is needed."""

from __future__ import annotations

import json
import shlex
import zipfile
from pathlib import Path

import pytest
from ray._private.runtime_env.packaging import create_package

from pipelines import submit
from pipelines.submit import ROOT, connect, job, measure
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
    (checkout / "recipes/out").symlink_to(checkout)

    with pytest.raises(UserError, match=r"^source.path: \S+ is a path of this machine, which the cluster does not see"):
        job(recipe(checkout, path), "/mnt/x", [])


@pytest.mark.parametrize(("path", "refused"), [("../../head.pt", True), ("/mnt/head.pt", False), ("head.pt", False)])
def test_given_a_path_in_a_list_then_it_is_looked_at_as_well(checkout: Path, path: str, refused: bool) -> None:
    file = recipe(checkout, "/mnt/a")
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


def test_given_a_gristmill_that_was_installed_without_its_checkout_then_nothing_could_travel(checkout: Path) -> None:
    (checkout / ".rayignore").unlink()

    with pytest.raises(UserError, match=rf"^submit: sends the code of a checkout, but {checkout} is none; clone"):
        job(recipe(checkout, "/mnt/a"), "/mnt/x", [])


def test_given_a_wrong_recipe_then_it_is_told_before_anything_travels(checkout: Path) -> None:
    with pytest.raises(UserError, match=r"there is no field sed; did you mean seed\?"):
        job(recipe(checkout, "/mnt/a"), "/mnt/x", ["sed=1"])


# -- the package


def packed(folder: Path, into: Path) -> dict[str, int]:
    create_package(str(folder), into / "package.zip", include_gitignore=True, excludes=[])
    with zipfile.ZipFile(into / "package.zip") as package:
        return {info.filename: info.file_size for info in package.infolist()}


def test_what_travels_is_code_models_and_recipes_and_nothing_else(tmp_path: Path) -> None:
    files = packed(ROOT, tmp_path)

    tops = {name.split("/")[0] for name in files}
    assert tops == {
        *("gristmill", "pipelines", "builders", "schemas", "models", "recipes", "deploy"),
        *("pyproject.toml", "constraints.txt", "README.md", "LICENSE"),
    }
    assert {"recipes/demo/grit.yaml", "recipes/demo/corpus/captions.json", "builders/grounding/words.yaml"} <= set(
        files
    )
    assert not [name for name in files if "__pycache__" in name]


def test_the_package_is_small_and_its_code_very_small(tmp_path: Path) -> None:
    files = packed(ROOT, tmp_path)

    assert sum(files.values()) < 24 * 2**20
    assert sum(size for name, size in files.items() if not name.startswith("models/")) < 2 * 2**20


@pytest.mark.parametrize(
    "path",
    [
        *("out/demo/data/000000.tar", "data/photos/1.jpg", ".venv/lib/x.py", "my-env/lib/x.py", ".git/objects/x"),
        *("photos.zip", "notes.md", "recipes/data/000000.tar", "recipes/index.parquet", "pipelines/__pycache__/a.pyc"),
        *("keys.env", ".env", "models/mine.py", "wandb/run.log"),
    ],
)
def test_data_outputs_environments_and_keys_never_travel(checkout: Path, path: str) -> None:
    (checkout / "recipes/mine.yaml").write_text("kind: pairs")
    file = checkout / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")

    files = packed(checkout, checkout.parent)

    assert set(files) - {"models/"} <= {"recipes/mine.yaml", "models/mine.py"} - {path}


def test_given_a_package_that_is_too_large_then_one_line_tells_its_size(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "PACKAGE_MAX", 3_000_000)
    (checkout / "recipes/photos.bin").write_bytes(bytes(4_000_000))

    with pytest.raises(UserError, match=r"4 MB would travel, more than 3; put data where the cluster sees it"):
        measure()


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
