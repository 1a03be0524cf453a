"""LLaVA's data (arXiv 2304.08485): single turns about captions, for pre-training, and instructions from an LLM."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

from builders import rows
from builders.grounding.annotations import PlaceBoxes
from builders.grounding.caption import CheckCaption
from builders.instruct.answers import CheckTurns, ComposeAnswer, ReadAnswer
from builders.instruct.ask import AskModel
from builders.instruct.captions import GatherCaptions
from builders.instruct.naive import ExpandCaption
from builders.instruct.parse import Kind
from builders.instruct.prompting import OURS, load_prompts
from builders.instruct.quality import rules
from builders.instruct.respond import ChooseResponse
from builders.instruct.sample import ConversationSample
from builders.instruct.template.compose import Template
from builders.shards.unit import Layout, Member
from builders.sources.coco_images import CocoImages, open_coco_images
from builders.sources.images import ReadImage
from builders.sources.pairs import ReadPairImage
from builders.sources.scenes.source import ScenesPairs, open_scenes
from builders.step import Step
from builders.uri import place_of
from pipelines.dag import Asking, Dag, Stage
from pipelines.pairs import CAPTION_MAX, open_disk
from schemas.errors import UserError
from schemas.llm import OpenAiLlm
from schemas.recipe import LlavaPretrainRecipe, LlavaRecipe
from schemas.sources import ScenesSource

_WHOLE_UNIT = 100_000
"""Records handed to the asking step at once: all of a unit, so that as many as may be are in flight."""
_MOST_UNITS = 32
"""Units that are asked about at once: each holds a process of a worker, which waits."""
_MEMBERS = (Member("image", extension_from="format"), Member("json", "json"))
_COUNTED = ("captions_dropped", "boxes_invalid", "boxes_crowd")


def llava(recipe: LlavaRecipe) -> Dag:
    """The DAG of instructions: a model is told an image's captions and boxes, and its answer becomes turns.

    Raises UserError where the recipe names what is not there.
    """
    source, captions, read_image = _inputs(recipe)
    weights: dict[Kind, float] = {kind: getattr(recipe.weights, kind) for kind in get_args(Kind)}
    wanted = [kind for kind, weight in weights.items() if weight]
    photos = Stage(
        "photos",
        (
            GatherCaptions(captions, recipe.caption_max_chars),
            read_image,
            PlaceBoxes(),
            ChooseResponse(weights, recipe.responses == "all", recipe.seed),
        ),
    )
    scalars = [name for name, kind in source.columns.items() if rows.is_scalar(name, kind)]
    told = ["response", "model", *(name for name in scalars if name != "key")]
    try:
        judged = rules(recipe.quality.max_chars, recipe.quality.reject, recipe.quality.without)
    except ValueError as error:
        raise UserError(f"quality.without: {error}") from None
    checked = CheckTurns(judged, recipe.seed)
    if isinstance(recipe.llm, OpenAiLlm):
        llm = recipe.llm
        prompts = load_prompts(place_of(recipe.prompts_dir, "prompts_dir") if recipe.prompts_dir else OURS, wanted)
        boxes: dict[Kind, bool] = {kind: getattr(recipe.boxes, kind) for kind in wanted}
        ask = AskModel(prompts, boxes, llm.provider, llm.model, llm.parameters)
        sample = ConversationSample((*told, "request", "tokens_in", "tokens_out"), recipe.seed)
        full = math.ceil(3 * llm.concurrency / recipe.output.unit)
        units = min(2 + full, _MOST_UNITS)  # those that start and those that end have few requests in flight
        asking = Stage("ask", (ask,), batch=_WHOLE_UNIT, cpus=0, at_once=units)
        stages = [photos, asking, Stage("turns", (ReadAnswer(20 * recipe.quality.max_chars), checked, sample))]
        asks, models = Asking(ask, llm, len(wanted) if recipe.responses == "all" else 1), {"prompts": prompts.files}
    else:
        compose = ComposeAnswer(Template(source.categories, source.synonyms, recipe.seed))
        stages = [photos, Stage("turns", (compose, checked, ConversationSample(tuple(told), recipe.seed)))]
        asks, models = None, {}
    return Dag(
        name=recipe.name or "llava",
        source=source,
        stages=tuple(stages),
        layout=Layout(_MEMBERS, tallies=_COUNTED),
        models=models,
        asks=asks,
    )


def _inputs(recipe: LlavaRecipe) -> tuple[CocoImages | ScenesPairs, str, Step]:
    """The source, its column of captions, and the step that reads its photos."""
    if isinstance(recipe.source, ScenesSource):
        scenes = open_scenes(recipe.source, recipe.output.unit)
        return scenes, "_caption", ReadPairImage(Path())  # every record brings its bytes
    coco = open_coco_images(recipe.source, recipe.output.unit)
    return coco, "_captions", ReadImage(coco.folder)


def llava_pretrain(recipe: LlavaPretrainRecipe) -> Dag:
    """The DAG of naive expansion. Raises UserError where the recipe names what is not there."""
    source, folder = open_disk(recipe.source, recipe.output.unit)
    told = (name for name, kind in source.columns.items() if rows.is_scalar(name, kind))
    return Dag(
        name=recipe.name or "llava_pretrain",
        source=source,
        stages=(
            Stage(
                "expand",
                (
                    CheckCaption(CAPTION_MAX),
                    ReadPairImage(folder),
                    ExpandCaption(recipe.questions, recipe.seed),
                    ConversationSample(tuple(name for name in told if name != "key"), recipe.seed),
                ),
            ),
        ),
        layout=Layout(_MEMBERS),
    )
