"""Grounded captions as Kosmos-2's text, with transformers' own code as the judge."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from builders.export.kosmos2 import export
from builders.grounding.parse_tokens import parse
from builders.grounding.tokens import PAPER, dequantise, quantise
from tests.builders.grit_dataset import DOG, FIELD, FLOWER, MEADOW, NO_BOX, TWO, grit_dataset


def lines(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "kosmos2.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_line_is_a_sample_in_the_released_tokens(tmp_path: Path) -> None:
    assert export(grit_dataset(tmp_path / "made", [MEADOW], [NO_BOX, TWO]), tmp_path / "out") == 2

    assert lines(tmp_path / "out")[0] == {
        "key": "k1",
        "url": "https://example.org/1.jpg",
        "text": "<grounding><phrase>a dog in a field of flowers</phrase>"
        "<object><patch_index_0195><patch_index_0393></object>",
    }
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["kosmos2.jsonl"]


@pytest.mark.slow
def test_transformers_reads_phrases_spans_and_boxes_of_every_line(tmp_path: Path, kosmos2: ModuleType) -> None:
    export(grit_dataset(tmp_path / "made", [MEADOW, TWO]), tmp_path / "out")

    first, second = (
        kosmos2.clean_text_and_extract_entities_with_bboxes(line["text"]) for line in lines(tmp_path / "out")
    )

    assert first == (MEADOW.caption, [(MEADOW.caption, (0, 27), [dequantise(quantise(DOG))])])
    text, entities = second
    assert text == TWO.caption
    assert [(words, span) for words, span, _ in entities] == [("Zwei Hunde", (0, 10)), ("two cats", (19, 27))]
    for box, true in zip([box for *_, boxes in entities for box in boxes], (DOG, FIELD, FLOWER), strict=True):
        assert all(abs(a - b) <= 1 / 32 for a, b in zip(box, true, strict=True))


def test_the_papers_tokens_are_a_setting(tmp_path: Path) -> None:
    export(grit_dataset(tmp_path / "made", [TWO]), tmp_path / "out", spelling="paper")

    (line,) = lines(tmp_path / "out")
    assert line["text"] == (
        "<grounding><p>Zwei Hunde</p><box><loc_195><loc_393></box> 🐕 neben"
        "<p> two cats</p><box><loc_512><loc_1023><delim><loc_264><loc_495></box>"
    )
    caption, phrases = parse(line["text"], PAPER)
    assert caption == TWO.caption
    assert [(p.start, p.end, len(p.boxes)) for p in phrases] == [(0, 10, 1), (19, 27, 2)]
