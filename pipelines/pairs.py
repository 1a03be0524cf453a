"""Pairs filtered by rules and by CLIP (LAION-400M, arXiv 2111.02114; DataComp, arXiv 2304.14108)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from builders import rows
from builders.acquire.client import Manners
from builders.acquire.download import Pace
from builders.acquire.resize import Resizing
from builders.acquire.step import FetchImage
from builders.filters.clip import HALVED, ClipScore, MinScore, PrepareImage, PrepareText
from builders.filters.clip_files import ClipFiles, ClipSpec, HeadFile, find_clip
from builders.filters.mask import PrepareMasked
from builders.filters.rules import image_rule_steps, rule_models, rule_steps, text_rule_steps
from builders.filters.sample import PairSample
from builders.grounding.caption import CheckCaption
from builders.grounding.chunks import parser_folder
from builders.shards.unit import Layout, Member
from builders.sources.pairs import ReadPairImage
from builders.sources.pairs_open import open_pairs
from builders.sources.scenes.source import open_scenes
from builders.step import Step
from pipelines.dag import RESERVED, Dag, Source, Stage
from schemas.clip import Clip
from schemas.errors import UserError
from schemas.fetch import Fetch
from schemas.pairs import PairsSource, UrlsSource
from schemas.recipe import PairsRecipe
from schemas.sources import ScenesSource

CAPTION_MAX = 10_000
"""Characters; longer text is no caption, and would hold up tokenizers and taggers. `rules.max_chars` is the user's."""

FETCH_CPUS = 0.25
"""Of a task that fetches a unit: it waits as long as it works, and the last of its URLs longest, so that several
units are fetched beside each other."""

PACKAGES = ("torch", "open_clip_torch", "torchvision", "numpy", "fasttext-predict")
"""Those whose versions decide scores and languages."""
FETCH_PACKAGES = ("img2dataset", "albumentations", "opencv-python-headless", "exifread-nocycle")
"""Those whose versions decide the pixels of what is fetched."""

if TYPE_CHECKING:
    from builders.uri import Place


def pairs(recipe: PairsRecipe) -> Dag:
    """The DAG of a recipe that filters pairs. Raises UserError where the recipe names what is not there."""
    parser = parser_folder(recipe.parser)
    source, stages = _inputs(recipe, parser)
    models: dict[str, Path | tuple[Path, ...]] = {**rule_models(recipe.rules, parser, _by_language(recipe))}
    beside: tuple[str, ...] = ()
    if recipe.clip:
        spec = ClipSpec(
            recipe.clip.model, recipe.clip.pretrained, recipe.clip.precision, random_seed=recipe.clip.random_seed
        )
        files = find_clip(spec)
        spec = replace(spec, revision=files.revision)
        score = _scored(recipe.clip, spec, files)
        stages += [
            Stage("prepare", _prepared(recipe.clip, spec, files)),
            Stage("clip", (score,), gpus=1, batch=recipe.output.unit),
            Stage("choose", _chosen(recipe.clip)),
        ]
        models |= _models(recipe.clip, files)
        beside = tuple(name for name in (score.image_embedding, score.text_embedding) if name)
        _check_heads(recipe.clip, source, stages)
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
        packages=(*PACKAGES, *FETCH_PACKAGES) if isinstance(recipe.source, UrlsSource) else PACKAGES,
        fetches=isinstance(recipe.source, UrlsSource),
    )


def _inputs(recipe: PairsRecipe, parser: Path) -> tuple[Source, list[Stage]]:
    """The source, and the stages from its rows to images that satisfy the rules."""
    check, unit = CheckCaption(CAPTION_MAX), recipe.output.unit
    if isinstance(recipe.source, UrlsSource):
        text, image = text_rule_steps(recipe.rules, parser, _by_language(recipe)), image_rule_steps(recipe.rules)
        fetch = Stage("fetch", (_fetched(recipe.fetch or Fetch()),), batch=unit, cpus=FETCH_CPUS)
        return open_pairs(recipe.source, unit), [Stage("captions", (check, *text)), fetch, Stage("images", image)]
    rules = rule_steps(recipe.rules, parser, _by_language(recipe))
    source, folder = open_disk(recipe.source, unit)
    return source, [Stage("pairs", (check, ReadPairImage(folder), *rules))]


def open_disk(source: PairsSource | ScenesSource, unit: int) -> tuple[Source, Place]:
    """A source whose images need no fetch, and the folder that its image paths start from; scenes bring their bytes."""
    if isinstance(source, ScenesSource):
        return open_scenes(source, unit), Path()
    disk = open_pairs(source, unit)
    return disk, disk.folder


def _by_language(recipe: PairsRecipe) -> bool:
    return bool(recipe.clip and recipe.clip.min_score_by_language)


def _fetched(fetch: Fetch) -> FetchImage:
    token = fetch.user_agent_token and fetch.user_agent_token.lower()
    who = f"; {fetch.user_agent_token}" if token else ""
    manners = Manners(
        agent=f"gristmill (builds image datasets{who})",
        token=token,
        opt_out=frozenset(value.strip().lower() for value in fetch.disallowed_header_directives),
        **_named(Manners, fetch, but=("agent", "token", "opt_out")),
    )
    return FetchImage(manners, Pace(**_named(Pace, fetch)), Resizing(**_named(Resizing, fetch)), fetch.extract_exif)


def _named(kind: type[Any], fetch: Fetch, but: Sequence[str] = ()) -> dict[str, Any]:
    """The fields of a recipe that a class of builders/acquire has under the same names."""
    return {field.name: getattr(fetch, field.name) for field in fields(kind) if field.name not in but}


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


def _check_heads(clip: Clip, source: Source, stages: Sequence[Stage]) -> None:
    """Raises UserError for a head whose column is there already: of the source, of another step, or the engine's."""
    others = [name for stage in stages for step in stage.steps if not isinstance(step, ClipScore) for name in step.adds]
    taken = {*source.columns, *others, *RESERVED, *PairSample.adds, "key"}
    for i, head in enumerate(clip.heads):
        if head.column in taken:
            raise UserError(f"clip.heads.{i}.column: {head.column!r} is a column already; give another name")


def _chosen(clip: Clip) -> tuple[MinScore, ...]:
    """The thresholds; without one, every pair is scored and kept."""
    bounds = [MinScore(clip.min_score, by_language=clip.min_score_by_language)]
    if clip.mask_text:
        bounds.append(MinScore(clip.min_score_masked, "clip_score_masked"))
    return (*bounds, *(MinScore(head.min_score, head.column, head.max_score) for head in clip.heads))


def _models(clip: Clip, files: ClipFiles) -> dict[str, Path | tuple[Path, ...]]:
    """What decides the scores, to be digested."""
    heads: dict[str, Path | tuple[Path, ...]] = {f"clip.heads.{head.column}": Path(head.path) for head in clip.heads}
    return heads | ({"clip": files.decisive} if files.decisive else {})


def _scalars(source: Source, stages: Sequence[Stage]) -> tuple[str, ...]:
    """Every column that the index will hold."""
    columns: dict[str, pa.DataType] = dict(source.columns)
    for stage in stages:
        for step in stage.steps:
            columns |= step.adds
    return tuple(
        name for name, kind in columns.items() if rows.is_scalar(name, kind) and name not in ("key", "caption")
    )
