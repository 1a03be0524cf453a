"""LLaVA's data (arXiv 2304.08485): single turns about captions, for pre-training."""

from __future__ import annotations

from builders import rows
from builders.grounding.caption import CheckCaption
from builders.instruct.naive import ExpandCaption
from builders.instruct.sample import ConversationSample
from builders.shards.unit import Layout, Member
from builders.sources.pairs import ReadPairImage
from pipelines.dag import Dag, Stage
from pipelines.pairs import CAPTION_MAX, open_disk
from schemas.recipe import LlavaPretrainRecipe


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
        layout=Layout(members=(Member("image", extension_from="format"), Member("json", "json"))),
    )
