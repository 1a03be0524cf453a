"""The card says what the manifest says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
