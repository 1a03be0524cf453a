"""GrIT (Kosmos-2, arXiv 2306.14824, section 2): photos and captions become grounded captions."""

from __future__ import annotations

from pathlib import Path

from builders.grounding.annotations import AnnotatedBoxes, PlaceBoxes
from builders.grounding.caption import CheckCaption
from builders.grounding.chunks import NounChunks, parser_folder, wants_gpu
from builders.grounding.detect import Detect, SelectBoxes
from builders.grounding.sample import GritSample
from builders.grounding.tasks.names import Names
from builders.grounding.tasks.pack import TaskSamples
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
    words = detector.table()
    parser = parser_folder(recipe.parser)
    pack = _tasks(recipe, source, Names(words, source.categories)) if recipe.tasks else None
    text, record = ("_text", "_json") if pack else ("caption", "json")
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
            members=(Member("image", extension_from="format"), Member(text, "txt"), Member(record, "json")),
            tallies=("n_chunks", "dropped_pronoun", "dropped_abstract", "boxes_invalid", "boxes_crowd")
            + ("dropped_nms", "n_boxes", "n_phrases", "n_nested", "n_crossing"),
        ),
        pack=pack,
        models={"parser": parser},
    )


def _tasks(recipe: GritRecipe, source: CocoPairs | ScenesPairs, names: Names) -> TaskSamples:
    """The task samples that the recipe asks for. Captions with one file or URL are of one photo."""
    assert recipe.tasks is not None
    photo = tuple(name for name in ("image_file", "url") if name in source.columns)
    weights, lower_right = recipe.tasks.weights.model_dump(), recipe.tokens.lower_right
    return TaskSamples(names, weights, recipe.tasks.per_caption, lower_right, recipe.seed, photo, gold=True)


def _inputs(recipe: GritRecipe) -> tuple[CocoPairs | ScenesPairs, Step]:
    """The source, and the step that reads its photos."""
    if isinstance(recipe.source, ScenesSource):
        return open_scenes(recipe.source, recipe.output.unit), ReadPairImage(Path())  # every record brings its bytes
    coco = open_coco(recipe.source, recipe.output.unit)
    return coco, ReadImage(coco.folder)
