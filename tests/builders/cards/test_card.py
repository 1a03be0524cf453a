"""The card says what the manifest says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.cards.card import render_card
from builders.shards.dataset import read_manifest
from builders.shards.store import Store

Dataset = Callable[[Path], Store]


def test_the_card_of_a_dataset_is_rendered_from_its_manifest_alone(dataset: Dataset, tmp_path: Path) -> None:
    store = dataset(tmp_path / "d")
    assert store.read_bytes("README.md").decode() == render_card(read_manifest(store))


def test_the_card_tells_size_funnel_reasons_digests_and_versions(dataset: Dataset, tmp_path: Path) -> None:
    manifest = read_manifest(dataset(tmp_path / "d"))
    card = render_card(manifest)
    assert "5 samples in 2 WebDataset shards" in card
    for line in ("| total | 8 |", "| kept | 5 |", "| rejected/select_boxes/no_box | 2 |", "| n_boxes | "):
        assert line in card
    for word in (
        manifest["dataset_digest"],
        manifest["content_hash"],
        f"gristmill {manifest['versions']['gristmill']}",
    ):
        assert word in card
    assert "- inputs a `b`" in card


def test_the_card_opens_with_metadata_that_the_hub_reads(dataset: Dataset, tmp_path: Path) -> None:
    manifest = read_manifest(dataset(tmp_path / "d"))
    for name in ("toy", "a: b", "[x]", 'it\'s "q" #1', "- dash"):
        _, front, rest = render_card({**manifest, "name": name}).split("---\n", 2)
        assert yaml.safe_load(front) == {"pretty_name": name, "tags": ["webdataset", "gristmill"]}
        assert rest.startswith(f"# {name}\n")


def test_large_numbers_are_grouped(dataset: Dataset, tmp_path: Path) -> None:
    manifest = read_manifest(dataset(tmp_path / "d"))
    assert "1,234,567 samples" in render_card({**manifest, "samples": 1_234_567})


# ---- who answered ----------------------------------------------------------------------------------------------------

ASKED: dict[str, Any] = {
    "part": "llm",
    "kind": "openai",
    "provider": "openai",
    "model": "gpt-4.1-mini",
    "requests": 1200,
    "answers": 1100,
    "tokens_in": 2_000_000,
    "tokens_out": 300_000,
    "usd": 1.28,
    "unpriced": 0,
    "last_run": {"asked": 10.0, "answers": 10.0, "usd": 0.0123, "from_ledger": 1090.0, "saved_usd": 1.2677},
}


@pytest.fixture
def manifest(dataset: Dataset, tmp_path: Path) -> dict[str, Any]:
    return read_manifest(dataset(tmp_path / "d"))


def test_the_card_tells_who_answered_and_what_that_cost(manifest: dict[str, Any]) -> None:
    card = render_card({**manifest, "llm": ASKED})

    assert (
        "\n## Who answered\n\n"
        "`gpt-4.1-mini` of openai: 1,200 requests, 1,100 answers, 2,000,000 tokens in, 300,000 out, "
        "1.2800 US dollars. In the last run 1,090 answers were in the ledger already, which saved 1.2677 US dollars.\n"
        "\n## Where it comes from\n"
    ) in card


def test_speech_has_no_tokens_and_its_card_says_that_nobody_spoke(manifest: dict[str, Any]) -> None:
    tts = {"kind": "openai", "model": "tts-1", "voices": ["alloy", "echo"]}
    told = {**ASKED, "part": "tts", "model": "tts-1", "tokens_in": 0, "tokens_out": 0}

    card = render_card({**manifest, "llm": told, "recipe": {**manifest["recipe"], "tts": tts}})

    assert "`tts-1` of openai: 1,200 requests, 1,100 answers, 1.2800 US dollars. In" in card
    assert "All speech is synthetic: `openai` (`tts-1`) speaks the texts, with the voices `alloy`, `echo`." in card


def test_the_card_tells_how_many_answers_cost_what_nobody_knows(manifest: dict[str, Any]) -> None:
    card = render_card({**manifest, "llm": {**ASKED, "usd": 0.0, "unpriced": 1100}})

    assert "0.0000 US dollars (1,100 answers at unknown cost). In the last run" in card


def test_the_card_of_what_the_template_composed_says_that_no_model_wrote_it(manifest: dict[str, Any]) -> None:
    card = render_card({**manifest, "recipe": {**manifest["recipe"], "llm": {"kind": "template"}}})

    assert (
        "\n## Who answered\n\n"
        "The answers were composed from the annotations by `template`; no model has written them.\n"
        "\n## Where it comes from\n"
    ) in card


@pytest.mark.parametrize("recipe", [{}, {"llm": None}, {"llm": {"kind": "openai"}}])
def test_the_card_of_a_dataset_without_answers_does_not_speak_of_them(
    manifest: dict[str, Any], recipe: dict[str, Any]
) -> None:
    assert "Who answered" not in render_card({**manifest, "recipe": {**manifest["recipe"], **recipe}})


@pytest.mark.parametrize(
    ("detector", "told"), [({"kind": "glip", "variant": "L"}, True), ({"kind": "zero_shot"}, False), (None, False)]
)
def test_a_card_of_boxes_of_a_glip_says_how_far_it_was_checked(
    dataset: Dataset, tmp_path: Path, detector: dict[str, str] | None, told: bool
) -> None:
    manifest = read_manifest(dataset(tmp_path / "d"))
    card = render_card({**manifest, "recipe": {**manifest["recipe"], "detector": detector}})
    assert ("loader of checkpoints and its GLIP-L agree with the original code on weights that a seed" in card) == told
    assert ("with the released weights, and any run on a GPU, nobody had seen" in card) == told
