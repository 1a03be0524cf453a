"""LLaVA's instructions from an endpoint: every outcome of a request, the ledger, the money, the same bytes again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.export.conversations import export
from builders.shards.query import query
from builders.shards.store import Store
from builders.shards.verify import verify
from pipelines.kinds import make_dag
from pipelines.plan import render_plan
from schemas.errors import BuildError, UserError
from schemas.load import load_recipe
from tests.builders.llm import replies
from tests.builders.llm.replies import Reply, answer
from tests.builders.llm.server import Api, Seen, serve
from tests.pipelines.milling import data_files, mill, table

pytestmark = pytest.mark.ray

TALK = "Question:\nWhat is it?\n===\nAnswer:\nA drawn scene.\n===\nQuestion:\nIs it large?\n===\nAnswer:\nIt is small."
SCENE = "Several things stand in a row, and the ground under them is plain."


def good(seen: Seen) -> Reply:
    """What a model would say: to a context with boxes, a description."""
    return answer(SCENE if "\n\n" in seen.prompt else TALK)


def recipe_for(folder: Path, api: Api, count: int = 24, **llm: Any) -> Path:
    recipe = {
        "kind": "llava",
        "source": {"kind": "scenes", "count": count, "size": 64},
        "llm": {"model": replies.MODEL, "base_url": api.base_url, "timeout": 2, "retries": 1, **llm},
        "weights": {"conversation": 1, "detail": 1, "complex": 0},
        "output": {"unit": 8},
        "max_failed": 1,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def ask(out: Path, sql: str) -> list[str]:
    """A column of text that a query gives, without DuckDB's frame."""
    lines = query(Store(str(out)), f"select printf('<%s>', {sql}").splitlines()
    return [line.split("<")[1].split(">")[0] for line in lines if "<" in line]


def test_answers_become_conversations_of_which_each_is_paid_once(tmp_path: Path, out: Path) -> None:
    with serve(good) as api:
        manifest = mill(recipe_for(tmp_path, api), out)
        asked = len(api.requests)
        assert verify(Store(str(out))).problems == []

        prompts = {json.dumps(seen.body["messages"]) for seen in api.requests}
        assert asked == len(prompts) <= 24
        assert manifest["samples"] == 24
        assert manifest["llm"]["requests"] == manifest["llm"]["answers"] == asked
        last = manifest["llm"]["last_run"]
        assert (last["requests"], last["answers"], last["unpriced"], last["from_ledger"]) == (asked, asked, asked, 0)
        again = mill(recipe_for(tmp_path, api), tmp_path / "again", "llm.ledger=" + str(out / "ledger"))
        assert len(api.requests) == asked
    assert data_files(tmp_path / "again") == data_files(out)
    assert again["llm"]["last_run"]["requests"] == 0
    assert "from the same ledger" in (out / "README.md").read_text()


def test_a_sample_tells_who_wrote_it_and_what_for(tmp_path: Path, out: Path) -> None:
    with serve(good) as api:
        mill(recipe_for(tmp_path, api, count=8), out)
    samples = list(_samples(out))
    assert {sample["response"] for sample in samples} == {"conversation", "detail"}
    for sample in samples:
        assert sample["model"] == replies.MODEL
        assert len(sample["request"]) == 64
        assert sample["tokens_in"], sample["tokens_out"]
        turns = [turn["value"].replace("<image>", "").strip() for turn in sample["conversations"]]
        if sample["response"] == "conversation":
            assert turns == ["What is it?", "A drawn scene.", "Is it large?", "It is small."]
        else:
            assert turns[1:] == [SCENE]
    assert export(Store(str(out)), "llava", tmp_path / "llava") == 8


def _samples(out: Path) -> Any:
    for shard in sorted((out / "data").glob("*.tar")):
        with shard.open("rb") as file:
            for place in table(out, "index", "shard", "members"):
                if place[0].endswith(shard.name):
                    file.seek(place[1][-1]["offset"])
                    yield json.loads(file.read(place[1][-1]["size"]))


def test_every_fault_has_its_outcome_and_the_ledger_counts_what_the_server_saw(tmp_path: Path, out: Path) -> None:
    faults: dict[int, Reply] = {
        1: replies.rate_limited(),
        2: replies.rate_limited(Retry_After="0.2"),
        3: replies.broken(500),
        4: replies.hang(),
        5: replies.cut(answer(TALK)),
        6: Reply(b"{not json"),
        7: replies.as_json({"choices": []}),
        8: replies.refusal("I will not."),
        9: answer(TALK, finish_reason="length"),
        10: replies.prompt_too_long(),
        11: answer("I'm sorry, but I cannot see the image."),
        12: answer("No question and no answer."),
    }
    order: dict[bytes, int] = {}

    def script(seen: Seen) -> Reply:
        number = order.setdefault(seen.raw, len(order) + 1)
        always = number in (3, 8, 9, 10, 11, 12)
        return faults[number] if number in faults and (always or seen.times == 1) else answer(TALK)

    with serve(script) as api:
        recipe = recipe_for(tmp_path, api, count=20)
        manifest = mill(recipe, out, "weights.detail=0", "llm.concurrency=3")
        assert verify(Store(str(out))).problems == []
        assert manifest["llm"]["requests"] == len(api.requests)
        reasons = manifest["funnel"]["inputs"]["reasons"]
        assert {why for why in reasons if why.startswith("failed")} == {
            "failed/ask/server_error",
            "failed/ask/prompt_too_long",
        }
        assert {why for why in reasons if why.startswith("rejected")} == {
            "rejected/read_answer/refusal",
            "rejected/read_answer/truncated",
            "rejected/read_answer/no_answer",
        }
        told = Counter(ask(out, "outcome) from ledger"))
        assert (told["rate_limited"], told["timeout"], told["garbled"]) == (2, 1, 3)
        assert (told["server_error"], told["prompt_too_long"]) == (2, 1)

        before = len(api.requests)
        order.clear()
        order.update({seen.raw: 99 for seen in api.requests})  # now all is well
        again = mill(recipe, out, "weights.detail=0", "llm.concurrency=3", retry_failed=True)
        assert len(api.requests) - before == 2, "only what failed is asked again"
        assert again["funnel"]["inputs"]["failed"] == 0


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (replies.wrong_key("sk-test-4711"), "llm: 401"),
        (replies.no_such_model("gpt-99"), "llm: 404"),
        (replies.out_of_quota(), "llm: 429"),
    ],
    ids=["key", "model", "quota"],
)
def test_a_fatal_answer_stops_the_build_with_the_servers_sentence(
    tmp_path: Path, out: Path, reply: Reply, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-4711")
    with serve(lambda _: reply) as api:
        with pytest.raises(BuildError, match=f"^{told}") as caught:
            mill(recipe_for(tmp_path, api, concurrency=4), out)
        assert len(api.requests) <= 4
    assert "4711" not in str(caught.value)


def test_the_key_is_sent_and_stands_in_no_file(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILL_KEY", "sk-test-4711")
    with serve(good) as api:
        mill(recipe_for(tmp_path, api, api_key_env="MILL_KEY"), out)
        assert {seen.headers["authorization"] for seen in api.requests} == {"Bearer sk-test-4711"}
    for path in out.rglob("*"):
        assert not path.is_file() or b"4711" not in path.read_bytes()


def test_a_named_key_that_is_not_set_is_told_before_anything_starts(tmp_path: Path, out: Path) -> None:
    with serve(good) as api:
        with pytest.raises(UserError, match=r"llm\.api_key_env: the variable NO_SUCH_KEY is not set"):
            mill(recipe_for(tmp_path, api, api_key_env="NO_SUCH_KEY"), out)
        assert not api.requests


def test_money_stops_the_build_and_more_of_it_goes_on(tmp_path: Path, out: Path) -> None:
    llm = {"prices": {replies.MODEL: {"input": 1e6, "output": 1e6}}, "parameters": {"max_tokens": 10}}
    with serve(good) as api:
        cheap = recipe_for(tmp_path, api, max_usd=1, **llm)
        with pytest.raises(BuildError, match=r"llm\.max_usd: 0\.0000 of 1\.0 US dollars are spent"):
            mill(cheap, out)
        assert not api.requests
        manifest = mill(recipe_for(tmp_path, api, max_usd=1e6, **llm), out)
        asked = len(api.requests)
    assert manifest["llm"]["usd"] == asked * 18  # 11 tokens in and 7 out, a dollar each
    assert f"{asked * 18:.4f} US dollars" in (out / "README.md").read_text()


def test_a_plan_tells_calls_tokens_and_cost_and_asks_nobody(tmp_path: Path, out: Path) -> None:
    with serve(good) as api:
        recipe = load_recipe(recipe_for(tmp_path, api, prices={replies.MODEL: {"input": 1, "output": 2}}))
        before = render_plan(recipe, make_dag(recipe), str(out))
        assert not api.requests
        mill(recipe_for(tmp_path, api), out)
        after = render_plan(recipe, make_dag(recipe), str(out))
    assert "calls       24 (24 inputs looked at would make 24)" in before
    assert "cost        $" in before
    assert "ledger      0 of the 24" in before
    assert "ledger      24 of the 24" in after


def test_another_prompt_is_asked_and_a_ledger_outlives_its_dataset(tmp_path: Path, out: Path) -> None:
    with serve(good) as api:
        recipe = recipe_for(tmp_path, api)
        mill(recipe, out)
        asked = len(api.requests)
        mill(recipe, out, overwrite=True)
        assert len(api.requests) == asked
        mill(recipe, out, "llm.parameters.temperature=0.5", overwrite=True)
        assert len(api.requests) == 2 * asked


def test_prompts_of_ones_own_take_the_place_of_ours(tmp_path: Path, out: Path) -> None:
    mine = tmp_path / "prompts/conversation"
    mine.mkdir(parents=True)
    (mine / "system_message.txt").write_text("Talk about it.")
    with serve(good) as api:
        mill(recipe_for(tmp_path, api, count=8), out, "weights.detail=0", f"prompts_dir={mine.parent}")
        assert {len(seen.body["messages"]) for seen in api.requests} == {2}
        assert api.requests[0].body["messages"][0] == {"role": "system", "content": "Talk about it."}


def test_all_responses_are_records_of_their_own(tmp_path: Path, out: Path) -> None:
    with serve(good) as api:
        manifest = mill(recipe_for(tmp_path, api, count=8), out, "responses=all")
    assert (manifest["funnel"]["inputs"]["kept"], manifest["samples"]) == (8, 16)
    keys = [key for (key,) in table(out, "index", "key")]
    assert sum(key.endswith("-detail") for key in keys) == sum(key.endswith("-conversation") for key in keys) == 8
    assert export(Store(str(out)), "llava", tmp_path / "llava") == 16
    told = json.loads((tmp_path / "llava/llava.json").read_text())
    assert len({item["id"] for item in told}) == 16
    assert {item["image"] for item in told} == {path.name for path in (tmp_path / "llava/images").iterdir()}
    assert len(list((tmp_path / "llava/images").iterdir())) == 8, "the responses to one photo share its file"
