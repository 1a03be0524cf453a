"""More of a job's runtime environment, from a file of the user's: checked, as whoever may list jobs reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from schemas.errors import UserError, first_line

_OURS = {
    "working_dir": "is what this command sends",
    "excludes": "would keep code or recipes from travelling; what stays here is named in .rayignore",
}
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:\w*keys?|tokens?|secrets?|pass|passwd|password|credentials?|auth\w*)(?:_|$)", re.IGNORECASE
)
_HARMLESS_NAMES = ("TOKENIZERS_PARALLELISM", "RAY_AUTH_MODE", "GOOGLE_APPLICATION_CREDENTIALS", "RAY_AUTH_TOKEN_PATH")
"""Of modes and of paths on the nodes."""
_SECRET = re.compile(
    r"\b(?:sk-[\w-]{16}|hf_\w{16}|gh[a-z]_\w{16}|github_pat_|glpat-|xox[a-z]-|AKIA\w{8}|ASIA\w{8}|AIza\w{16})"
    r"|bearer |-----BEGIN|://[^/\s]*:[^/\s]*@",
    re.IGNORECASE,
)
"""How tokens of OpenAI, Hugging Face, GitHub, GitLab, Slack, AWS and Google begin, PEM, and an address's password."""


def environment(file: Path | None) -> dict[str, Any]:
    """A runtime environment from YAML. Raises UserError where it is none, or would carry a secret or another folder."""
    if file is None:
        return {}
    where = f"--env {file}"
    try:
        told = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{where}: {' '.join(str(error).split())}; give a YAML file, as deploy/env_pip.yaml") from None
    if not isinstance(told, Mapping):
        raise UserError(f"{where}: is no mapping of fields, as deploy/env_pip.yaml")
    for name, why in _OURS.items():
        if name in told:
            raise UserError(f"{where}: {name} {why}; leave it out")
    if "env_vars" in told:
        _check_variables(told["env_vars"], where)
    for field, values in texts(told).items():
        if any(_SECRET.search(value) for value in values):
            raise _secret(where, field)
    _check_fields(told, where)
    return dict(told)


def texts(tree: object) -> dict[str, list[str]]:
    """The texts in what YAML holds, by their dotted fields; those of a list's parts together."""
    found: dict[str, list[str]] = {}
    left: list[tuple[str, object]] = [("", tree)]
    seen: set[int] = set()
    while left:
        name, value = left.pop()
        if isinstance(value, Mapping | list):
            if id(value) in seen:  # YAML's anchors may make a list a part of itself
                continue
            seen.add(id(value))
        if isinstance(value, Mapping):
            left += [(f"{name}.{key}" if name else str(key), part) for key, part in value.items()]
        elif isinstance(value, list):
            left += [(name, part) for part in value]
        elif isinstance(value, str):
            found.setdefault(name, []).append(value)
    return found


def _check_variables(variables: object, where: str) -> None:
    if not isinstance(variables, Mapping):
        raise UserError(
            f"{where}: env_vars: must be a mapping of names to texts, as env_vars: {{OMP_NUM_THREADS: '1'}}"
        )
    for name, value in variables.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise UserError(f"{where}: env_vars.{name}: name and value must be texts; put them in quotes")
        if _SECRET_NAME.search(name) and name not in _HARMLESS_NAMES:
            raise _secret(where, f"env_vars.{name}")


def _secret(where: str, field: str) -> UserError:
    return UserError(
        f"{where}: {field} would be told to whoever sees the job; set it in the environment of the cluster's nodes, "
        "and name it in the recipe (llm.api_key_env)"
    )


def _check_fields(told: Mapping[Any, Any], where: str) -> None:
    """What Ray itself finds wrong, before anything is sent."""
    from ray.runtime_env import RuntimeEnv

    try:
        RuntimeEnv(**told)
    except Exception as error:  # whatever a check of Ray's raises, the file is wrong
        raise UserError(f"{where}: {first_line(error)}; give a runtime environment, as deploy/env_pip.yaml") from None
