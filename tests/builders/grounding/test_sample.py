"""The GrIT sample, from hand-made chunks and boxes, and for real photos through every step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.grounding.annotations import AnnotatedBoxes, PlaceBoxes
from builders.grounding.caption import CheckCaption
from builders.grounding.chunks import NounChunks
from builders.grounding.detect import Detect, SelectBoxes
from builders.grounding.expressions import Offsets, uncontained
from builders.grounding.sample import GritSample, apart, outermost
from builders.grounding.tokens import LowerRight, dequantise, quantise
from builders.sources.coco import open_coco
from builders.sources.images import ReadImage
from builders.step import Record, Rejected, Services, Step
from schemas.load import load_recipe
from schemas.recipe import Recipe

ROOT = Path(__file__).resolve().parents[3]


def chunk(start: int, end: int, grown: Offsets | None = None) -> Record:
    first, last = grown or (start, end)
    return {"start": start, "end": end, "expression_start": first, "expression_end": last}


def box(span: int, x1: float, y1: float, x2: float, y2: float, score: float = 1.0) -> Record:
    return {"span": span, "x1": x1, "y1": y1, "x2": x2, "y2": y2, "score": score, "instance": None}


def sample(
    caption: str,
    chunks: list[Record],
    boxes: list[Record],
    lower_right: LowerRight = "transformers",
    step: Mapping[str, Any] | None = None,
    **columns: Any,
) -> tuple[Record, Record]:
    """(key.json, the columns for the index); `step`: further options of GritSample"""
    record = {"key": "k-1", "caption": caption, "caption_id": "1", "url": None, "width": 640, "height": 480}
    (result,) = GritSample(lower_right, **step or {})([{**record, **columns, "_chunks": chunks, "_boxes_kept": boxes}])
    assert isinstance(result, dict)
    return json.loads(result["json"]), {name: value for name, value in result.items() if name != "json"}


def sorted_out(told: Record) -> tuple[int, int, int]:
    """How many expressions are phrases, how many lie in one, how many cross one."""
    return told["n_phrases"], told["n_nested"], told["n_crossing"]


FIELD = [chunk(0, 5, (0, 27)), chunk(9, 16, (9, 27)), chunk(20, 27)]
DOG, MEADOW = (0.1, 0.2, 0.3, 0.4), (0.0, 0.5, 1.0, 1.0)


# ---- the record ------------------------------------------------------------------------------------------------------


def test_the_papers_example_keeps_the_whole_with_the_dogs_box() -> None:
    found, told = sample("a dog in a field of flowers", FIELD, [box(0, *DOG), box(1, *MEADOW)])
    assert found["phrases"] == [
        {"text": "a dog in a field of flowers", "start": 0, "end": 27, "boxes": [list(DOG)], "scores": [1.0]}
    ]
    assert found["grounded_caption"] == (
        "<grounding><phrase>a dog in a field of flowers</phrase><object><patch_index_0195><patch_index_0393></object>"
    )
    assert sorted_out(told) == (1, 1, 0)


def test_nested_expressions_stay_in_the_record_as_released() -> None:
    found, _ = sample("a dog in a field of flowers", FIELD, [box(0, *DOG), box(1, *MEADOW, 0.9)])
    assert found["noun_chunks"] == [[0, 5, *DOG, 1.0], [9, 16, *MEADOW, 0.9]]
    assert found["ref_exps"] == [[0, 27, *DOG, 1.0], [9, 27, *MEADOW, 0.9]]


def test_containment_at_build_leaves_nested_expressions_out_of_the_record() -> None:
    boxes = [box(0, *DOG), box(1, *MEADOW, 0.9)]
    found, told = sample("a dog in a field of flowers", FIELD, boxes, step={"nested": False})
    assert found["noun_chunks"] == [[0, 5, *DOG, 1.0]]
    assert found["ref_exps"] == [[0, 27, *DOG, 1.0]]
    assert sorted_out(told) == (1, 1, 0)


def test_as_qwen_vl_reads_it_the_most_chunks_that_do_not_overlap_are_marked() -> None:
    boxes = [box(0, *DOG), box(1, *MEADOW, 0.9), box(1, *DOG, 0.8)]
    found, told = sample("a dog in a field of flowers", FIELD, boxes, step={"phrases": "apart"})
    assert found["phrases"] == [
        {"text": "a dog", "start": 0, "end": 5, "boxes": [list(DOG)], "scores": [1.0]},
        {"text": "a field", "start": 9, "end": 16, "boxes": [list(MEADOW), list(DOG)], "scores": [0.9, 0.8]},
    ]
    assert found["grounded_caption"].startswith("<grounding><phrase>a dog</phrase><object>")
    assert " in<phrase> a field</phrase>" in found["grounded_caption"]
    assert len(found["ref_exps"]) == 3
    assert sorted_out(told) == (2, 0, 0)


def test_chunks_that_overlap_are_kept_apart() -> None:
    nested = [chunk(0, 9), chunk(0, 3), chunk(6, 9)]
    found, told = sample("cat's dog", nested, [box(i, *DOG) for i in range(3)], step={"phrases": "apart"})
    assert [phrase["text"] for phrase in found["phrases"]] == ["cat", "dog"]
    assert sorted_out(told) == (2, 1, 0)
    found, _ = sample("cat's dog", nested, [box(i, *DOG) for i in range(3)], step={"phrases": "apart", "nested": False})
    assert [c[:2] for c in found["noun_chunks"]] == [[0, 3], [6, 9]]


SOME_SPANS = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6)).map(lambda s: (s[0], s[0] + s[1])), max_size=8)


@given(SOME_SPANS)
def test_no_larger_choice_of_spans_lies_apart(spans: list[Offsets]) -> None:
    kept = apart(spans)
    assert set(kept) <= set(spans) and all(a[1] <= b[0] for a, b in pairwise(kept))
    for size in range(len(kept) + 1, len(set(spans)) + 1):
        for chosen in combinations(sorted(set(spans)), size):
            assert any(a[1] > b[0] for a, b in pairwise(chosen))


def test_only_spans_with_boxes_contain_others() -> None:
    found, told = sample("a dog in a field of flowers", FIELD, [box(1, *MEADOW), box(2, *DOG)])
    assert [phrase["text"] for phrase in found["phrases"]] == ["a field of flowers"]
    assert sorted_out(told) == (1, 1, 0)
    found, _ = sample("a dog in a field of flowers", FIELD, [box(2, *DOG)])
    assert [phrase["text"] for phrase in found["phrases"]] == ["flowers"]


def test_every_field_of_a_released_record_is_there(shared: Path) -> None:
    released = json.loads((shared / "data/formats/grit_record_kosmos2_readme.json").read_text())
    found, _ = sample("a dog", [chunk(0, 5)], [box(0, *DOG)])
    assert list(found)[: len(released)] == list(released)


def test_a_released_record_is_made_again_from_its_chunks_and_boxes(shared: Path) -> None:
    released = json.loads((shared / "data/formats/grit_record_kosmos2_readme.json").read_text())
    pairs = list(zip(released["noun_chunks"], released["ref_exps"], strict=True))
    found, told = sample(
        released["caption"],
        [chunk(c[0], c[1], (e[0], e[1])) for c, e in pairs],
        [box(i, *c[2:]) for i, (c, _) in enumerate(pairs)],
        key=released["key"],
        caption_id=str(released["id"]),
        url=released["url"],
        width=released["width"],
        height=released["height"],
    )
    for name in released.keys() - {"clip_similarity_vitb32", "clip_similarity_vitl14"}:
        assert found[name] == released[name], name
    assert [(p["start"], p["end"]) for p in found["phrases"]] == [(0, 66)]
    assert "<patch_index_0000><patch_index_1022>" in found["grounded_caption"]
    assert sorted_out(told) == (1, 1, 0)


def test_the_record_tells_key_id_url_and_size() -> None:
    found, _ = sample("a dog", [chunk(0, 5)], [box(0, *DOG)], caption_id="77", url="https://example.org/1.jpg")
    assert (found["key"], found["id"], found["url"]) == ("k-1", 77, "https://example.org/1.jpg")
    assert (found["width"], found["height"]) == (640, 480)
    assert found["clip_similarity_vitb32"] is None
    worded, _ = sample("a dog", [chunk(0, 5)], [box(0, *DOG)], caption_id="c-7")
    assert worded["id"] == "c-7"


def test_several_boxes_of_one_chunk_are_several_items_and_one_phrase() -> None:
    found, told = sample("two dogs", [chunk(0, 8)], [box(0, *DOG), box(0, *MEADOW, 0.8)])
    assert found["noun_chunks"] == found["ref_exps"] == [[0, 8, *DOG, 1.0], [0, 8, *MEADOW, 0.8]]
    assert found["phrases"][0]["boxes"] == [list(DOG), list(MEADOW)]
    assert found["phrases"][0]["scores"] == [1.0, 0.8]
    assert found["grounded_caption_paper"] == (
        "<grounding><p>two dogs</p><box><loc_195><loc_393><delim><loc_512><loc_1023></box>"
    )
    assert told["n_phrases"] == 1


def test_the_index_tells_boxes_words_and_heads_of_the_phrases_alone() -> None:
    _, told = sample("a dog in a field of flowers", FIELD, [box(0, *DOG), box(1, *MEADOW), box(2, *DOG)])
    assert (told["n_phrase_boxes"], told["phrase_words"], told["heads"]) == (1, 7, "dog")
    two = [chunk(0, 8), chunk(13, 25)]
    _, told = sample("Two dogs and brown horses", two, [box(0, *DOG), box(0, *MEADOW), box(1, *DOG)])
    assert (told["n_phrase_boxes"], told["phrase_words"], told["heads"]) == (3, 4, "dog horse")


def test_the_convention_for_corners_on_edges_reaches_both_texts() -> None:
    edge = [box(0, 0.25, 0.25, 0.5, 0.5)]
    theirs, _ = sample("a dog", [chunk(0, 5)], edge)
    unilm, _ = sample("a dog", [chunk(0, 5)], edge, "unilm")
    assert "<patch_index_0495>" in theirs["grounded_caption"] and "<loc_495>" in theirs["grounded_caption_paper"]
    assert "<patch_index_0528>" in unilm["grounded_caption"] and "<loc_528>" in unilm["grounded_caption_paper"]


def test_text_that_is_not_ascii_stays_readable() -> None:
    (result,) = GritSample("transformers")(
        [
            {"key": "k", "caption": "a 🐕", "caption_id": "1", "url": None, "width": 1, "height": 1}
            | {"_chunks": [chunk(0, 3)], "_boxes_kept": [box(0, *DOG)]}
        ]
    )
    assert isinstance(result, dict)
    assert "a 🐕".encode() in result["json"]


# ---- crossing spans --------------------------------------------------------------------------------------------------

SPANS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 15)).map(lambda s: (s[0], s[0] + s[1])), max_size=10)


def test_of_two_spans_that_cross_the_first_stays() -> None:
    assert outermost([(0, 10), (5, 15), (15, 20)]) == ([(0, 10), (15, 20)], 1)


@given(SPANS)
def test_outermost_spans_never_overlap_and_all_others_are_counted(spans: Sequence[Offsets]) -> None:
    kept, crossing = outermost(spans)
    assert all(a[1] <= b[0] for a, b in pairwise(kept))
    assert len(kept) + crossing == len(uncontained(spans))


# ---- every step, on real photos --------------------------------------------------------------------------------------


def through(steps: Sequence[Step], records: list[Record], services: Services) -> list[Record]:
    """The records after all steps, each handed only the columns that it reads, as Arrow gives them back."""
    for step in steps:
        step.setup(services)
        results = step([{name: record[name] for name in step.reads} for record in records])
        alive = []
        for record, result in zip(records, results, strict=True):
            if not isinstance(result, Rejected):
                assert isinstance(result, dict) and result.keys() == step.adds.keys()
                arrow = {name: pa.array([result[name]], kind).to_pylist()[0] for name, kind in step.adds.items()}
                alive.append({**record, **arrow})
        records = alive
    return records


def grit(recipe: Recipe, parser: Path, services: Services) -> list[Record]:
    """The samples of a recipe, through the steps of pipelines/grit.py."""
    source = open_coco(recipe.source, 1000)
    steps: list[Step] = [
        CheckCaption(recipe.caption_max_chars, grounded=True),
        ReadImage(source.folder),
        PlaceBoxes(),
        NounChunks(parser, recipe.abstract_nouns),
        Detect(AnnotatedBoxes(source.categories, recipe.detector.synonyms)),
        SelectBoxes(recipe.nms_iou, recipe.min_score or 0.65),
        GritSample(recipe.tokens.lower_right),
    ]
    records = source.read(0, source.captions.num_rows).to_pylist()
    kept = through(steps, records, services)
    assert len(kept) >= len(records) / 2
    return kept


@pytest.fixture(scope="module", params=["demo", "coco_mini"])
def real(request: pytest.FixtureRequest, shipped_parser: Path, services: Services) -> list[Record]:
    """Samples of real photos: the demo's, and the first of COCO where there are any."""
    if request.param == "demo":
        pytest.importorskip("skimage", reason="the demo's photos come with scikit-image: pip install gristmill[demo]")
        return grit(load_recipe(ROOT / "recipes/demo/grit.yaml"), shipped_parser, services)
    folder = request.getfixturevalue("shared") / "data/coco_mini"
    paths = {"images": "images", "captions": "captions_train2017.json", "instances": "instances_train2017.json"}
    sets = [f"source.{name}={folder / path}" for name, path in paths.items()]
    return grit(load_recipe(ROOT / "recipes/grit.yaml", [*sets, "source.limit=100"]), shipped_parser, services)


@pytest.mark.slow
def test_transformers_reads_every_real_sample_back(kosmos2: ModuleType, real: list[Record]) -> None:
    for record in real:
        found = json.loads(record["json"])
        text, entities = kosmos2.clean_text_and_extract_entities_with_bboxes(found["grounded_caption"])
        assert text == found["caption"] == record["caption"]
        assert entities == [
            (p["text"], (p["start"], p["end"]), [dequantise(quantise(tuple(b))) for b in p["boxes"]])
            for p in found["phrases"]
        ]


def test_a_real_sample_is_consistent_in_itself(real: list[Record]) -> None:
    for record in real:
        found = json.loads(record["json"])
        caption = found["caption"]
        assert len(found["noun_chunks"]) == len(found["ref_exps"]) == record["n_boxes"]
        for (start, end, *place), (first, last, *same) in zip(found["noun_chunks"], found["ref_exps"], strict=True):
            assert 0 <= first <= start < end <= last <= len(caption)
            assert place == same
        spans = {(e[0], e[1]) for e in found["ref_exps"]}
        shown = [(p["start"], p["end"]) for p in found["phrases"]]
        assert shown == outermost(list(spans))[0]
        assert all(p["text"] == caption[p["start"] : p["end"]] for p in found["phrases"])
        assert len(spans) == record["n_phrases"] + record["n_nested"] + record["n_crossing"]


# ---- what is known of the pair beside --------------------------------------------------------------------------------


def test_similarities_stand_under_their_names_and_others_stay_null() -> None:
    known = {"similarities": {"clip_similarity_vitb32": "source_clip"}}
    found, _ = sample("a dog", [chunk(0, 5)], [box(0, *DOG)], step=known, source_clip=0.3125)
    assert (found["clip_similarity_vitb32"], found["clip_similarity_vitl14"]) == (0.3125, None)


def test_further_columns_are_told_and_what_json_has_no_number_for_is_null() -> None:
    told = {"told": ("license", "source_score")}
    found, _ = sample("a dog", [chunk(0, 5)], [box(0, *DOG)], step=told, license="CC0", source_score=float("nan"))
    assert (found["license"], found["source_score"]) == ("CC0", None)


@pytest.mark.parametrize(
    ("step", "number", "shown"),
    [
        ({}, "17", 17),
        ({}, "017", "017"),
        ({}, "a1", "a1"),
        ({"number": "source_id"}, 17, 17),
        ({"number": None}, 0, None),
    ],
)
def test_an_id_is_a_number_where_it_is_written_as_one_and_nothing_where_there_is_none(
    step: Record, number: str | int, shown: str | int | None
) -> None:
    columns = {step.get("number") or "caption_id": number}
    found, _ = sample("a dog", [chunk(0, 5)], [box(0, *DOG)], step=step, **columns)
    assert found["id"] == shown
