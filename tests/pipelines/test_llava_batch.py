"""LLaVA's instructions through a Batch API: asked before the build, paid at half the price, the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.llm import batch
from builders.shards.store import Store
from builders.shards.verify import verify
from tests.builders.llm.batch_server import COURSE, KEY, Row, Site, answered, ended, refused, serve
from tests.builders.llm.replies import answer
from tests.builders.llm.server import serve as serve_chat
from tests.pipelines.milling import data_files, losses, mill, table

pytestmark = pytest.mark.ray

TALK = "Question:\nWhat is it?\n===\nAnswer:\nA drawn scene."


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(batch, "FIRST_POLL", 0.01)


def talks(request: dict[str, Any], nth: int) -> Row:
    return answered(request, TALK)


def recipe_for(folder: Path, base_url: str, **llm: Any) -> Path:
    recipe = {
        "kind": "llava",
        "source": {"kind": "scenes", "count": 24, "size": 64},
        "llm": {
            "kind": "openai_batch",
            "model": "mill-1",
            "base_url": base_url,
            "prices": {"mill-1": {"input": 10, "output": 30}},
            "parameters": {"max_tokens": 50},
            "retries": 1,
            **llm,
        },
        "weights": {"conversation": 1, "detail": 0, "complex": 0},
        "output": {"unit": 8},
        "max_failed": 1,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def test_all_units_are_asked_in_one_batch_before_the_build(tmp_path: Path, out: Path) -> None:
    with serve() as site:
        site.row = talks
        manifest = mill(recipe_for(tmp_path, site.base_url), out)
        again = mill(recipe_for(tmp_path, site.base_url), tmp_path / "again", f"llm.ledger={out}/ledger")
    assert verify(Store(str(out))).problems == []
    assert len(site.batches) == 1
    asked = len(next(iter(site.batches.values())).requests)
    assert manifest["samples"] == 24
    assert manifest["llm"]["usd"] == pytest.approx(asked * (100 * 10 + 10 * 30) / 1e6 / 2)
    assert manifest["llm"]["last_run"]["requests"] == asked
    assert again["llm"]["last_run"]["requests"] == 0
    assert not list((out / "ledger/batches").rglob("*.gz")), "what was asked is not kept twice"


def test_a_build_that_was_begun_one_by_one_is_ended_in_batches(tmp_path: Path, out: Path) -> None:
    asked: list[str] = []

    def until_ten(seen: Any) -> Any:
        asked.append(seen.prompt)
        return answer(TALK) if len(asked) <= 10 else answer("no label at all")

    with serve_chat(until_ten) as api:
        first = mill(recipe_for(tmp_path, api.base_url, kind="openai", concurrency=1), out)
    with serve() as site:
        site.row = talks
        second = mill(recipe_for(tmp_path, site.base_url), tmp_path / "again", f"llm.ledger={out}/ledger")
    assert not site.batches, "every request was answered before, if not well"
    assert first["content_hash"] == second["content_hash"]
    assert data_files(out) == data_files(tmp_path / "again")


def test_what_no_batch_answers_has_failed_and_is_asked_for_again_alone(tmp_path: Path, out: Path) -> None:
    def row(request: dict[str, Any], nth: int) -> Row:
        number = sorted(all_of(site)).index(request["custom_id"])
        if number == 0:
            return refused(request, 400, "invalid_prompt")
        return ended(request) if number == 1 else talks(request, nth)

    with serve() as site:
        site.row = row
        manifest = mill(recipe_for(tmp_path, site.base_url), out)
        reasons = manifest["funnel"]["inputs"]["reasons"]
        assert reasons.keys() == {"failed/ask/not_answered"}
        assert "select outcome, detail from ledger" in table(out, "rejects", "detail")[0][0]
        assert set(losses(out).values()) == {("failed", "ask", "not_answered")}
        rows = sum(len(made.requests) for made in site.batches.values())
        assert manifest["llm"]["requests"] == rows, "what was looked for in vain was not asked"
        before = len(site.batches)
        site.row = talks
        again = mill(recipe_for(tmp_path, site.base_url), out, retry_failed=True)
        later = list(site.batches.values())[before:]
    assert again["funnel"]["inputs"]["failed"] == 0
    assert sum(len(made.requests) for made in later) == 2


def all_of(site: Site) -> set[str]:
    return {request["custom_id"] for made in site.batches.values() for request in made.requests}


def test_a_killed_wait_goes_on_with_the_same_batch(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as site:
        site.row = talks
        polls: list[Mapping[str, str]] = []

        def interrupted(seconds: float) -> None:
            polls.append({})
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(batch.Batches.__init__, "__defaults__", (interrupted,))
            with pytest.raises(KeyboardInterrupt):
                mill(recipe_for(tmp_path, site.base_url), out)
        assert len(site.batches) == 1
        assert mill(recipe_for(tmp_path, site.base_url), out)["samples"] == 24
    assert polls
    assert len(site.batches) == 1
    assert COURSE[-1] == next(iter(site.batches.values())).status
