"""Where a build's Ray does not start: one line, and no traceback."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.run import ray_session
from schemas.errors import BuildError, UserError

SLOW = "The current node timed out during startup.\nThis could happen because the GCS has become overloaded."
"""What Ray says on a loaded machine, as a plain Exception."""


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """A process without Ray, whose start ends with the error of the test. Returns what it was started with."""
    started: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        started.append(options)
        raise request.param

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr("ray.shutdown", lambda: pytest.fail("what never started is shut down"))
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # restored afterwards
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return started


ANY = [Exception(SLOW), RuntimeError("no port"), TimeoutError(""), OSError(28, "No space left"), ValueError("odd")]


@pytest.mark.parametrize("fails", ANY, indirect=True, ids=lambda error: type(error).__name__)
def test_given_a_machine_on_which_ray_does_not_start_then_one_line_says_so(fails: list[dict[str, Any]]) -> None:
    with pytest.raises(BuildError) as raised, ray_session():
        pytest.fail("there is no session")

    told = str(raised.value)
    assert told.startswith("Ray could not start: ") and "\n" not in told
    assert told.endswith("; try again when the machine has less to do, or set RAY_ADDRESS to a cluster that runs")
    assert [options["address"] for options in fails] == ["local"]


@pytest.mark.parametrize("fails", [Exception(SLOW)], indirect=True, ids=["slow"])
def test_given_rays_own_words_then_the_line_has_them(fails: list[dict[str, Any]]) -> None:
    with pytest.raises(BuildError, match="start: Exception: The current node timed out .* This could"), ray_session():
        pytest.fail("there is no session")


@pytest.mark.parametrize("fails", ANY, indirect=True, ids=lambda error: type(error).__name__)
def test_given_a_cluster_that_cannot_be_joined_then_the_line_names_its_address(
    fails: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    with pytest.raises(BuildError) as raised, ray_session():
        pytest.fail("there is no session")

    told = str(raised.value)
    assert told.startswith("RAY_ADDRESS 10.0.0.7:6379: Ray could not join it: ") and "\n" not in told
    assert told.endswith(", or unset RAY_ADDRESS")
    assert [options["address"] for options in fails] == ["10.0.0.7:6379"]


@pytest.mark.parametrize("fails", [ConnectionError("Could not find any\nhint")], indirect=True, ids=["absent"])
def test_given_an_address_without_a_cluster_then_the_command_is_wrong(
    fails: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    with pytest.raises(UserError) as raised, ray_session():
        pytest.fail("there is no session")
    assert str(raised.value) == "RAY_ADDRESS 10.0.0.7:6379: Could not find any; start the cluster, or unset RAY_ADDRESS"
