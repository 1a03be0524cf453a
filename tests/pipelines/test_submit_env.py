"""What of a runtime environment of the user's goes to a cluster, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.submit_env import environment
from schemas.errors import UserError

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@pytest.fixture
def env(tmp_path: Path) -> Path:
    return tmp_path / "env.yaml"


def refusal(file: Path, text: str) -> str:
    file.write_text(text)
    with pytest.raises(UserError) as raised:
        environment(file)
    return str(raised.value)


def test_without_a_file_there_is_none() -> None:
    assert environment(None) == {}


@pytest.mark.parametrize(("name", "kind"), [("env_pip.yaml", "pip"), ("env_uv.yaml", "uv")])
def test_an_environment_of_packages_is_taken_as_it_stands(name: str, kind: str) -> None:
    told = environment(DEPLOY / name)

    assert set(told) == {kind, "config"}
    assert told[kind]["packages"][0] == "-c ${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}/constraints.txt"


@pytest.mark.parametrize(
    "text",
    [
        "env_vars: {OMP_NUM_THREADS: '4', HF_HOME: /mnt/hf_home/hf_cache, PYTHONPATH: /mnt/desk-top/task-runner}",
        "env_vars: {}",
        "env_vars: {TOKENIZERS_PARALLELISM: 'false', RAY_AUTH_MODE: token, BYPASS_CACHE: '1', COMPASS: north}",
        "env_vars: {GOOGLE_APPLICATION_CREDENTIALS: /etc/gcp.json}",
        "pip: ['git+ssh://git@github.com/owner/name.git', sk-video]",
        "pip: ['gristmill[build] @ https://example.org/gristmill.whl']",
    ],
)
def test_what_is_no_secret_goes(env: Path, text: str) -> None:
    env.write_text(text)

    assert environment(env)


def test_a_list_that_holds_itself_is_told_and_not_followed_for_ever(env: Path) -> None:
    assert "give a runtime environment" in refusal(env, "{pip: [a], config: &again [*again]}")


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "db_password", "OPENAI_AUTH", "AUTHORIZATION", "DB_PASS"],
)
def test_given_a_variable_that_is_named_as_a_secret_then_it_is_refused_and_its_value_not_told(
    env: Path, name: str
) -> None:
    said = refusal(env, f"env_vars: {{{name}: hunter2}}")

    assert f"env_vars.{name} would be told to whoever sees the job" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "value",
    [
        *(
            "sk-LEAKLEAKLEAKLEAK",
            "sk-proj-hunter2hunter2",
            "hf_hunter2hunter2hunter2",
            "ghp_hunter2hunter2hunter2",
            "AKIAHUNTER2HUNTER2",
        ),
        *("Bearer hunter2", "postgres://me:hunter2@host/db", "-----BEGIN PRIVATE hunter2", "x=xoxb-hunter2"),
    ],
)
@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("env_vars.PLAIN", "env_vars: {{PLAIN: '{}'}}"),
        ("pip.packages", "pip: {{packages: [requests, '{}']}}"),
        ("uv.uv_pip_install_options", "uv: {{packages: [a], uv_pip_install_options: ['{}']}}"),
    ],
    ids=lambda part: part.partition(":")[0],
)
def test_given_a_value_that_looks_like_a_secret_then_its_field_is_told_and_it_is_not(
    env: Path, field: str, text: str, value: str
) -> None:
    said = refusal(env, text.format(value))

    assert f": {field} would be told to whoever sees the job" in said
    assert "hunter2" not in said.lower()
    assert "LEAK" not in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- pip", "is no mapping of fields"),
        ("{", "give a YAML file"),
        ("working_dir: /x", "working_dir is what this command sends"),
        ("excludes: [recipes]", "excludes would keep code or recipes from travelling"),
        ("env_vars: 5", "env_vars: must be a mapping of names to texts"),
        ("env_vars:", "env_vars: must be a mapping of names to texts"),
        ("env_vars: [A]", "env_vars: must be a mapping of names to texts"),
        ("env_vars: {A: 5}", "env_vars.A: name and value must be texts; put them in quotes"),
        ("env_vars: {5: 6}", "env_vars.5: name and value must be texts"),
        ("5: 6", "give a runtime environment"),
        ("pip: 5", "give a runtime environment"),
        ("{pip: [a], conda: b}", "give a runtime environment"),
    ],
)
def test_given_a_wrong_environment_then_one_line_names_the_file(env: Path, text: str, told: str) -> None:
    said = refusal(env, text)

    assert said.startswith(f"--env {env}: ")
    assert told in said
    assert "\n" not in said


def test_given_no_such_file_then_one_line_says_so(env: Path) -> None:
    with pytest.raises(UserError, match=rf"^--env {env}: .*No such file.*; give a YAML file"):
        environment(env)
