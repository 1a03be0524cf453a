"""Which page builds which kind of recipe."""

from __future__ import annotations

from pipelines.dag import Dag
from schemas.recipe import GritRecipe, LlavaPretrainRecipe, LlavaRecipe, Recipe
from schemas.speech_recipes import SpeechChainRecipe, SpeechCrossmodalRecipe, SpeechUnitsRecipe


def make_dag(recipe: Recipe, planned: bool = False) -> Dag:
    """The DAG of a recipe, its inputs listed and its columns checked. Raises UserError.

    `planned`: a grit recipe's models may still be missing, and none is fetched but a zero-shot detector, whose config
    tells input size and threshold; such a DAG is drawn, not run.
    """
    if isinstance(recipe, GritRecipe):
        from pipelines.grit import grit

        return grit(recipe, planned)
    if isinstance(recipe, LlavaPretrainRecipe):
        from pipelines.llava import llava_pretrain

        return llava_pretrain(recipe)
    if isinstance(recipe, LlavaRecipe):
        from pipelines.llava import llava

        return llava(recipe)
    if isinstance(recipe, SpeechUnitsRecipe):
        from pipelines.speech import speech_units

        return speech_units(recipe)
    if isinstance(recipe, SpeechCrossmodalRecipe):
        from pipelines.speech import speech_crossmodal

        return speech_crossmodal(recipe)
    if isinstance(recipe, SpeechChainRecipe):
        from pipelines.speech import speech_chain

        return speech_chain(recipe)
    from pipelines.pairs import pairs

    return pairs(recipe)
