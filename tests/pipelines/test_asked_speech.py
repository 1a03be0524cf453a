"""A stage that asks an endpoint for speech: the process that asks, and what `plan` says of the cost. No Ray."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from builders.llm.request import Purpose
from builders.shards.store import Store
from builders.speech.openai_speech import AskSpeech, OpenAiSpeech
from pipelines.asking import AskingWorker, key_of
from pipelines.dag import Asking, Dag, Stage
from pipelines.estimate import render_estimate
from schemas.endpoint import SpeechPrice
from schemas.errors import UserError
from schemas.tts import OpenAiTts
from tests.builders.llm.server import serve
from tests.builders.llm.spoken import asks, said, speaking, tone
from tests.pipelines.toys import Toy, dag

pytestmark = pytest.mark.slow


def settings_for(base_url: str, **fields: Any) -> OpenAiTts:
    return OpenAiTts(kind="openai", model="tts-1", voices=["alloy"], base_url=base_url, **fields)


def test_the_process_that_asks_hands_out_the_audio_of_its_ledger(tmp_path: Path) -> None:
    async def main(base_url: str) -> tuple[bytes, dict[str, float]]:
        worker = AskingWorker("tones", settings_for(base_url), Store(tmp_path), Purpose("build", "run"), keyed=False)
        await worker.open(None)
        [entry] = await worker.ask([speaking("Hello")])
        heard = await worker.media(entry)
        await worker.close()
        return heard, await worker.counted()

    with serve(said) as api:
        heard, counted = asyncio.run(main(api.base_url))
        again, counted_again = asyncio.run(main(api.base_url))
        for path in (tmp_path / "media").rglob("*"):
            if path.is_file():
                path.unlink()
        once_more, counted_at_last = asyncio.run(main(api.base_url))
    assert heard == again == once_more == tone("Hello")
    assert [one["asked"] for one in (counted, counted_again, counted_at_last)] == [1, 0, 1]
    assert [one["lost_media"] for one in (counted, counted_again, counted_at_last)] == [0, 0, 1]


def test_a_key_that_is_wanted_and_not_there_is_told_by_the_recipes_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(
        UserError, match=r"^tts\.api_key_env: the variable OPENAI_API_KEY is not set; export OPENAI_API"
    ):
        key_of(settings_for("https://api.openai.com/v1"))


# ---- plan ------------------------------------------------------------------------------------------------------------


def speech_dag(**fields: Any) -> Dag:
    """Eleven inputs, `text 0` to `text 10`."""
    step = AskSpeech(OpenAiSpeech("tts-1", ("alloy",)), 0)
    asking = Asking(step, settings_for("http://127.0.0.1:9/v1", **fields))  # type: ignore[arg-type]
    return dag(Stage("prepare", (Toy(lambda record: {"n": 1}),)), Stage("speak", (step,)), asks=asking)


def lines_of(out: Path | None = None, **fields: Any) -> dict[str, str]:
    whole = speech_dag(**fields)
    assert whole.asks
    head, *lines = render_estimate(whole, whole.asks, str(out) if out else None)
    return {"head": head} | {name: told.strip() for name, _, told in (line.strip().partition("  ") for line in lines)}


def test_a_plan_counts_the_characters_that_would_be_spoken_and_what_they_cost() -> None:
    told = lines_of(prices={"tts-1": SpeechPrice(characters=1e5)}, max_usd=50)
    assert told == {
        "head": "tts: tts-1 at http://127.0.0.1:9/v1, 32 requests in flight, stops at $50.00",
        "calls": "11 (11 inputs looked at would make 11)",
        "characters": "67 (those inputs' real texts)",
        "cost": "$6.70 (at $100000 a million characters)",
        "ledger": "0 of the 11 are answered in it already",
    }


def test_a_plan_without_a_price_says_where_one_belongs() -> None:
    assert lines_of()["cost"] == "unknown: tts.prices has no price of 'tts-1'"


def test_a_plan_knows_what_the_ledger_holds_and_not_what_it_has_lost(tmp_path: Path) -> None:
    whole = speech_dag()
    assert whole.asks
    texts = whole.source.read(0, 2).select(["key", "text"]).to_pylist()
    with serve(said) as api, asks(api.base_url, tmp_path / "ledger", key=None) as service:
        service.ask(whole.asks.step.requests(texts))
    assert lines_of(tmp_path)["ledger"].startswith("2 of the 11 are answered")
    next(path for path in (tmp_path / "ledger/media").rglob("*") if path.is_file()).unlink()
    assert lines_of(tmp_path)["ledger"].startswith("1 of the 11 are answered")
