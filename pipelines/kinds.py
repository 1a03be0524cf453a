"""Which page builds which kind of recipe."""

from __future__ import annotations

from pipelines.dag import Dag
from schemas.recipe import GritRecipe, LlavaPretrainRecipe, LlavaRecipe, Recipe


def make_dag(recipe: Recipe) -> Dag:
    """The DAG of a recipe, its inputs listed and its columns checked. Raises UserError."""
    if isinstance(recipe, GritRecipe):
        from pipelines.grit import grit

        return grit(recipe)
    if isinstance(recipe, LlavaPretrainRecipe):
        from pipelines.llava import llava_pretrain

        return llava_pretrain(recipe)
    if isinstance(recipe, LlavaRecipe):
        from pipelines.llava import llava

        return llava(recipe)
    from pipelines.pairs import pairs

    return pairs(recipe)
