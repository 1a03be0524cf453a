"""Cross-modal turns whose instructions a model writes: each distinct request paid once, and the same bytes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.shards.store import Store
from builders.shards.verify import verify
from builders.speech.audio import Sound
from builders.speech.crossmodal import parse_turns
from builders.speech.features import mfcc, mfcc_spec
from builders.speech.vocabulary import Vocabulary, save_vocabulary
from pipelines.kinds import make_dag
from pipelines.plan import render_plan
from schemas.load import load_recipe
from tests.builders.llm import replies
from tests.builders.llm.replies import Reply, answer
from tests.builders.llm.server import Api, Seen, serve
from tests.pipelines.milling import data_files, losses, mill
from tests.pipelines.speaking import recipe, speech, told, tone

pytestmark = [pytest.mark.ray, pytest.mark.slow]

COUNT = 12
EACH = 4
"""Instructions that are wanted for each task."""
PRICES = {replies.MODEL: {"input": 1e6, "output": 1e6}}
"""A dollar a token: 18 an answer."""


def good(seen: Seen) -> Reply:
    """An instruction that tells which request it answers."""
    return answer(f'"Do it in manner {seen.prompt.rsplit(" ", 1)[1]}"')


def made(folder: Path, api: Api, **llm: Any) -> Path:
    """A recipe of so many utterances in 9 units."""
    if not (folder / "lj").exists():
        speech(folder / "lj", COUNT)
        frames = np.concatenate([mfcc(Sound(tone(1.0, i, 16_000), 16_000)) for i in range(3)])
        save_vocabulary(Vocabulary(mfcc_spec(), np.ascontiguousarray(frames[::33])), Store(str(folder / "k9")))
    asked = {"model": replies.MODEL, "base_url": api.base_url, "timeout": 5, "retries": 0, "prices": PRICES, **llm}
    fields: dict[str, Any] = {"llm": asked, "instructions": EACH, "output": {"unit": 6}, "max_failed": 1}
    return recipe(folder, "speech_crossmodal", folder / "lj", units=folder / "k9", **fields)


def test_each_distinct_request_is_asked_once_and_never_again(tmp_path: Path, out: Path) -> None:
    with serve(good) as api:
        manifest = mill(made(tmp_path, api), out)
        asked = len(api.requests)
        again = mill(made(tmp_path, api), tmp_path / "again", f"llm.ledger={out / 'ledger'}")
        assert len(api.requests) == asked
    assert len({seen.raw for seen in api.requests}) == asked <= 2 * EACH < COUNT
    assert verify(Store(str(out))).problems == []
    assert data_files(tmp_path / "again") == data_files(out)
    money = manifest["llm"]
    assert (money["requests"], money["answers"], money["usd"]) == (asked, asked, 18 * asked)
    assert (again["llm"]["last_run"]["requests"], again["llm"]["last_run"]["usd"]) == (0, 0)
    assert f"{18 * asked:.4f} US dollars" in (out / "README.md").read_text()


def test_the_turns_carry_the_instructions_and_who_wrote_them(tmp_path: Path, out: Path) -> None:
    with serve(good) as api:
        mill(made(tmp_path, api), out)
    turns = [turn for sample in told(out) for turn in sample["turns"]]
    read = [turn for sample in told(out) for turn in parse_turns(sample["text"])]
    assert len(turns) == len(read) == COUNT
    for turn, parsed in zip(turns, read, strict=True):
        assert turn["instruction"].startswith("Do it in manner ")
        assert parsed.instruction == turn["instruction"].removesuffix(".") + "."
        assert (turn["model"], len(turn["request"])) == (replies.MODEL, 64)
    assert len({turn["request"] for turn in turns}) == len({(turn["task"], turn["instruction"]) for turn in turns})


def test_bad_answers_are_asked_for_anew_and_failed_ones_wait_for_a_retry(tmp_path: Path, out: Path) -> None:
    order: dict[bytes, int] = {}
    well = False

    def script(seen: Seen) -> Reply:
        number = order.setdefault(seen.raw, len(order) + 1)
        if number == 1:
            return answer("Of course!\nDo it.")
        return replies.broken(500) if number == 2 and not well else good(seen)

    with serve(script) as api:
        path = made(tmp_path, api, concurrency=1)
        first = mill(path, out)
        lost = losses(out)
        assert {why for _, _, why in lost.values()} <= {"server_error", "bad_instruction"}
        assert first["funnel"]["inputs"]["failed"] > 0
        assert verify(Store(str(out))).problems == []
        well, before = True, len(api.requests)
        again = mill(path, out, retry_failed=True)
        assert len({seen.raw for seen in api.requests[before:]}) == len(api.requests) - before
    assert again["funnel"]["inputs"]["failed"] == 0
    kept = {turn["key"] for sample in told(out) for turn in sample["turns"]}
    assert len(kept) == again["funnel"]["inputs"]["kept"] >= COUNT - 2
    mill(path, tmp_path / "fresh", f"llm.ledger={out / 'ledger'}")
    assert data_files(tmp_path / "fresh") == data_files(out), "what failed at first has left no trace"


def test_a_plan_tells_what_shared_requests_would_cost(tmp_path: Path, out: Path) -> None:
    with serve(good) as api:
        checked = load_recipe(made(tmp_path, api))
        plan = render_plan(checked, make_dag(checked), str(out))
        assert not api.requests
    assert f"calls       {2 * EACH} ({COUNT} inputs looked at would make {COUNT})" in plan
    assert "cost        $" in plan
