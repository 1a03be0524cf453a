"""Statistics of grounded captions, and the paper's beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builders.cards import grounding
from builders.cards.card import render_card
from builders.cards.grounding import PAPER, grit_statistics, render_statistics
from builders.grounding.tasks.names import Names
from builders.grounding.tasks.pack import TaskSamples
from builders.grounding.words import known_categories, load_words
from builders.shards.dataset import MANIFEST, read_manifest
from schemas.errors import UserError
from tests.builders.conftest import BuildDataset
from tests.builders.grit_dataset import DOG, MEADOW, NO_BOX, TWO, Pair, grit_dataset

DOGS = Pair("d", "2 dogs", (("2 dogs", "2 dogs", [DOG]),))
COUNTED = {
    "images": 3,
    "spans": 4,
    "boxes": 5,
    "boxes_nested": 2,
    "words": 3.25,
    "without_box": 1,
    "heads": {"dog": 2, "cat": 1, "hunde": 1},
}


@pytest.mark.slow
def test_spans_boxes_words_and_heads_are_counted_from_the_index(tmp_path: Path) -> None:
    assert grit_statistics(grit_dataset(tmp_path / "d", [MEADOW, NO_BOX, "no_chunk"], [TWO, DOGS])) == COUNTED


def test_they_are_counted_before_there_is_a_manifest(tmp_path: Path) -> None:
    store = grit_dataset(tmp_path / "d", [MEADOW, NO_BOX], [TWO, DOGS])
    store.delete(MANIFEST)
    assert grit_statistics(store) == COUNTED


def test_task_samples_count_for_nothing(tmp_path: Path) -> None:
    names = Names(load_words(known_categories()))
    pack = TaskSamples(names, {"qwen_caption": 1.0, "kosmos2_caption": 1.0}, 2, "transformers", 0)
    store = grit_dataset(tmp_path / "d", [MEADOW, NO_BOX], [TWO, DOGS], pack=pack)
    assert read_manifest(store)["samples"] == 9
    assert grit_statistics(store) == COUNTED


def test_boxes_that_a_crop_cut_off_count_for_nothing(tmp_path: Path) -> None:
    cropped = [replace(pair, columns={"n_boxes": 5, "dropped_crop": 2}) for pair in (MEADOW, TWO)]
    told = grit_statistics(grit_dataset(tmp_path / "d", [*cropped, "no_box_in_crop", NO_BOX]))
    assert (told["boxes"], told["boxes_nested"], told["without_box"]) == (4, 2, 2)


def test_a_dataset_that_kept_nothing_has_no_mean(tmp_path: Path) -> None:
    told = grit_statistics(grit_dataset(tmp_path / "d", [NO_BOX, NO_BOX]))
    assert told == {
        "images": 0,
        "spans": 0,
        "boxes": 0,
        "boxes_nested": 0,
        "words": None,
        "without_box": 2,
        "heads": {},
    }
    assert "| spans per image | - | 1.27 |" in render_statistics(told)
    assert "| pairs without a box | 100.0% | not told |" in render_statistics(told)


def test_only_the_most_frequent_heads_are_told_ties_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grounding, "HEADS", 2)
    told = grit_statistics(grit_dataset(tmp_path / "d", [MEADOW, TWO, DOGS]))
    assert list(told["heads"].items()) == [("dog", 2), ("cat", 1)]


def test_an_index_of_another_kind_is_refused(tmp_path: Path, dataset: BuildDataset) -> None:
    with pytest.raises(UserError, match="its index has no column 'n_phrases'; build one of kind grit"):
        grit_statistics(dataset(tmp_path / "d"))


def test_the_section_has_the_papers_figures_beside() -> None:
    lines = render_statistics(COUNTED)
    for line in (
        "| images | 3 | 90,614,680 |",
        "| spans | 4 | 114,978,233 |",
        "| boxes | 5 | 137,349,210 |",
        "| spans per image | 1.33 | 1.27 |",
        "| boxes per image | 1.67 | 1.52 |",
        "| boxes per span | 1.25 | 1.19 |",
        "| words per span | 3.2 | 4.7 |",
        "| pairs without a box | 25.0% | not told |",
    ):
        assert line in lines
    assert "The most frequent head nouns: dog 2, cat 1, hunde 1." in lines
    assert PAPER["words"] == 4.7


def test_an_endless_head_is_shown_in_forty_characters() -> None:
    lines = render_statistics({**COUNTED, "heads": {"x" * 40: 2, "y" * 41: 1}})
    assert f"The most frequent head nouns: {'x' * 40} 2, {'y' * 39}… 1." in lines


def test_the_card_tells_them_where_the_manifest_does(tmp_path: Path) -> None:
    manifest = read_manifest(grit_dataset(tmp_path / "d", [MEADOW]))
    assert "## Grounding" not in render_card(manifest)
    card = render_card({**manifest, "statistics": COUNTED})
    assert "\n".join(render_statistics(COUNTED)) in card
    assert card.index("## Funnel") < card.index("## Grounding") < card.index("## Where it comes from")
