"""A build that asks a language model, killed at random moments: the server tells what was asked for again."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.shards.store import Store
from builders.shards.verify import verify
from tests.builders.llm.replies import MODEL, Reply, answer
from tests.builders.llm.server import Api, Seen, serve
from tests.faults.processes import TIME_OUT_S, Build, wait_for
from tests.pipelines.milling import data_files

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

INPUTS, PLACES = 300, 8
TALK = "Question:\nWhat is it?\n===\nAnswer:\nA drawn scene."


def slow(seen: Seen) -> Reply:
    """Takes 20 to 120 ms, by the request."""
    return answer(TALK).after(0.02 + seen.raw[-20] % 10 / 100)


def recipe_in(folder: Path, api: Api) -> Path:
    made: dict[str, Any] = {
        "kind": "llava",
        "source": {"kind": "scenes", "count": INPUTS, "size": 48},
        "llm": {"model": MODEL, "base_url": api.base_url, "concurrency": PLACES},
        "weights": {"conversation": 1, "detail": 0, "complex": 0},
        "output": {"unit": 40},
    }
    path = folder / "llava.yaml"
    path.write_text(yaml.safe_dump(made))
    return path


def extra(api: Api) -> int:
    """Requests beyond the first of each kind."""
    return sum(times - 1 for times in Counter(seen.raw for seen in list(api.requests)).values())


@pytest.mark.consumers  # minutes: in make test-all
def test_given_builds_killed_at_random_moments_then_each_kill_costs_at_most_the_places_in_flight(
    tmp_path: Path,
) -> None:
    chance = random.Random()
    with serve(slow) as api:
        recipe, out = recipe_in(tmp_path, api), tmp_path / "out"
        for number in range(3):
            at = len(api.requests) + chance.randrange(1, 60)
            before = extra(api)
            with Build(recipe, out) as build:
                if number == 2:
                    assert build.ends() == 0, build.said()
                else:
                    wait_for(lambda at=at: len(api.requests) >= at, TIME_OUT_S, f"request {at}")  # type: ignore[misc]
                    build.kill_all() if number % 2 else build.kill_driver()
            print(f"killed at request {at}: {extra(api) - before} asked again")
            assert extra(api) - before <= PLACES
        assert verify(Store(str(out))).problems == []
        whole = len(api.requests)
        with Build(recipe, tmp_path / "whole", "--set", f"llm.ledger={out}/ledger") as build:
            assert build.ends() == 0, build.said()
        assert len(api.requests) == whole, "all answers were in the ledger"
    assert data_files(out) == data_files(tmp_path / "whole")


def test_given_the_asking_process_killed_then_it_is_started_again_with_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0815")
    with serve(slow) as api:
        recipe, out = recipe_in(tmp_path, api), tmp_path / "out"
        with Build(recipe, out) as build:
            wait_for(lambda: len(api.requests) >= 60, TIME_OUT_S, "60 requests")
            (pid,) = build.find("AskingWorker")
            os.kill(pid, signal.SIGKILL)
            assert build.ends() == 0, build.said()
        assert extra(api) <= PLACES
        assert {seen.headers["authorization"] for seen in api.requests} == {"Bearer sk-test-0815"}
        assert verify(Store(str(out))).problems == []


def test_given_ctrl_c_then_no_answer_is_lost(tmp_path: Path) -> None:
    with serve(slow) as api:
        recipe, out = recipe_in(tmp_path, api), tmp_path / "out"
        with Build(recipe, out) as build:
            wait_for(lambda: len(api.requests) >= 50, TIME_OUT_S, "50 requests")
            build.interrupt()
            assert build.ends() == 1
            assert "interrupted" in build.said()
        with Build(recipe, out) as build:
            assert build.ends() == 0, build.said()
        assert extra(api) == 0
