"""The detector that a grit recipe names: who it is, on what it runs, and what decides its boxes."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from builders.grounding.annotations import AnnotatedBoxes
from builders.grounding.detect import Detect, Detector
from builders.grounding.glip.files import RELEASED, GlipFiles, find_glip, glip_needs
from builders.grounding.glip_detector import SIZE as GLIP_SIZE
from builders.grounding.glip_detector import GlipDetector
from builders.grounding.http_detector import HttpDetector
from builders.grounding.zero_shot import DROPPED, HALVED, ZeroShot
from builders.grounding.zero_shot_files import InputSize, find_detector
from builders.need import Need
from pipelines.dag import Stage
from schemas import grounding as fields
from schemas.recipe import GritRecipe

PACKAGES = ("torch", "transformers", "torchvision", "numpy")
"""Those whose versions decide boxes and scores."""
GLIP_TFLOP = {"T": (0.23, 0.32), "L": (1.66, 0.42)}
"""Of the backbone, which `precision` is for, and of all else, which stays fp32. Counted by torch.utils.flop_counter on
our own networks with a photo of 800 x 1344 pixels and 32 tokens; with 256 tokens, all else is 0.77 and 1.01."""
PEAK, LOWER_PEAK = 67, 989
"""TFLOP a second of an H100 SXM by its data sheet: in fp32, and in bf16 or fp16 without sparsity."""
SHARE, LOWER_SHARE = 0.3, 0.1
"""How much of that a GLIP may come to. Assumed; no GPU was measured."""
UNITS_ASKED = 2
"""Units that an endpoint is asked about at once: while one waits for its last answers, the next begins."""


@dataclass(frozen=True)
class Chosen:
    """A detector, the least score of its boxes, and where it runs. `told` says so in words; the rest is the DAG's."""

    detector: Detector
    min_score: float
    told: dict[str, str]
    models: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    tallies: tuple[str, ...] = ()
    unrepeatable: tuple[str, ...] = ()
    keys: dict[str, str] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)

    def stage(self, unit: int) -> Stage:
        """A stage of its own. Models are handed a whole unit at once, so that photos of one size find each other."""
        steps = (Detect(self.detector),)
        if isinstance(self.detector, AnnotatedBoxes):
            return Stage("grounding", steps)
        if isinstance(self.detector, HttpDetector):
            return Stage("grounding", steps, batch=unit, cpus=0, at_once=UNITS_ASKED)
        precision = self.detector.precision if isinstance(self.detector, ZeroShot | GlipDetector) else "fp32"
        needs = "" if precision == "fp32" else f"detector.precision: {precision}"
        return Stage("grounding", steps, batch=unit, gpus=1, needs_gpu=needs)


def detector_needs(recipe: GritRecipe) -> list[Need]:
    """What others publish of a GLIP. The other models are folders or hub ids, and looked at when the DAG is made."""
    asked = recipe.detector
    if isinstance(asked, fields.GlipDetector):
        return glip_needs(asked.variant, asked.checkpoint, asked.tokenizer)
    return []


def learned(recipe: GritRecipe, missing: Set[str] = frozenset()) -> Chosen:
    """The model that a recipe names. Raises UserError where it is not there, unless that is `missing`: fields of needs
    that only plan may lack."""
    asked = recipe.detector
    if isinstance(asked, fields.HttpDetector):
        assert recipe.min_score is not None
        http = HttpDetector(asked.url, asked.api_key_env, asked.concurrency, asked.timeout, asked.retries)
        why = f"{asked.name} was asked over HTTP: another build gets what the endpoint answers then"
        told = {"detector": f"{asked.name}, over HTTP", "boxes": _boxes(recipe, recipe.min_score, "min_score")}
        keys = {"detector.api_key_env": asked.api_key_env} if asked.api_key_env else {}
        return Chosen(http, recipe.min_score, told, unrepeatable=(why,), keys=keys)
    if isinstance(asked, fields.GlipDetector):
        glip = _glip(asked, missing)
        least, whose = _least(recipe, fields.KOSMOS2_SCORE, "Kosmos-2's")
        told = _told(f"GLIP-{asked.variant}, {glip.checkpoint.name}", GLIP_SIZE, asked.precision, asked.batch)
        return Chosen(
            GlipDetector(glip, asked.batch, asked.precision),
            least,
            told | {"boxes": _boxes(recipe, least, whose)},
            {"detector": (glip.checkpoint, glip.vocabulary)},
            PACKAGES,
            (DROPPED, HALVED),
            expected={"GPU hours": _hours(asked)},
        )
    assert isinstance(asked, fields.ZeroShotDetector)
    files = find_detector(asked.model)
    least, whose = _least(recipe, files.family.threshold, f"the default of {files.family.name}")
    told = _told(f"{files.family.name}, {asked.model}", files.size, asked.precision, asked.batch)
    return Chosen(
        ZeroShot(files, least, asked.batch, asked.multiple, asked.precision, asked.over),
        least,
        told | {"boxes": _boxes(recipe, least, whose)},
        {"detector": files.decisive},
        PACKAGES,
        (DROPPED, HALVED),
    )


def annotated(recipe: GritRecipe, detector: AnnotatedBoxes) -> Chosen:
    """The annotations of the source."""
    least, whose = _least(recipe, fields.KOSMOS2_SCORE, "Kosmos-2's")
    return Chosen(detector, least, {"detector": "annotations", "boxes": _boxes(recipe, least, whose)})


def _least(recipe: GritRecipe, default: float, whose: str) -> tuple[float, str]:
    return (default, whose) if recipe.min_score is None else (recipe.min_score, "min_score")


def _boxes(recipe: GritRecipe, least: float, whose: str) -> str:
    return f"score over {least:g} ({whose}), none that overlaps a better one by more than {recipe.nms_iou:g}"


def _glip(asked: fields.GlipDetector, missing: Set[str]) -> GlipFiles:
    if not missing & {"detector.checkpoint", "detector.tokenizer"}:
        return find_glip(asked.variant, asked.checkpoint, asked.tokenizer)
    return GlipFiles(asked.variant, Path(asked.checkpoint or RELEASED[asked.variant]), Path(asked.tokenizer))


def _hours(asked: fields.GlipDetector) -> str:
    backbone, rest = GLIP_TFLOP[asked.variant]
    full = f"{SHARE:.0%} of its {PEAK} TFLOP/s in fp32"
    if asked.precision == "fp32":
        seconds = (backbone + rest) / (SHARE * PEAK)
        how = f"{backbone + rest:.2f} TFLOP an image on an H100 at {full}"
    else:
        seconds = backbone / (LOWER_SHARE * LOWER_PEAK) + rest / (SHARE * PEAK)
        lower = f"{LOWER_SHARE:.0%} of its {LOWER_PEAK} TFLOP/s in {asked.precision}"
        how = f"{backbone:.2f} TFLOP an image on an H100 at {lower}, and {rest:.2f} at {full}"
    hours = seconds * 1e6 / 3600
    return (
        f"{hours:,.0f} for 1 M images, {round(91 * hours, -2):,.0f} for 91 M: an estimate, no GPU was measured; {how}"
    )


def _told(model: str, size: InputSize, precision: str, batch: int) -> dict[str, str]:
    pixels = f"{size} pixels" if size.fixed else f"{size.shortest} pixels, the longer at most {size.longest}"
    shown = f"resized to {pixels}" if size.fixed else f"shorter side {pixels}"
    return {"detector": model, "photos": f"{shown}; {precision}, {batch} at once"}
