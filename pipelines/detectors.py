"""The detector that a grit recipe names: who it is, on what it runs, and what decides its boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from builders.grounding.annotations import AnnotatedBoxes
from builders.grounding.detect import Detect, Detector
from builders.grounding.glip.files import find_glip
from builders.grounding.glip_detector import SIZE as GLIP_SIZE
from builders.grounding.glip_detector import GlipDetector
from builders.grounding.http_detector import HttpDetector
from builders.grounding.zero_shot import HALVED, ZeroShot
from builders.grounding.zero_shot_files import InputSize, find_detector
from pipelines.dag import Stage
from schemas import grounding as fields
from schemas.recipe import GritRecipe

PACKAGES = ("torch", "transformers", "torchvision", "numpy")
"""Those whose versions decide boxes and scores."""
GLIP_TFLOP = {"T": 1.4, "L": 3.2}
"""Of a photo of 800 x 1333 pixels, counted on the original networks."""
GPU_TFLOPS = {"fp32": 20, "bf16": 100, "fp16": 100}
"""What an H100 may come to a second: 30% of its 67 in fp32, 10% of its 990 in bf16. Assumed, not measured."""
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
        return Stage("grounding", steps, batch=unit, gpus=1)


def learned(recipe: GritRecipe) -> Chosen:
    """The model that a recipe names. Raises UserError where it is not there."""
    asked = recipe.detector
    if isinstance(asked, fields.HttpDetector):
        assert recipe.min_score is not None
        http = HttpDetector(asked.url, asked.api_key_env, asked.concurrency, asked.timeout, asked.retries)
        why = f"{asked.name} was asked over HTTP: another build gets what the endpoint answers then"
        told = {"detector": f"{asked.name}, over HTTP", "boxes": _boxes(recipe, recipe.min_score, "min_score")}
        keys = {"detector.api_key_env": asked.api_key_env} if asked.api_key_env else {}
        return Chosen(http, recipe.min_score, told, unrepeatable=(why,), keys=keys)
    if isinstance(asked, fields.GlipDetector):
        glip = find_glip(asked.variant, asked.checkpoint, asked.tokenizer)
        least, whose = _least(recipe, fields.KOSMOS2_SCORE, "Kosmos-2's")
        told = _told(f"GLIP-{asked.variant}, {glip.checkpoint.name}", GLIP_SIZE, asked.precision, asked.batch)
        return Chosen(
            GlipDetector(glip, asked.batch, asked.precision),
            least,
            told | {"boxes": _boxes(recipe, least, whose)},
            {"detector": (glip.checkpoint, glip.vocabulary)},
            PACKAGES,
            (HALVED,),
            expected={"GPU hours": _hours(GLIP_TFLOP[asked.variant], GPU_TFLOPS[asked.precision])},
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
        (HALVED,),
    )


def annotated(recipe: GritRecipe, detector: AnnotatedBoxes) -> Chosen:
    """The annotations of the source."""
    least, whose = _least(recipe, fields.KOSMOS2_SCORE, "Kosmos-2's")
    return Chosen(detector, least, {"detector": "annotations", "boxes": _boxes(recipe, least, whose)})


def _least(recipe: GritRecipe, default: float, whose: str) -> tuple[float, str]:
    return (default, whose) if recipe.min_score is None else (recipe.min_score, "min_score")


def _boxes(recipe: GritRecipe, least: float, whose: str) -> str:
    return f"score over {least:g} ({whose}), none that overlaps a better one by more than {recipe.nms_iou:g}"


def _hours(work: float, rate: float) -> str:
    """TFLOP an image, TFLOP a second."""
    million = 1e6 * work / rate / 3600
    return (
        f"{million:,.0f} for 1 M images, {round(91 * million, -2):,.0f} for 91 M: an estimate, {work:g} TFLOP an image "
        f"at {rate:g} TFLOP/s, as an H100 may do"
    )


def _told(model: str, size: InputSize, precision: str, batch: int) -> dict[str, str]:
    pixels = f"{size} pixels" if size.fixed else f"{size.shortest} pixels, the longer at most {size.longest}"
    shown = f"resized to {pixels}" if size.fixed else f"shorter side {pixels}"
    return {"detector": model, "photos": f"{shown}; {precision}, {batch} at once"}
