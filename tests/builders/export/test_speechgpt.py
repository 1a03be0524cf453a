"""Speech samples as the released JSON lines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from builders import rows
from builders.export.speechgpt import PREFIX, export
from builders.shards.dataset import Claim, read_markers, write_claim
from builders.shards.finish import finish
from builders.shards.store import Store
from builders.shards.unit import Layout, Member, commit_unit
from builders.speech.crossmodal import Turn, parse_turns, render_turn
from builders.speech.templates import FORMS, TEMPLATES, Style, parse, render
from schemas.errors import UserError
from tests.builders.conftest import BuildDataset
from tests.toy_recipe import CONTENT, RECIPE

RELEASED = re.compile(r"\[Human\]: (.*) \[SpeechGPT\]: (.*); \[ta\] (.*); \[ua\] (.*)")
"""Reads the released chain samples (facts, section 3)."""
UNITS = "<sosp><5><7><5><eosp>"


def built(folder: Path, *samples: dict[str, Any]) -> Store:
    """A finished dataset of a unit for each sample, which is its key.json."""
    store = Store(folder)
    claim = Claim({"recipe": CONTENT, "inputs": {"a": "b"}, "models": {}}, (1,) * len(samples))
    write_claim(store, claim)
    for unit, sample in enumerate(samples):
        source = pa.table({"key": [f"k{unit}"], "json": pa.array([json.dumps(sample).encode()], pa.large_binary())})
        layout = Layout((Member("json", "json"),))
        commit_unit(store, unit, 1, rows.begin(source, unit), layout, {}, content_hash=claim.hash)
    finish(store, claim, read_markers(store), RECIPE, {"seconds": 1.0}, {"inputs": len(samples)})
    return store


def lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("style", TEMPLATES)
def test_chains_are_written_in_order_and_the_regex_of_the_facts_reads_speech_to_speech(
    tmp_path: Path, style: Style
) -> None:
    texts = [render(form, UNITS, "Why é?", "So: 好.", UNITS, style) for form in FORMS]
    store = built(tmp_path / "made", *({"text": text, "form": form} for form, text in zip(FORMS, texts, strict=True)))

    assert export(store, tmp_path / "out.jsonl") == 4

    written = lines(tmp_path / "out.jsonl")
    assert written == [{"prefix": PREFIX, "plain_text": text} for text in texts]
    assert [parse(line["plain_text"]).form for line in written] == list(FORMS)
    found = RELEASED.fullmatch(written[0]["plain_text"])
    assert found is not None and found[3] == "So: 好." and found[4] == f"{UNITS}<eoa>."
    assert [RELEASED.fullmatch(line["plain_text"]) for line in written[1:]] == [None, None, None]


def test_packed_turns_are_written_with_all_their_turns_and_the_users_prefix(tmp_path: Path) -> None:
    turns = [Turn("asr", "What is said?", UNITS, "Hi."), Turn("tts", "Say it.", UNITS, "Ho.")]
    text = "".join(render_turn(turn) for turn in turns)
    store = built(tmp_path / "made", {"text": text, "turns": [vars(turn) for turn in turns]})

    export(store, tmp_path / "out.jsonl", prefix="Be kind.\n")

    (line,) = lines(tmp_path / "out.jsonl")
    assert line["prefix"] == "Be kind.\n"
    assert parse_turns(line["plain_text"]) == turns


def test_our_prefix_is_no_turn_itself() -> None:
    assert PREFIX.endswith("\n")
    assert not re.search(r"\[\w+\]|<\w+>", PREFIX)


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    store = built(tmp_path / "made", {"text": render("t2t", None, "a", "b", None)})
    (tmp_path / "out.jsonl").write_text("mine")
    with pytest.raises(UserError, match=r"^export: .*out\.jsonl is there already; give another name"):
        export(store, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "mine"
    with pytest.raises(UserError, match=r"^export: the folder .*none is not there"):
        export(store, tmp_path / "none" / "out.jsonl")


def test_a_dataset_of_another_kind_is_refused_and_leaves_no_file(tmp_path: Path, dataset: BuildDataset) -> None:
    store = dataset(tmp_path / "made")
    with pytest.raises(UserError, match=r"holds no chain or cross-modal turn \(sample 000x000\); build one of kind"):
        export(store, tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
