"""GrIT (Kosmos-2, arXiv 2306.14824, section 2): photos and captions become grounded captions."""

from __future__ import annotations

from pathlib import Path

from builders.grounding.annotations import AnnotatedBoxes, PlaceBoxes
from builders.grounding.caption import CheckCaption
from builders.grounding.chunks import NounChunks, parser_folder, wants_gpu
from builders.grounding.detect import Detect, SelectBoxes
from builders.grounding.sample import GritSample
from builders.shards.unit import Layout, Member
from builders.sources.coco import CocoPairs, open_coco
from builders.sources.images import ReadImage
from builders.sources.pairs import ReadPairImage
from builders.sources.scenes.source import ScenesPairs, open_scenes
from builders.step import Step
from pipelines.dag import Dag, Stage
from schemas.recipe import GritRecipe
from schemas.sources import ScenesSource


def grit(recipe: GritRecipe) -> Dag:
    """The DAG of a GrIT recipe. Raises UserError where the recipe names what is not there."""
    source, read_image = _inputs(recipe)
    detector = AnnotatedBoxes(source.categories, {**source.synonyms, **recipe.detector.synonyms})
    detector.table()
    parser = parser_folder(recipe.parser)
    return Dag(
        name=recipe.name or "grit",
        source=source,
        stages=(
            Stage("photos", (CheckCaption(recipe.caption_max_chars, grounded=True), read_image, PlaceBoxes())),
            Stage("chunks", (NounChunks(parser, recipe.abstract_nouns),), gpus=int(wants_gpu(parser)), batch=256),
            Stage(
                "grounding",
                (
                    Detect(detector),
                    SelectBoxes(recipe.nms_iou, recipe.min_score),
                    GritSample(recipe.tokens.lower_right),
                ),
            ),
        ),
        layout=Layout(
            members=(Member("image", extension_from="format"), Member("caption", "txt"), Member("json", "json")),
            tallies=("n_chunks", "dropped_pronoun", "dropped_abstract", "boxes_invalid", "boxes_crowd")
            + ("dropped_nms", "n_boxes", "n_phrases", "n_nested", "n_crossing"),
        ),
        models={"parser": parser},
    )


def _inputs(recipe: GritRecipe) -> tuple[CocoPairs | ScenesPairs, Step]:
    """The source, and the step that reads its photos."""
    if isinstance(recipe.source, ScenesSource):
        return open_scenes(recipe.source, recipe.output.unit), ReadPairImage(Path())  # every record brings its bytes
    coco = open_coco(recipe.source, recipe.output.unit)
    return coco, ReadImage(coco.folder)
