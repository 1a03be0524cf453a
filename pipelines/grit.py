"""GrIT (Kosmos-2, arXiv 2306.14824, section 2): photos and captions become grounded captions."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from builders import rows
from builders.cards.grounding import grit_statistics
from builders.filters.clip import HALVED, ClipScore, PrepareImage, PrepareText
from builders.filters.clip_files import ClipFiles, ClipSpec, clip_need, find_clip
from builders.filters.clip_image import Preprocess
from builders.grounding.annotations import AnnotatedBoxes, PlaceBoxes
from builders.grounding.caption import CheckCaption
from builders.grounding.chunks import NounChunks, parser_folder, parser_need, wants_gpu
from builders.grounding.detect import SelectBoxes
from builders.grounding.photo import WHOLE, CentreCrop, MinSide
from builders.grounding.sample import GritSample
from builders.grounding.tasks.names import Names
from builders.grounding.tasks.pack import TaskSamples
from builders.grounding.words import known_categories, load_words
from builders.need import Need
from builders.renamed import Renamed
from builders.shards.unit import Layout, Member
from builders.sources.coco import CocoPairs, open_coco
from builders.sources.images import ReadImage
from builders.sources.pairs import Pairs, ReadPairImage
from builders.sources.pairs_open import open_pairs
from builders.sources.scenes.source import ScenesPairs, open_scenes
from builders.step import Step
from pipelines.dag import Dag, Stage
from pipelines.detectors import Chosen, annotated, detector_needs, learned
from pipelines.pairs import PACKAGES as CLIP_PACKAGES
from schemas.grounding import AnnotationsDetector
from schemas.pairs import PairsSource
from schemas.recipe import GritRecipe
from schemas.sources import ScenesSource

Source = CocoPairs | ScenesPairs | Pairs
SIMILARITIES = ("clip_similarity_vitb32", "clip_similarity_vitl14")
"""Columns of the released records."""


def grit(recipe: GritRecipe, planned: bool = False) -> Dag:
    """The DAG of a GrIT recipe. Raises UserError where the recipe names what is not there.

    `planned`: what is only still to be fetched is listed in `needs`; the DAG is drawn without it and cannot run.
    """
    source, read_image = _inputs(recipe)
    needs = _needs(recipe)
    missing = frozenset(need.field for need in needs if planned and not need.there)
    parser = Path(recipe.parser or "") if "parser" in missing else parser_folder(recipe.parser)
    chosen, names, place = _detector(recipe, source, missing)
    clip, clip_models = _similarity(recipe, missing)
    crop = recipe.centre_crop
    pack = _tasks(recipe, source, names) if recipe.tasks else None
    text, record = ("_text", "_json") if pack else ("caption", "json")
    small = (MinSide(recipe.min_side),) if recipe.min_side else ()
    found = (
        Stage("photos", (CheckCaption(recipe.caption_max_chars, grounded=True), read_image, *small, *place)),
        Stage("chunks", (NounChunks(parser, recipe.abstract_nouns),), gpus=int(wants_gpu(parser)), batch=256),
        chosen.stage(recipe.output.unit),
        Stage("boxes", (SelectBoxes(recipe.nms_iou, chosen.min_score),)),
    )
    return Dag(
        name=recipe.name or "grit",
        source=source,
        stages=(
            *(_cropped(found, crop.least) if crop else found),
            *clip,
            Stage("sample", (_sample(recipe, source),)),
        ),
        layout=Layout(
            members=(Member("image", extension_from="format"), Member(text, "txt"), Member(record, "json")),
            tallies=("n_chunks", "dropped_pronoun", "dropped_abstract")
            + (("boxes_invalid", "boxes_crowd") if place else ())
            + ("dropped_nms", "n_boxes", "n_phrases", "n_nested", "n_crossing")
            + (("dropped_crop",) if crop else ())
            + chosen.tallies
            + tuple(step.halved for stage in clip for step in stage.steps if isinstance(step, ClipScore)),
        ),
        pack=pack,
        models={"parser": parser, **chosen.models, **clip_models},
        packages=tuple(dict.fromkeys((*chosen.packages, *(CLIP_PACKAGES if clip else ())))),
        chosen=chosen.told,
        expected=chosen.expected,
        unrepeatable=chosen.unrepeatable,
        keys=chosen.keys,
        statistics=grit_statistics,
        needs=needs,
    )


def _needs(recipe: GritRecipe) -> tuple[Need, ...]:
    """What others publish and the recipe names, in the order in which a build looks for it."""
    clips = (clip_need(_clip_spec(recipe, place)) for place in range(len(recipe.clip)))
    found = (parser_need(recipe.parser), *detector_needs(recipe), *clips)
    return tuple(need for need in found if need)


def _cropped(stages: tuple[Stage, ...], least: float) -> tuple[Stage, ...]:
    """The stages on whole photos, and the one that cuts the square, which is the photo of all that come after."""
    whole = (replace(stage, steps=tuple(Renamed(step, WHOLE) for step in stage.steps)) for stage in stages)
    return (*whole, Stage("crop", (CentreCrop(least),)))


def _inputs(recipe: GritRecipe) -> tuple[Source, Step]:
    """The source, and the step that reads its photos."""
    if isinstance(recipe.source, ScenesSource):
        return open_scenes(recipe.source, recipe.output.unit), ReadPairImage(Path())  # every record brings its bytes
    if isinstance(recipe.source, PairsSource):
        pairs = open_pairs(recipe.source, recipe.output.unit, index=True)
        return pairs, ReadPairImage(pairs.folder)
    coco = open_coco(recipe.source, recipe.output.unit)
    return coco, ReadImage(coco.folder)


def _detector(recipe: GritRecipe, source: Source, missing: Set[str]) -> tuple[Chosen, Names, tuple[Step, ...]]:
    """Who finds boxes, how things are named, and the step that places annotated boxes, where there are any to use."""
    if not isinstance(recipe.detector, AnnotationsDetector):
        return learned(recipe, missing), Names(load_words(known_categories())), ()
    assert not isinstance(source, Pairs)
    detector = AnnotatedBoxes(source.categories, {**source.synonyms, **recipe.detector.synonyms})
    return annotated(recipe, detector), Names(detector.table()), (PlaceBoxes(),)


def _clip_spec(recipe: GritRecipe, place: int) -> ClipSpec:
    clip = recipe.clip[place]
    return ClipSpec(clip.model, clip.pretrained, clip.precision, field=f"clip.{place}")


def _similarity(recipe: GritRecipe, missing: Set[str]) -> tuple[tuple[Stage, ...], dict[str, tuple[Path, ...]]]:
    """The stages that score how well photo and caption fit, and the files that decide the scores.

    All models share one worker's GPU, and those that see a photo alike share its pixels.
    """
    if not recipe.clip:
        return (), {}
    images: dict[Preprocess, PrepareImage] = {}
    texts, scores, models = [], [], {}
    for i, clip in enumerate(recipe.clip):
        spec = _clip_spec(recipe, i)
        files = ClipFiles(clip.model, Preprocess(), 0, None, ()) if spec.field in missing else find_clip(spec)
        spec = replace(spec, revision=files.revision)
        suffix = clip.column.removeprefix("clip_similarity")
        image = images.setdefault(files.preprocess, PrepareImage(files.preprocess, suffix=suffix))
        text = PrepareText(spec, suffix=suffix)
        (pixels,), (tokens,) = image.adds, text.adds
        halved = f"{HALVED}{suffix}"
        scores.append(
            ClipScore(spec, files.dim, clip.column, batch=clip.batch, pixels=pixels, tokens=tokens, halved=halved)
        )
        texts.append(text)
        models[f"clip.{clip.column}"] = files.decisive
    prepare = Stage("prepare", (*images.values(), *texts))
    return (prepare, Stage("clip", tuple(scores), gpus=1, batch=recipe.output.unit)), models


def _sample(recipe: GritRecipe, source: Source) -> GritSample:
    """The sample, with whatever is known of a pair: similarities under the released names, other columns beside."""
    columns = source.columns
    further = [name for name, kind in columns.items() if rows.is_scalar(name, kind) and name.startswith("source_")]
    similar = {
        name: f"source_{name}"
        for name in SIMILARITIES
        if pa.types.is_floating(columns.get(f"source_{name}", pa.null()))
    }
    similar |= {clip.column: clip.column for clip in recipe.clip}
    return GritSample(
        recipe.tokens.lower_right,
        recipe.phrases,
        recipe.nested,
        number=next((name for name in ("caption_id", "source_id") if name in columns), None),
        similarities=similar,
        told=("license", *further) if isinstance(source, Pairs) else (),
    )


def _tasks(recipe: GritRecipe, source: Source, names: Names) -> TaskSamples:
    """The task samples that the recipe asks for. Captions with one file or URL are of one photo."""
    assert recipe.tasks is not None
    by = ("url", "image_file") if isinstance(source, Pairs) else ("image_file", "url")  # a tar names each sample's own
    photo = tuple(name for name in by if name in source.columns)
    weights, lower_right = recipe.tasks.weights.model_dump(), recipe.tokens.lower_right
    gold = isinstance(recipe.detector, AnnotationsDetector)
    count, cut = recipe.tasks.per_caption, bool(recipe.centre_crop)
    return TaskSamples(names, weights, count, lower_right, recipe.seed, photo, gold=gold, cut=cut)
