"""Pairs filtered by rules and by CLIP (LAION-400M, arXiv 2111.02114; DataComp, arXiv 2304.14108)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from builders import rows
from builders.filters.clip import HALVED, ClipScore, MinScore, PrepareImage, PrepareText
from builders.filters.clip_files import ClipFiles, ClipSpec, HeadFile, find_clip
from builders.filters.mask import PrepareMasked
from builders.filters.rules import rule_models, rule_steps
from builders.filters.sample import PairSample
from builders.grounding.caption import CheckCaption
from builders.grounding.chunks import parser_folder
from builders.shards.unit import Layout, Member
from builders.sources.pairs import ReadPairImage
from builders.sources.pairs_open import open_pairs
from builders.sources.scenes.source import open_scenes
from builders.step import Step
from pipelines.dag import Dag, Source, Stage
from schemas.clip import Clip
from schemas.recipe import PairsRecipe
from schemas.sources import ScenesSource

CAPTION_MAX = 10_000
"""Characters; longer text is no caption, and would hold up tokenizers and taggers. `rules.max_chars` is the user's."""

PACKAGES = ("torch", "open_clip_torch", "torchvision", "numpy", "fasttext-predict")
"""Those whose versions decide scores and languages."""


def pairs(recipe: PairsRecipe) -> Dag:
    """The DAG of a recipe that filters pairs. Raises UserError where the recipe names what is not there."""
    source, folder = _inputs(recipe)
    parser = parser_folder(recipe.parser)
    rules = rule_steps(recipe.rules, parser)
    stages = [Stage("pairs", (CheckCaption(CAPTION_MAX), ReadPairImage(folder), *rules))]
    models = rule_models(recipe.rules, parser)
    beside: tuple[str, ...] = ()
    if recipe.clip:
        spec = ClipSpec(
            recipe.clip.model, recipe.clip.pretrained, recipe.clip.precision, random_seed=recipe.clip.random_seed
        )
        files = find_clip(spec)
        score = _scored(recipe.clip, spec, files)
        stages += [
            Stage("prepare", _prepared(recipe.clip, spec, files)),
            Stage("clip", (score,), gpus=1, batch=recipe.output.unit),
            Stage("choose", _chosen(recipe.clip)),
        ]
        models |= _models(recipe.clip, files)
        beside = tuple(name for name in (score.image_embedding, score.text_embedding) if name)
    scalars = _scalars(source, stages)
    return Dag(
        name=recipe.name or "pairs",
        source=source,
        stages=(*stages, Stage("sample", (PairSample(scalars),))),
        layout=Layout(
            members=(Member("image", extension_from="format"), Member("caption", "txt"), Member("json", "json")),
            tallies=(HALVED,) if recipe.clip else (),
            beside=beside,
        ),
        models=models,
        packages=PACKAGES,
    )


def _inputs(recipe: PairsRecipe) -> tuple[Source, Path]:
    """The source, and the folder that its image paths start from; scenes bring their bytes."""
    if isinstance(recipe.source, ScenesSource):
        return open_scenes(recipe.source, recipe.output.unit), Path()
    disk = open_pairs(recipe.source, recipe.output.unit)
    return disk, disk.folder


def _prepared(clip: Clip, spec: ClipSpec, files: ClipFiles) -> tuple[Step, ...]:
    """What CPUs do for the model."""
    both = PrepareImage(files.preprocess, clip.draft), PrepareText(spec)
    return (*both, PrepareMasked(files.preprocess)) if clip.mask_text else both


def _scored(clip: Clip, spec: ClipSpec, files: ClipFiles) -> ClipScore:
    return ClipScore(
        spec,
        files.dim,
        image_embedding="image_embedding" if clip.image_embedding else None,
        text_embedding="text_embedding" if clip.text_embedding else None,
        heads=[HeadFile(head.column, head.path, head.activation, head.output) for head in clip.heads],
        masked=clip.mask_text,
        batch=clip.batch,
    )


def _chosen(clip: Clip) -> tuple[MinScore, ...]:
    """The thresholds; without one, every pair is scored and kept."""
    bounds = [MinScore(clip.min_score, by_language=clip.min_score_by_language)]
    if clip.mask_text:
        bounds.append(MinScore(clip.min_score_masked, "clip_score_masked"))
    return (*bounds, *(MinScore(head.min_score, head.column, head.max_score) for head in clip.heads))


def _models(clip: Clip, files: ClipFiles) -> dict[str, Path]:
    """What decides the scores, to be digested."""
    heads = {f"clip.heads.{head.column}": Path(head.path) for head in clip.heads}
    return heads | ({"clip": files.digest_path} if files.digest_path else {})


def _scalars(source: Source, stages: Sequence[Stage]) -> tuple[str, ...]:
    """Every column that the index will hold."""
    columns: dict[str, pa.DataType] = dict(source.columns)
    for stage in stages:
        for step in stage.steps:
            columns |= step.adds
    return tuple(
        name for name, kind in columns.items() if rows.is_scalar(name, kind) and name not in ("key", "caption")
    )
