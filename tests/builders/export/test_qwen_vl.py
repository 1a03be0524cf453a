"""Grounded captions as Qwen-VL's chat JSON."""

from __future__ import annotations

from pathlib import Path

from builders.export.qwen_vl import export
from builders.grounding.qwen_tags import parse
from builders.grounding.tasks.wording import QWEN_CAPTION
from tests.builders.grit_dataset import DOG, FIELD, FLOWER, MEADOW, TWO, grit_dataset, told


def test_a_sample_is_a_conversation_in_the_readmes_shape(tmp_path: Path) -> None:
    assert export(grit_dataset(tmp_path / "made", [MEADOW]), tmp_path / "out") == 1

    (item,) = told(tmp_path / "out/qwen_vl.json")
    assert item.keys() == {"id", "conversations"}
    asked, answered = item["conversations"]
    head, question = asked["value"].split("\n")
    assert (item["id"], asked["from"], answered["from"]) == ("k1", "user", "assistant")
    assert head == "Picture 1: <img>images/k1.jpg</img>"
    assert question in QWEN_CAPTION
    assert answered["value"] == (
        "<ref>a dog</ref><box>(100,200),(300,400)</box> in <ref>a field</ref><box>(0,500),(999,999)</box> of "
        "<ref>flowers</ref><box>(250,250),(500,500)</box>"
    )
    assert (tmp_path / "out/images/k1.jpg").read_bytes() == b"photo"


def test_the_keys_are_those_of_the_readmes_sample(tmp_path: Path, shared: Path) -> None:
    export(grit_dataset(tmp_path / "made", [MEADOW]), tmp_path / "out")
    released = told(shared / "data/formats/qwen_vl_readme_sample.json")
    ours = told(tmp_path / "out/qwen_vl.json")
    assert type(ours) is type(released)
    assert {frozenset(item) for item in ours} == {frozenset(item) for item in released}
    for item in released + ours:
        assert [turn["from"] for turn in item["conversations"][:2]] == ["user", "assistant"]
        assert all(turn.keys() == {"from", "value"} for turn in item["conversations"])


def test_an_answer_is_read_back_to_caption_spans_and_boxes(tmp_path: Path) -> None:
    export(grit_dataset(tmp_path / "made", [TWO]), tmp_path / "out")
    (item,) = told(tmp_path / "out/qwen_vl.json")

    caption, phrases = parse(item["conversations"][1]["value"])

    assert caption == TWO.caption
    assert [(p.start, p.end) for p in phrases] == [(0, 10), (19, 27)]
    for box, true in zip([box for p in phrases for box in p.boxes], (DOG, FIELD, FLOWER), strict=True):
        assert all(abs(a - b) <= 0.001 + 1e-9 for a, b in zip(box, true, strict=True))


def test_the_question_is_drawn_by_the_seed_and_the_key_alone(tmp_path: Path) -> None:
    store = grit_dataset(tmp_path / "made", [MEADOW, TWO])
    for number, seed in enumerate((0, 0, *range(1, 9))):
        export(store, tmp_path / f"out{number}", seed)
    asked = [[c["conversations"][0]["value"] for c in told(tmp_path / f"out{i}/qwen_vl.json")] for i in range(10)]
    assert asked[0] == asked[1]
    assert len({first for first, _ in asked}) > 2
