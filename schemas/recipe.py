"""What a user writes: one recipe, one dataset.

Every field is content (it decides the bytes, is hashed, and may not change on resume) unless it is marked as
running (`_running`): how the build runs, or where equal content lies.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


def _running(default: Any = ..., **rules: Any) -> Any:
    """A field that may change between runs of one build."""
    return Field(default, json_schema_extra={"running": True}, **rules)


def _location(**rules: Any) -> Any:
    """A path or URI: where content lies, not what it is; the content's own digest is guarded instead."""
    return Field(json_schema_extra={"running": True, "location": True}, **rules)


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CocoSource(_Fields):
    """Photos with captions and boxes in COCO format. One input a (photo, caption) pair."""

    kind: Literal["coco"] = "coco"
    images: str = _location(description="folder of the photos that `file_name` names")
    captions: str = _location(description="COCO captions JSON: images, annotations with caption")
    instances: str = _location(description="COCO instances JSON: images, annotations with bbox, categories")
    limit: int | None = Field(None, ge=1, description="take only the first inputs; --limit sets it")


class AnnotationsDetector(_Fields):
    """COCO instances are the detector: a chunk gets the boxes of the category that its head noun names."""

    kind: Literal["annotations"] = "annotations"
    synonyms: dict[str, list[str]] = Field(
        default_factory=dict, description="further words for categories, as word: [category, …]"
    )


class Tokens(_Fields):
    """How boxes become location tokens (Kosmos-2, section 2; a grid of 32 x 32)."""

    lower_right: Literal["transformers", "unilm"] = "transformers"
    """Which cell holds a lower-right corner that lies exactly on a cell's edge."""


class Output(_Fields):
    unit: int = Field(1000, ge=1, le=100_000, description="records a unit, at most: fewer where media are large")


class GritRecipe(_Fields):
    """GrIT (Kosmos-2): noun chunks of a caption, boxes for them, and the referring expressions that they grow into."""

    kind: Literal["grit"]
    name: str | None = _running(None, description="the dataset's name; the recipe's file name where it is not given")
    seed: int = 0
    source: CocoSource
    parser: str | None = Field(
        None,
        json_schema_extra={"running": True, "model": True},
        description="an installed spaCy pipeline (en_core_web_sm, en_core_web_trf) or a path; ours where not given",
    )
    abstract_nouns: list[str] = Field(
        default_factory=list, description="nouns dropped beside the list of Kosmos-2's author, which always holds"
    )
    caption_max_chars: int = Field(1000, ge=1, description="longer captions are rejected; our choice, unpublished")
    detector: AnnotationsDetector = AnnotationsDetector()
    nms_iou: float = Field(0.5, ge=0, le=1, description="boxes that overlap more are one; unpublished, our choice")
    min_score: float = Field(0.65, ge=0, le=1, description="boxes must score more (Kosmos-2, section 2)")
    tokens: Tokens = Tokens()
    output: Output = Output()
    max_failed: float = _running(0.05, ge=0, le=1, description="share of failed records that stops the build")

    @field_validator("seed", "caption_max_chars", "nms_iou", "min_score", "max_failed", mode="before")
    @classmethod
    def _no_boolean(cls, value: Any) -> Any:
        if isinstance(value, bool):  # YAML reads yes and no so
            raise ValueError("must be a number")
        return value

    @field_validator("abstract_nouns")
    @classmethod
    def _lower(cls, nouns: list[str]) -> list[str]:
        return sorted({noun.strip().lower() for noun in nouns})


Recipe = GritRecipe

KINDS: dict[str, type[Recipe]] = {"grit": GritRecipe}
"""The recipe of each `kind`."""


def content(recipe: BaseModel) -> dict[str, Any]:
    """The recipe's content fields alone, as plain JSON values: what is hashed and guarded on resume."""
    kept: dict[str, Any] = {}
    for name, field in type(recipe).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("running"):
            continue
        value = getattr(recipe, name)
        kept[name] = content(value) if isinstance(value, BaseModel) else value
    return kept
