"""LLaVA's data (arXiv 2304.08485): single turns about captions, for pre-training."""

from __future__ import annotations

from pathlib import Path

from builders import rows
from builders.grounding.caption import CheckCaption
from builders.instruct.naive import ExpandCaption
from builders.instruct.sample import ConversationSample
from builders.shards.unit import Layout, Member
from builders.sources.pairs import ReadPairImage
from builders.sources.pairs_open import open_pairs
from builders.sources.scenes.source import open_scenes
from pipelines.dag import Dag, Source, Stage
from schemas.recipe import LlavaPretrainRecipe
from schemas.sources import ScenesSource

CAPTION_MAX = 10_000
"""Characters; longer text is no caption."""


def llava_pretrain(recipe: LlavaPretrainRecipe) -> Dag:
    """The DAG of naive expansion. Raises UserError where the recipe names what is not there."""
    source, folder = _inputs(recipe)
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
        layout=Layout(members=(Member("image", extension_from="format"), Member("json", "json"))),
    )


def _inputs(recipe: LlavaPretrainRecipe) -> tuple[Source, Path]:
    if isinstance(recipe.source, ScenesSource):
        return open_scenes(recipe.source, recipe.output.unit), Path()
    disk = open_pairs(recipe.source, recipe.output.unit)
    return disk, disk.folder
