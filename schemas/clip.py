"""Filtering by how well photo and caption fit (CLIP, Radford et al. 2021; facts of each threshold at its field)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from schemas.fields import Fields, location, model_name
from schemas.rules import LANGUAGES

OURS = frozenset({"clip_score", "clip_score_masked", "clip_halved", "image_embedding", "text_embedding"})
"""What the step that scores adds itself."""


class Head(Fields):
    """A small model on the image's embedding: aesthetic, NSFW, watermark. Its output is a column."""

    column: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="the name of the score")
    path: str = location(description="safetensors: a linear layer or an MLP with one output")
    activation: Literal["none", "relu", "gelu"] = Field("none", description="between its layers")
    output: Literal["none", "sigmoid"] = Field("none", description="after the last")
    min_score: float | None = Field(None, description="pairs that score less are rejected")
    max_score: float | None = Field(None, description="pairs that score more are rejected")


class Clip(Fields):
    """An open_clip model. The score is the cosine of both embeddings, never times logit_scale."""

    model: str = model_name(
        description="open_clip's architecture, hf-hub:owner/name, or a folder of config and weights"
    )
    pretrained: str | None = model_name(None, description="beside an architecture: a tag, or a file of weights")
    random_seed: int | None = Field(None, ge=0, description="weights drawn at random instead: for measuring speed")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="bf16 and fp16 need a GPU")
    min_score: float | None = Field(
        None, ge=-1, le=1, description="0.3 (LAION-400M, ViT-B/32), 0.28 (LAION-5B, English); none: score only"
    )
    min_score_by_language: dict[str, float] = Field(
        default_factory=dict, description="minimum of single languages, as {en: 0.28}; all others get min_score"
    )
    mask_text: bool = Field(
        False, description="score again with text masked (T-MARS, arXiv 2307.03132); needs source.text_boxes"
    )
    min_score_masked: float | None = Field(None, ge=-1, le=1, description="for the score with text masked")
    batch: int = Field(
        256,
        ge=1,
        description="pairs in the model at once, which decides the sixth decimal; the GPU's memory may halve it",
    )
    draft: int = Field(
        0, ge=0, le=8, description="let libjpeg scale down to so many times the model's size; 0: exact as open_clip"
    )
    image_embedding: bool = Field(False, description="write the image's embedding (float16)")
    text_embedding: bool = Field(False, description="write the caption's embedding (float16)")
    heads: list[Head] = Field(default_factory=list)

    @field_validator("heads")
    @classmethod
    def _columns_differ(cls, heads: list[Head]) -> list[Head]:
        names = [head.column for head in heads]
        for i, name in enumerate(names):
            if name in OURS or name in names[:i]:
                raise ValueError(f"clip.heads.{i}.column: {name!r} is the name of another score; give another")
        return heads

    @field_validator("min_score_by_language", mode="before")
    @classmethod
    def _are_cosines(cls, bounds: Any) -> Any:
        for language, bound in bounds.items() if isinstance(bounds, dict) else ():
            if language not in LANGUAGES:
                raise ValueError(f"clip.min_score_by_language: {language!r} is no language that is told; as en, de")
            if isinstance(bound, bool) or (isinstance(bound, int | float) and not -1 <= bound <= 1):
                raise ValueError(f"clip.min_score_by_language.{language}: {bound} is no cosine; give one of -1 to 1")
        return bounds
