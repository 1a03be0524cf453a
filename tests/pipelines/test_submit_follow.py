"""How a submitted job is followed to its end, over connections that break. No cluster: a stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus

from pipelines import submit_follow
from pipelines.submit_follow import follow
from schemas.errors import BuildError

RUNNING, SUCCEEDED = JobStatus.RUNNING, JobStatus.SUCCEEDED
DOWN = requests.ConnectionError("HTTPConnectionPool(host='127.0.0.1', port=8265): Max retries exceeded")
PROXY = RuntimeError("Request failed with status code 502: <html>Bad gateway</html>.")


@dataclass
class Server:
    """A job server that hands out a log in parts, each list of them one connection, and answers with a status or an
    error; the last of either for ever."""

    connections: list[Sequence[str]]
    answers: list[JobStatus | Exception]
    code: int | None = None
    message: str = ""

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        for part in self.connections.pop(0) if len(self.connections) > 1 else self.connections[0]:
            if part == "CUT":
                raise RuntimeError("WebSocket connection closed unexpectedly")
            yield part

    def get_job_info(self, job_id: str) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(status=answer, driver_exit_code=self.code, message=self.message)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit_follow, "_AGAIN_S", 0.0)


@pytest.mark.parametrize("code", [1, 2])
def test_the_exit_code_is_that_of_the_build(code: int) -> None:
    assert follow(Server([["a"]], [JobStatus.FAILED], code), "job", lambda _: None) == code
    assert follow(Server([["a"]], [SUCCEEDED], 0), "job", lambda _: None) == 0


def test_given_a_connection_that_breaks_then_the_log_is_told_whole_and_once() -> None:
    said: list[str] = []
    parts: list[Sequence[str]] = [["one\n", "tw", "CUT"], ["one\ntwo", "\nthree\n"]]
    server = Server(parts, [RUNNING, SUCCEEDED])

    assert follow(server, "job", said.append) == 0

    assert "".join(said) == "one\ntwo\nthree\n"


def test_given_a_connection_that_breaks_as_the_job_ends_then_the_end_of_its_log_is_told_too() -> None:
    said: list[str] = []

    assert follow(Server([["one\n", "CUT"], ["one\ntwo\n"]], [SUCCEEDED]), "job", said.append) == 0

    assert "".join(said) == "one\ntwo\n"


@pytest.mark.parametrize("error", [DOWN, PROXY, ValueError("half an answer"), AuthenticationError("401")])
def test_given_a_server_that_cannot_be_asked_for_a_while_then_the_job_is_followed_to_its_end(error: Exception) -> None:
    said: list[str] = []
    gap = [error] * (submit_follow._TRIES - 1)
    parts: list[Sequence[str]] = [["one\n", "CUT"], *([["CUT"]] * 2 * len(gap)), ["one\ntwo\n"]]
    server = Server(parts, [*gap, RUNNING, *gap, SUCCEEDED])  # two gaps, each as long as may be

    assert follow(server, "job", said.append) == 0

    assert "".join(said) == "one\ntwo\n"


def test_given_a_server_that_answers_no_more_then_one_line_tells_how_to_see_the_job_that_may_go_on() -> None:
    server = Server([["one\n", "CUT"], ["CUT"]], [RUNNING, DOWN])

    with pytest.raises(BuildError) as raised:
        follow(server, "raysubmit_1", lambda _: None, " --address http://127.0.0.1:8265")

    assert str(raised.value) == (
        "the job server does not answer any more, but the job raysubmit_1 may go on; its log, when the server is back: "
        "ray job logs --follow raysubmit_1 --address http://127.0.0.1:8265"
    )


def test_given_a_job_that_was_stopped_then_it_says_how_to_go_on() -> None:
    with pytest.raises(BuildError, match=r"was stopped; what is committed stays. Submit the same again"):
        follow(Server([[]], [JobStatus.STOPPED]), "job", lambda _: None)


def test_given_a_job_that_could_not_start_then_one_line_says_why() -> None:
    server = Server([[]], [JobStatus.FAILED], message="runtime_env setup failed:\n  no torch")

    with pytest.raises(BuildError, match=r"^the job job did not run: runtime_env setup failed: no torch$"):
        follow(server, "job", lambda _: None)
