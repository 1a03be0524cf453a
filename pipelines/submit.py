"""A build as a job of a cluster: what travels, and what the driver runs there.

The job server of Ray takes it all: the driver runs on the cluster, and goes on when this machine is switched off.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import tempfile
import zipfile
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builders.shards.store import dataset_place
from builders.uri import place_of
from pipelines.submit_env import environment, texts
from pipelines.submit_follow import Watched
from schemas.errors import BuildError, UserError
from schemas.load import load_recipe, parse_yaml
from schemas.paths import addresses, local_paths
from schemas.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
"""The checkout, which is what travels: the part of it that .rayignore leaves."""
TRAVELS = (("recipes",), ("models",))
"""Its folders whose files a recipe may name."""
PACKAGE_MAX = 100_000_000
"""Bytes of a package, which each node gets: code, models and recipes are a quarter. Ray's job server takes 100 MiB."""
ANSWER_S = 20.0
"""In which a job server begins to answer."""


class Jobs(Watched, Protocol):
    """What is needed of Ray's JobSubmissionClient."""

    def submit_job(self, *, entrypoint: str, runtime_env: dict[str, Any], metadata: dict[str, str]) -> str: ...


@dataclass(frozen=True)
class Job:
    """What is submitted. `size`: bytes of the package that travels."""

    entrypoint: str
    runtime_env: dict[str, Any]
    metadata: dict[str, str]
    size: int


def job(recipe: Path, out: str, sets: Sequence[str], flags: Sequence[str] = (), env: Path | None = None) -> Job:
    """The job of `build RECIPE --out OUT`. `env`: a file with more of a runtime environment, its pip or uv, say.

    Raises UserError where the recipe is wrong, or names what the cluster will not see.
    """
    if not (ROOT / ".rayignore").is_file():
        raise UserError(f"submit: sends the code of a checkout, but {ROOT} is none; clone gristmill, and run it there")
    place = _inside(recipe)
    if place is None or place.parts[:1] != ("recipes",):
        raise UserError(f"{recipe}: does not travel to the cluster; copy it, with what it names, below {ROOT}/recipes")
    checked = load_recipe(recipe, sets)
    _check_out(out)
    for field, uri in addresses(checked):
        if not uri.startswith("package://"):  # the package need not be here
            place_of(uri, field)
    travels, size = packed()
    _check_travels(str(recipe), place, travels)
    written = _written(recipe, sets)
    for field, path in local_paths(checked):
        _check_path(field, path, written.get(field, ()), travels)
    command = ["python", "-m", "pipelines", "build", str(place), "--out", out]
    command += [part for item in sets for part in ("--set", _sent(item, checked))]
    with quiet():
        runtime_env = {**environment(env), "working_dir": str(ROOT)}
    return Job(shlex.join([*command, *flags]), runtime_env, {"recipe": str(place), "out": out}, size)


def _inside(path: Path) -> Path | None:
    """Where a path lies below the checkout; None where it does not."""
    resolved = path.expanduser().resolve()
    return resolved.relative_to(ROOT) if resolved.is_relative_to(ROOT) else None


def _check_out(out: str) -> None:
    if "://" not in out and not Path(out).is_absolute():
        raise UserError(
            f"--out {out}: is relative, and would lie in the job's own copy of the code, which goes with the job; "
            "give s3://…, or the absolute path of a folder that every node sees"
        )
    dataset_place(out)


def _written(recipe: Path, sets: Sequence[str]) -> dict[str, list[str]]:
    """The fields as the user wrote them, dotted, before any was made absolute; those of a list's parts together."""
    found = texts(parse_yaml(recipe.read_text("utf-8"), str(recipe)))
    return found | {item.partition("=")[0].strip(): [item.partition("=")[2].strip()] for item in sets}


def _check_path(field: str, path: Path, written: Sequence[str], travels: Set[str]) -> None:
    """A path is of the cluster where it is absolute as written, and may travel where it lies in TRAVELS."""
    place = _inside(path)
    if place is not None and place.parts[:1] in TRAVELS:
        _check_travels(field, place, travels)
        return
    if place is not None or any(path.name == Path(text).name and not Path(text).is_absolute() for text in written):
        raise UserError(
            f"{field}: {path} is a path of this machine, which the cluster does not see; give s3://…, "
            "or the absolute path of a folder that every node sees"
        )


def _check_travels(field: str, place: Path, travels: Set[str]) -> None:
    """Raises UserError for a file that is not in the package, and for a folder of which one is not."""
    left = next((file for file in _files(place) if file.as_posix() not in travels), None)
    if left is not None:
        why = "is left out by .rayignore or .gitignore" if (ROOT / left).exists() else "is not there"
        raise UserError(
            f"{field}: {ROOT / left} does not travel to the cluster: it {why}; what travels are recipes and small "
            "texts in folders below recipes/, and data have to be where every node sees them"
        )


def _files(place: Path) -> list[Path]:
    """The files that a place of the checkout stands for, relative to it; code and hidden files are no data."""
    if not (ROOT / place).is_dir():
        return [place]
    found = sorted(file.relative_to(ROOT) for file in (ROOT / place).rglob("*") if file.is_file())
    return [file for file in found if file.suffix not in (".py", ".pyc") and not file.name.startswith(".")]


def _sent(item: str, recipe: Recipe) -> str:
    """A `--set` as the driver gets it, which stands in the copy of the checkout."""
    field = item.partition("=")[0].strip()
    path = dict(local_paths(recipe)).get(field)
    place = _inside(path) if path else None
    return item if place is None else f"{field}={place}"


def packed() -> tuple[set[str], int]:
    """The files that travel, relative to the checkout, and the size of their package. Raises UserError where it is
    too large."""
    from ray._private.ray_constants import get_runtime_env_default_excludes
    from ray._private.runtime_env.packaging import create_package

    with tempfile.TemporaryDirectory() as folder, quiet():
        package = Path(folder) / "package.zip"
        create_package(str(ROOT), package, include_gitignore=True, excludes=get_runtime_env_default_excludes())
        size = package.stat().st_size
        with zipfile.ZipFile(package) as opened:
            names = set(opened.namelist())
    if size > PACKAGE_MAX:
        raise UserError(
            f"{ROOT}: {size / 1e6:,.0f} MB would travel, more than {PACKAGE_MAX / 1e6:,.0f}; put data where the "
            "cluster sees it, and name what else is large in .rayignore"
        )
    return names, size


def connect(address: str | None) -> Jobs:
    """The job server at `address`, or at RAY_API_SERVER_ADDRESS. Raises UserError where none answers, or refuses us."""
    address = address or os.environ.get("RAY_API_SERVER_ADDRESS") or ""
    if not re.fullmatch(r"https?://[^/\s]+/?", address):
        raise UserError(f"--address {address or '(not given)'}: give that of the job server, as http://127.0.0.1:8265")
    import requests
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    try:
        requests.get(address, timeout=ANSWER_S, allow_redirects=False, stream=True).close()  # Ray's would wait for ever
        with quiet(), _only(address):
            client: Jobs = JobSubmissionClient(address)
    except AuthenticationError:
        raise UserError(
            f"--address {address}: the cluster does not take our token; export RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN_PATH=FILE (or RAY_AUTH_TOKEN) with the token that the cluster was started with"
        ) from None
    except (ConnectionError, requests.RequestException, RuntimeError, ValueError):
        raise UserError(
            f"--address {address}: no cluster answers there; start one (ray up, make cluster-demo), "
            "or forward its port (ray dashboard ray_cluster.yaml)"
        ) from None
    return client


@contextlib.contextmanager
def _only(address: str) -> Iterator[None]:
    """Ray takes what the environment says for more than what it is told."""
    names = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ[names[0]] = address
    try:
        yield
    finally:
        del os.environ[names[0]]
        os.environ.update(before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence for Ray's clients, which tell each file that they look at."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def submit(jobs: Jobs, job: Job) -> str:
    """Sends the package, and starts the driver. Returns the job's id. Raises BuildError where the cluster refuses."""
    try:
        with quiet():
            return jobs.submit_job(entrypoint=job.entrypoint, runtime_env=job.runtime_env, metadata=job.metadata)
    except (RuntimeError, OSError, ValueError) as error:
        raise BuildError(f"the cluster did not take the job: {' '.join(str(error).split())[:500]}") from None
