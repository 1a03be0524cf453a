"""A pass over a Batch API is killed with SIGKILL, at every call and between them, and run again: all is paid once."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from builders.llm import batch
from builders.llm.request import Request
from tests.builders.llm.batch_pass import USD, Pass, killed_at, request_of
from tests.builders.llm.batch_server import Call, Made, Reply, Site, serve

pytestmark = pytest.mark.faults

IMPORTED_LATE = ("httpcore2", "truststore", "anyio.abc", "pandas", "openai.resources.batches", "openai.resources.files")
"""What a pass imports when it first asks; a quarter of a second for each process that is killed."""
REQUESTS = [request_of(number) for number in range(7)]
"""Three files, of 3, 3 and 1 requests."""


@pytest.fixture(autouse=True)
def files_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST_REQUESTS", 3)


Start = Callable[[int, Path, Site, list[Request]], BaseProcess]


@pytest.fixture(scope="module")
def start() -> Start:
    """Starts `killed_at` in a process that is forked from one without threads, where everything is imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "tests.builders.llm.batch_pass", *IMPORTED_LATE])

    def run(event: int, folder: Path, site: Site, requests: list[Request]) -> BaseProcess:
        process = context.Process(target=killed_at, args=(event, folder, site.base_url, requests))
        process.start()
        return process

    return run


def ends(process: BaseProcess) -> int:
    """How a process ended, which is waited for."""
    process.join(60)
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def kills(process: list[BaseProcess], at: int) -> Callable[[Call], Reply | None]:
    """Kills who makes call number `at`, which is not answered."""

    def kill(call: Call) -> Reply | None:
        if call.number != at:
            return None
        pid = process[0].pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        return Reply(cut=True)

    return kill


def quickly(made: Made) -> Sequence[str]:
    """The statuses of a batch: the first of all takes one more."""
    return ("validating", *["in_progress"] * (made.id == "batch_0"), "completed")


def check_paid_once(site: Site, folder: Path, requests: list[Request] = REQUESTS) -> None:
    """After a kill: the pass, run again, brings everything to its end, and no request was asked twice."""
    files = math.ceil(len(requests) / 3)
    again = Pass(folder, site.base_url, requests).run()
    assert len(again.answers()) == len(requests)
    assert len(site.marks) == len(set(site.marks)) == files
    assert sorted(site.asked.values()) == [1] * len(requests)
    assert sorted(entry.hash for entry in again.entries()) == sorted(request.hash for request in requests)
    assert again.usd() == pytest.approx(len(requests) * USD)
    assert again.notes() == ["done"] * files
    calls = len(site.calls)
    again.run()
    assert len(site.calls) == calls, "what is answered asks no server"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_call_before_or_after_it_is_done(moment: str, tmp_path: Path, start: Start) -> None:
    with serve() as site:
        site.course = quickly
        Pass(tmp_path / "whole", site.base_url, REQUESTS).run()
    assert len(site.calls) == 3 * 3 + 1 + 3 * 2  # search, upload and create; a look; a look and its rows
    for number in range(len(site.calls)):
        folder = tmp_path / str(number)
        with serve() as site:
            site.course = quickly
            process: list[BaseProcess] = []
            setattr(site, moment, kills(process, number))
            process.append(start(-1, folder, site, REQUESTS))
            assert ends(process[0]) == -signal.SIGKILL, number
            setattr(site, moment, lambda call: None)
            check_paid_once(site, folder)


def test_killed_between_any_two_things_that_it_writes(tmp_path: Path, start: Start) -> None:
    two_files = REQUESTS[:4]
    for event in range(1_000):
        folder = tmp_path / str(event)
        with serve() as site:
            site.course = quickly
            code = ends(start(event, folder, site, two_files))
            if code == 0:
                break
            assert code == -signal.SIGKILL
            check_paid_once(site, folder, two_files)
    assert event >= 2 * 10  # a file, its batch, its rows and that it is done: written, there; two of them removed


def test_killed_again_and_again(tmp_path: Path, start: Start) -> None:
    with serve() as site:
        codes = [ends(start(event, tmp_path, site, REQUESTS)) for event in range(2, 30, 3)]
        assert codes[:5] == [-signal.SIGKILL] * 5
        check_paid_once(site, tmp_path)


def test_a_batch_that_the_list_does_not_show_at_once_is_still_found(tmp_path: Path, start: Start) -> None:
    with serve() as site:
        site.lag = 3
        process: list[BaseProcess] = []
        site.after = kills(process, 2)  # the call that makes the first batch
        process.append(start(-1, tmp_path, site, REQUESTS))
        assert ends(process[0]) == -signal.SIGKILL
        assert len(site.batches) == 1
        site.after = lambda call: None
        check_paid_once(site, tmp_path)


def test_a_file_that_was_noted_and_never_submitted_is_forgotten_once_others_answered_it(
    tmp_path: Path, start: Start
) -> None:
    with serve() as site:
        process: list[BaseProcess] = []
        site.before = kills(process, 1)  # the first upload
        process.append(start(-1, tmp_path, site, REQUESTS))
        assert ends(process[0]) == -signal.SIGKILL
        site.before = lambda call: None
        other = Pass(tmp_path, site.base_url, REQUESTS[::-1]).run("c" * 64)
        assert other.usd("c" * 64) == pytest.approx(len(REQUESTS) * USD)
        assert other.notes() == ["jsonl"]
        again = Pass(tmp_path, site.base_url, REQUESTS).run()
        assert len(site.batches) == 3 and again.usd() == 0
        assert again.notes() == []
