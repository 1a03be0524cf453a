"""LLaVA's instructions from `transformers serve`: a server that speaks OpenAI's API, and that others wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from typing import Any

import duckdb
import pytest
import webdataset
import yaml

from builders.shards.store import Store
from builders.shards.verify import verify
from schemas.errors import BuildError
from tests.consumers.model_server import MOST_TOKENS, Server, make_model, serve
from tests.pipelines.milling import data_files, mill, table

pytestmark = [pytest.mark.ray, pytest.mark.consumers]

INPUTS = 12
USD_IN, USD_OUT = 1.0, 2.0


@dataclass(frozen=True)
class Asked:
    """A dataset that the server wrote, and how often it was asked for that."""

    model: Path
    server: Server
    recipe: Path
    out: Path
    manifest: dict[str, Any]
    requests: int


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, one_ray: None) -> Iterator[Asked]:
    """A conversation and a description of each of INPUTS scenes were asked for, four at a time. The server runs on."""
    folder = tmp_path_factory.mktemp("serve")
    model = make_model(folder / "model")
    with serve(model, folder / "server.log") as server:
        recipe, out = _recipe(folder, model, server), folder / "out"
        manifest = mill(recipe, out)
        yield Asked(model, server, recipe, out, manifest, server.asked)


def _recipe(folder: Path, model: Path, server: Server) -> Path:
    recipe = {
        "kind": "llava",
        "source": {"kind": "scenes", "count": INPUTS, "size": 64},
        "llm": {
            "model": str(model),
            "base_url": server.base_url,
            "parameters": {"max_tokens": MOST_TOKENS, "temperature": 1.0},
            "concurrency": 4,
            "retries": 1,
            "prices": {str(model): {"input": USD_IN, "output": USD_OUT}},
            "max_usd": 10,
        },
        "weights": {"conversation": 1, "detail": 1, "complex": 0},
        "responses": "all",
        "output": {"unit": 8},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def _ledger(out: Path, *columns: str) -> list[tuple[Any, ...]]:
    rows = duckdb.sql(f"select {', '.join(columns)} from read_parquet('{out}/ledger/*.parquet')").fetchall()
    return list(rows)


def _nobody() -> str:
    """An address of this machine where nobody listens."""
    with create_server(("127.0.0.1", 0)) as socket:
        return f"http://127.0.0.1:{socket.getsockname()[1]}/v1"


def test_every_answer_is_in_the_ledger_with_the_usage_and_the_model_that_the_server_told(asked: Asked) -> None:
    columns = ("outcome", "status", "model", "finish_reason", "tokens_in", "tokens_out", "usd", "hash", "request_id")
    entries = _ledger(asked.out, *columns)

    assert (
        len(entries) == asked.requests == len({entry[7] for entry in entries}) == len({entry[8] for entry in entries})
    )
    for outcome, status, model, finish_reason, tokens_in, tokens_out, usd, _, request_id in entries:
        assert (outcome, status, model) == ("answer", 200, f"{asked.model}@main")
        assert tokens_in > 2000, "the whole prompt is counted, its examples included"
        assert 0 < tokens_out <= MOST_TOKENS
        assert tokens_out == MOST_TOKENS or finish_reason == "stop"
        assert usd == pytest.approx((tokens_in * USD_IN + tokens_out * USD_OUT) / 1e6)
        assert request_id
    assert {entry[3] for entry in entries} == {"stop", "length"}


def test_the_manifest_counts_what_the_server_counts(asked: Asked) -> None:
    told = asked.manifest["llm"]
    tokens_in, tokens_out, usd = _ledger(asked.out, "sum(tokens_in)", "sum(tokens_out)", "sum(usd)")[0]

    assert told["requests"] == told["answers"] == told["last_run"]["requests"] == asked.requests
    assert (told["tokens_in"], told["tokens_out"]) == (tokens_in, tokens_out)
    assert told["usd"] == pytest.approx(usd)


def test_what_was_cut_is_truncated_and_of_what_ended_the_descriptions_are_kept(asked: Asked) -> None:
    ended = dict(_ledger(asked.out, "hash", "finish_reason"))
    lost = table(asked.out, "rejects", "response", "outcome", "reason", "request")
    kept = table(asked.out, "index", "response", "request")

    assert verify(Store(str(asked.out))).problems == []
    assert len(lost) + len(kept) == 2 * INPUTS
    assert {outcome for _, outcome, _, _ in lost} == {"rejected"}
    for _, _, reason, request in lost:
        assert (reason == "truncated") == (ended[request] == "length")
    assert ("conversation", "rejected", "no_answer") in {verdict[:3] for verdict in lost}
    assert "detail" in {response for response, _ in kept}
    assert {ended[request] for _, request in kept} == {"stop"}


def test_a_sample_holds_the_servers_own_words(asked: Asked) -> None:
    texts = dict(_ledger(asked.out, "hash", "text"))
    shards = [str(path) for path in sorted((asked.out / "data").glob("*.tar"))]

    samples = [sample["json"] for sample in webdataset.WebDataset(shards, shardshuffle=False).decode()]

    described = [sample for sample in samples if sample["response"] == "detail"]
    assert described
    for sample in described:
        question, answer = (turn["value"] for turn in sample["conversations"])
        assert "<image>" in question
        assert answer.split() == texts[sample["request"]].split()


def test_a_second_build_over_the_same_ledger_asks_nobody_and_gives_the_same_bytes(asked: Asked, tmp_path: Path) -> None:
    before, out = asked.server.asked, tmp_path / "again"

    again = mill(asked.recipe, out, f"llm.ledger={asked.out}/ledger", f"llm.base_url={_nobody()}")

    assert (again["llm"]["last_run"]["requests"], again["llm"]["last_run"]["from_ledger"]) == (0, asked.requests)
    assert asked.server.asked == before
    assert data_files(out) == data_files(asked.out)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("llm.parameters.top_k=5", "422: Unexpected fields in the request: {'top_k'}"),
        ("llm.model=gpt-99", "400: Server is pinned to '{model}'; requested 'gpt-99'."),
    ],
    ids=["parameter", "model"],
)
def test_what_the_server_refuses_stops_the_build_and_is_told_in_its_words(
    asked: Asked, tmp_path: Path, change: str, told: str
) -> None:
    with pytest.raises(BuildError, match="^llm: " + re.escape(told.replace("{model}", str(asked.model)))):
        mill(asked.recipe, tmp_path / "out", change, "llm.max_usd=null")


def test_an_address_without_its_path_is_fatal(asked: Asked, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"^llm: 404: Not Found; check llm\.model and llm\.base_url$"):
        mill(asked.recipe, tmp_path / "out", f"llm.base_url={asked.server.base_url.removesuffix('/v1')}")


def test_where_nobody_listens_the_build_says_so(asked: Asked, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"^llm\.base_url: no server answers there: .*; is it running\?$"):
        mill(asked.recipe, tmp_path / "out", f"llm.base_url={_nobody()}")
