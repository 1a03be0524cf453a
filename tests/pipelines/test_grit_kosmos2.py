"""recipes/grit_kosmos2.yaml with its own values, over a GLIP whose answers are known: what becomes of its boxes.

All steps of the shipped recipe run; only the network is another one, the parser is ours and CLIP is left out. What is
expected was worked out by hand. Sides are sums of halves, so areas and overlaps are exact.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from builders.grounding.glip.detector import Found
from builders.step import Services
from pipelines.kinds import make_dag
from schemas.load import load_recipe
from schemas.recipe import GritRecipe
from tests.conftest import ROOT
from tests.pipelines.milling import commit_by_hand, losses, samples, table

pytestmark = pytest.mark.slow

Box = tuple[float, float, float, float]
Scored = tuple[Box, float]

QUARTER: Box = (0.0, 0.0, 0.5, 0.5)
"""An area of 0.25. The following lie in it, and overlap it by their share of it."""
HALF_OF_IT: Box = (0.0, 0.0, 0.5, 0.25)
OVER_HALF_OF_IT: Box = (0.0, 0.0, 0.5, 0.265625)
MOST_OF_IT: Box = (0.0, 0.0, 0.5, 0.375)
ALONE: Box = (0.75, 0.75, 1.0, 1.0)
"""It touches none of these."""


def strip(place: int) -> Box:
    """One of eight boxes that do not touch."""
    return place / 8, 0.0, (place + 0.5) / 8, 1.0


SAID: dict[str, tuple[str, list[list[Scored]]]] = {
    "across": ("a red car and a blue bus", [[(MOST_OF_IT, 0.7), (ALONE, 0.7)], [(QUARTER, 0.9)]]),
    "at_iou": ("a cat and a dog", [[(QUARTER, 0.9)], [(HALF_OF_IT, 0.8)]]),
    "over_iou": ("a cow and a sheep", [[(QUARTER, 0.9)], [(OVER_HALF_OF_IT, 0.8), (ALONE, 0.66)]]),
    "chain": (
        "a cat, a cup and a lamp",
        [[((0.0, 0.0, 0.5, 0.5), 0.7)], [((0.125, 0.0, 0.625, 0.5), 0.8)], [((0.25, 0.0, 0.75, 0.5), 0.9)]],
    ),
    "low": ("a boat on a lake", [[(ALONE, 0.9)], [(ALONE, 0.3), (QUARTER, 0.3)]]),
    "threshold": (
        "a girl and a boy",
        [
            [(strip(0), 0.65), (strip(1), 0.650001), (strip(2), 0.649999)],
            [(strip(3), float(np.float32(0.65))), (strip(4), 0.6500004), (strip(5), 0.6500006), (strip(6), 0.6499996)],
        ],
    ),
    "none_over": ("a kite in the sky", [[(QUARTER, 0.65), (QUARTER, 0.65)], [(ALONE, 0.2)]]),
    "nothing": ("a bird on a branch", [[], []]),
    "tie_of_two": ("a tree and a house", [[(QUARTER, 0.8)], [(MOST_OF_IT, 0.8)]]),
    "tie_of_one": ("a girl and a house", [[(QUARTER, 0.8), (MOST_OF_IT, 0.8)], [(ALONE, 0.8)]]),
    "twice": ("a dog and a dog", [[(strip(0), 0.9)], [(strip(0), 0.85), (strip(4), 0.8)]]),
    "nested": (
        "a dog in a field of flowers",
        [[((0.25, 0.25, 0.5, 0.5), 0.9)], [((0.0, 0.5, 1.0, 1.0), 0.8)], [((0.0, 0.75, 1.0, 1.0), 0.7)]],
    ),
    "outer_lost": ("a horse near a tree", [[(QUARTER, 0.7)], [(QUARTER, 0.8)]]),
}
"""By key: a caption, and of each of its chunks what the detector answers."""


class Known:
    """In a GLIP's place. `asked`: the words of each span, by caption."""

    asked: ClassVar[dict[str, list[str]]] = {}

    def __init__(self, files: object, device: str, batch: int, precision: str) -> None:
        self.batch = batch

    def detect(
        self, images: Sequence[object], captions: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
    ) -> list[list[Found]]:
        answers = dict(SAID.values())
        self.asked.update({c: [c[start:end] for start, end in s] for c, s in zip(captions, spans, strict=True)})
        return [
            [Found([box for box, _ in each], [score for _, score in each]) for each in answers[caption]]
            for caption in captions
        ]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of three shapes, so that batches are cut across the order of the pairs."""
    folder = tmp_path_factory.mktemp("pairs")
    for i, (key, (caption, _)) in enumerate(SAID.items()):
        photo = io.BytesIO()
        Image.new("RGB", ((64, 48), (48, 64), (64, 64))[i % 3], (90, 10 * i, 30)).save(photo, "PNG")
        (folder / f"{key}.png").write_bytes(photo.getvalue())
        (folder / f"{key}.txt").write_text(caption)
    return folder


@pytest.fixture(scope="module")
def recipe(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> GritRecipe:
    """The shipped one, with places of this machine, our parser and no CLIP."""
    glip = tmp_path_factory.mktemp("glip")
    (glip / "glip_large.safetensors").write_bytes(b"not read")
    (glip / "vocab.txt").write_text("not read")
    places = f"source.path={pairs}", f"detector.checkpoint={glip / 'glip_large.safetensors'}"
    sets = [*places, f"detector.tokenizer={glip}", "parser=null", "clip=[]"]
    loaded = load_recipe(ROOT / "recipes" / "grit_kosmos2.yaml", sets)
    assert isinstance(loaded, GritRecipe)
    return loaded


@pytest.fixture(scope="module")
def built(
    recipe: GritRecipe, tmp_path_factory: pytest.TempPathFactory, services: Services, shipped_parser: Path
) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("built") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builders.grounding.glip.detector.Glip", Known)
        dag = make_dag(recipe)
        for step in dag.steps:
            step.setup(services)
        commit_by_hand(recipe, dag, out, [0])
        yield out


def kept(out: Path, key: str) -> list[tuple[str, Box, float]]:
    """Each box of a sample's noun chunks: its words, its place, its score."""
    one = samples(out)[key]
    return [(one["caption"][s:e], (x1, y1, x2, y2), score) for s, e, x1, y1, x2, y2, score in one["noun_chunks"]]


def test_the_shipped_recipe_has_the_values_that_the_tests_below_reckon_with(recipe: GritRecipe) -> None:
    assert (recipe.nms_iou, recipe.min_score) == (0.5, 0.65)
    assert (recipe.phrases, recipe.nested, recipe.tokens.lower_right) == ("outermost", True, "unilm")
    assert (recipe.centre_crop, recipe.min_side, recipe.abstract_nouns, recipe.tasks) == (None, None, [], None)
    assert (recipe.detector.kind, recipe.detector.batch) == ("glip", 4)  # type: ignore[union-attr]


def test_the_detector_is_asked_for_every_chunk_of_every_caption(built: Path) -> None:
    assert Known.asked.keys() == {caption for caption, _ in SAID.values()}
    assert Known.asked["a dog in a field of flowers"] == ["a dog", "a field", "flowers"]
    assert Known.asked["a dog and a dog"] == ["a dog", "a dog"]
    assert all(len(Known.asked[caption]) == len(answer) for caption, answer in SAID.values())


def test_a_better_box_of_another_chunk_takes_the_place_of_one_that_overlaps_it(built: Path) -> None:
    """They overlap by 0.75. The car keeps its other box, which touches none."""
    assert kept(built, "across") == [("a red car", ALONE, 0.7), ("a blue bus", QUARTER, 0.9)]


def test_boxes_that_overlap_by_exactly_a_half_both_stay_and_by_more_they_do_not(built: Path) -> None:
    """Half of the quarter over the quarter is 0.5; the next is 0.53125 of it."""
    assert kept(built, "at_iou") == [("a cat", QUARTER, 0.9), ("a dog", HALF_OF_IT, 0.8)]
    assert kept(built, "over_iou") == [("a cow", QUARTER, 0.9), ("a sheep", ALONE, 0.66)]


def test_a_box_that_gave_way_takes_no_other_with_it(built: Path) -> None:
    """Neighbours share 0.375 of a length, of 0.625: 0.6. The outer two share 0.25 of 0.75, a third."""
    assert kept(built, "chain") == [("a cat", QUARTER, 0.7), ("a lamp", (0.25, 0.0, 0.75, 0.5), 0.9)]


def test_a_box_stays_if_it_scores_over_the_threshold_with_six_decimals(built: Path) -> None:
    """0.65 itself does not, nor what is written so, as float32's next number to it: 0.6499999762."""
    assert float(np.float32(0.65)) < 0.65
    assert kept(built, "threshold") == [("a girl", strip(1), 0.650001), ("a boy", strip(5), 0.650001)]


def test_of_equal_scores_the_chunk_that_comes_first_wins_and_of_one_chunk_the_smaller_box(built: Path) -> None:
    assert kept(built, "tie_of_two") == [("a tree", QUARTER, 0.8)]
    assert kept(built, "tie_of_one") == [("a girl", MOST_OF_IT, 0.8), ("a house", ALONE, 0.8)]


def test_two_chunks_of_the_same_words_stay_two_and_do_not_share_a_box(built: Path) -> None:
    assert kept(built, "twice") == [("a dog", strip(0), 0.9), ("a dog", strip(4), 0.8)]
    assert [chunk[:2] for chunk in samples(built)["twice"]["noun_chunks"]] == [[0, 5], [10, 15]]


def test_pairs_without_a_box_over_the_threshold_are_rejected_and_no_others(built: Path) -> None:
    assert losses(built) == dict.fromkeys(("none_over", "nothing"), ("rejected", "select_boxes", "no_box"))
    assert samples(built).keys() == SAID.keys() - {"none_over", "nothing"}


def test_boxes_give_way_to_others_before_scores_are_looked_at(built: Path) -> None:
    """So the lake's box under the boat's is counted, though its score was too low anyway."""
    counts = {key: tuple(rest) for key, *rest in table(built, "index", "key", "n_boxes", "dropped_nms")}
    counts |= {key: tuple(rest) for key, *rest in table(built, "rejects", "key", "n_boxes", "dropped_nms")}
    assert counts == {
        "across": (2, 1),
        "at_iou": (2, 0),
        "over_iou": (2, 1),
        "chain": (2, 1),
        "low": (1, 1),
        "threshold": (2, 0),
        "none_over": (0, 1),
        "nothing": (0, 0),
        "tie_of_two": (1, 1),
        "tie_of_one": (2, 1),
        "twice": (2, 1),
        "nested": (3, 0),
        "outer_lost": (1, 1),
    }


def test_a_record_holds_expressions_that_lie_in_others_and_the_text_marks_the_outermost(built: Path) -> None:
    """The lower right corner of the dog lies on an edge of cells: unilm's is the one after it, 528, not 495."""
    one = samples(built)["nested"]
    assert [exp[:2] for exp in one["ref_exps"]] == [[0, 27], [9, 27], [20, 27]]
    assert [exp[2:] for exp in one["ref_exps"]] == [chunk[2:] for chunk in one["noun_chunks"]]
    assert _phrases(one) == [("a dog in a field of flowers", [[0.25, 0.25, 0.5, 0.5]])]
    assert one["grounded_caption"] == (
        "<grounding><phrase>a dog in a field of flowers</phrase><object><patch_index_0264><patch_index_0528></object>"
    )
    assert ("nested", 1, 2) in table(built, "index", "key", "n_phrases", "n_nested")


def test_an_expression_whose_box_gave_way_leaves_room_for_the_one_inside_it(built: Path) -> None:
    """ "a horse near a tree" lost its box to "a tree": the latter lies in no other that has one."""
    one = samples(built)["outer_lost"]
    assert _phrases(one) == [("a tree", [list(QUARTER)])]
    assert one["grounded_caption"] == (
        "<grounding> a horse near<phrase> a tree</phrase><object><patch_index_0000><patch_index_0528></object>"
    )


def _phrases(one: dict[str, Any]) -> list[tuple[str, list[list[float]]]]:
    return [(phrase["text"], phrase["boxes"]) for phrase in one["phrases"]]
