"""What of a checkout travels to a cluster, and what stays, whatever lies in its folders."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest
from ray._private.runtime_env.packaging import create_package

from pipelines import submit
from pipelines.submit import ROOT, packed
from schemas.errors import UserError

FOLDERS = ("gristmill", "pipelines", "builders", "schemas", "deploy", "models", "recipes")
FILES = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of another's, with nothing but the list of what travels, and a recipe."""
    folder = tmp_path / "checkout"
    (folder / "recipes").mkdir(parents=True)
    (folder / ".rayignore").write_text((ROOT / ".rayignore").read_text())
    (folder / "recipes/mine.yaml").write_text("kind: pairs")
    monkeypatch.setattr(submit, "ROOT", folder)
    return folder


def sizes(folder: Path, into: Path) -> dict[str, int]:
    """The package that Ray makes of a folder, by the ignore files in it alone."""
    create_package(str(folder), into / "package.zip", include_gitignore=True, excludes=[])
    with zipfile.ZipFile(into / "package.zip") as package:
        return {info.filename: info.file_size for info in package.infolist() if not info.is_dir()}


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """What of those folders and files git has."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout of git")
    listed = subprocess.run(["git", "ls-files", *FOLDERS, *FILES], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def trains_a_model(name: str) -> bool:
    return name.startswith("models/") and name.endswith((".py", ".txt"))


def test_all_of_gits_travels_but_what_trains_the_models(tracked: set[str], tmp_path: Path) -> None:
    assert {name for name in tracked if not trains_a_model(name)} - set(sizes(ROOT, tmp_path)) == set()


def test_of_a_checkout_of_git_nothing_else_travels(tracked: set[str], checkout: Path, tmp_path: Path) -> None:
    for name in tracked:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes(b"")

    assert set(sizes(checkout, tmp_path)) == {name for name in tracked if not trains_a_model(name)} | {
        "recipes/mine.yaml"
    }


def test_the_package_is_small_and_its_code_very_small(tmp_path: Path) -> None:
    files = sizes(ROOT, tmp_path)

    assert sum(files.values()) < 24 * 2**20
    assert sum(size for name, size in files.items() if not name.startswith("models/")) < 2 * 2**20


STRANGERS = (
    *(".env", "keys.env", "prod.env", "token.txt", "api_token", "id_rsa", "a.jpg", "a.tar", "a.parquet", "a.zip"),
    *("photos/a.jpg", "env/lib/x", "venv/bin/python", "myenv/bin/python", "py311/bin/python", ".venv/lib/x.py"),
    *("env/pyvenv.cfg", "photos/b.PNG", "data.v1/a.json", "__pycache__/a.pyc", ".git/config", "wandb/run.log"),
)


@pytest.mark.parametrize(
    "folder",
    ["", *FOLDERS, "recipes/demo", "builders/filters", "builders/grounding/tasks", "builders/instruct/prompts/x"]
    + ["builders/instruct/prompts/conversation", "models/scene_clip", "models/caption_parser/pipeline/parser"],
)
def test_what_else_is_dropped_into_a_folder_of_the_checkout_stays(checkout: Path, tmp_path: Path, folder: str) -> None:
    for name in STRANGERS:
        file = checkout / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")

    assert set(sizes(checkout, tmp_path)) == {"recipes/mine.yaml"}


@pytest.mark.parametrize(
    "path",
    ["out/demo/a.json", "data/a.py", "my-env/lib/x.py", "notes.md", "models/mine.py", "models/mine/model.json"]
    + ["ray_cluster.yaml", "recipes/my_secrets.yaml", "recipes/keys.json", "recipes/credentials.json"],
)
def test_data_outputs_environments_and_keys_never_travel(checkout: Path, tmp_path: Path, path: str) -> None:
    (checkout / path).parent.mkdir(parents=True, exist_ok=True)
    (checkout / path).write_bytes(b"x")

    assert set(sizes(checkout, tmp_path)) == {"recipes/mine.yaml"}


@pytest.mark.parametrize("path", ["a.yaml", "mine/a.yml", "mine/deeper/a.jsonl", "mine/a.txt", "mine/a.csv", "a.md"])
def test_recipes_of_a_users_own_travel_with_small_texts_in_folders_below_recipes(
    checkout: Path, tmp_path: Path, path: str
) -> None:
    file = checkout / "recipes" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")

    assert set(sizes(checkout, tmp_path)) == {"recipes/mine.yaml", f"recipes/{path}"}


def test_the_package_that_is_measured_holds_what_rays_own_does(checkout: Path, tmp_path: Path) -> None:
    names, size = packed()

    assert names == set(sizes(checkout, tmp_path)) == {"recipes/mine.yaml"}
    assert size == (tmp_path / "package.zip").stat().st_size


def test_given_a_package_that_is_too_large_then_one_line_tells_its_size(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "PACKAGE_MAX", 3_000_000)
    (checkout / "recipes/words.txt").write_bytes(bytes(4_000_000))

    with pytest.raises(UserError, match=r"4 MB would travel, more than 3; put data where the cluster sees it"):
        packed()


def test_the_largest_package_is_one_that_the_job_server_takes() -> None:
    from ray._private.ray_constants import DASHBOARD_CLIENT_MAX_SIZE

    assert submit.PACKAGE_MAX <= DASHBOARD_CLIENT_MAX_SIZE
