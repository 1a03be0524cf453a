"""How a grit recipe finds boxes for the chunks of a caption, and what becomes of photos and phrases."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator
from pydantic_core import PydanticCustomError

from schemas.endpoint import is_address, is_variable
from schemas.fields import SECRET, Fields, by_kind, location, model_name, running

KOSMOS2_SCORE = 0.65
"""What boxes of GLIP must score more than (Kosmos-2, section 2)."""


class AnnotationsDetector(Fields):
    """COCO instances are the detector: a chunk gets the boxes of the category that its head noun names."""

    kind: Literal["annotations"] = "annotations"
    synonyms: dict[str, list[str]] = Field(
        default_factory=dict, description="further words for categories, as word: [category, …]"
    )


def _precision() -> Any:
    return Field("fp32", description="of the matrix products; bf16 and fp16 need a GPU")


def _batch(default: int) -> Any:
    return Field(
        default,
        ge=1,
        description="photos in the model at once, which decides a score's last digits; the GPU's memory may halve it",
    )


class ZeroShotDetector(Fields):
    """A model of transformers: Grounding DINO, MM-Grounding-DINO, OWLv2, OWL-ViT, OmDet-Turbo."""

    kind: Literal["zero_shot"]
    model: str = model_name(min_length=1, description="a folder in transformers' layout, or a hub id")
    precision: Literal["fp32", "bf16", "fp16"] = _precision()
    batch: int = _batch(8)
    multiple: int = Field(
        32, ge=1, le=256, description="the model sees sides rounded to so many pixels, to share batches; 1: exact"
    )
    over: Literal["mean", "max"] = Field(
        "mean", description="of a chunk's tokens, its score; models that are asked for chunks give one score anyway"
    )


class HttpDetector(Fields):
    """A model behind an endpoint (docs/detector_http.md)."""

    kind: Literal["http"]
    url: str = running(description="the endpoint's address")
    name: str = Field(min_length=1, description="of the model that answers: another one is other content")
    api_key_env: str | None = running(None, description="the variable of the environment that holds the key")
    concurrency: int = running(8, ge=1, le=1000, description="requests in flight, of each unit in work")
    timeout: float = running(60, gt=0, le=3600, description="seconds for one answer")
    retries: int = running(4, ge=0, le=100, description="further tries of what may succeed later")

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        if not is_address(url):
            raise PydanticCustomError(
                SECRET,
                "must be an address without a key or password, as http://host:8000/detect; detector.api_key_env names "
                "the variable that holds a key",
            )
        return url

    @field_validator("api_key_env")
    @classmethod
    def _a_variable(cls, name: str | None) -> str | None:
        if name is not None and not is_variable(name):
            raise PydanticCustomError(SECRET, "must be the name of a variable, as DETECTOR_KEY, which holds the key")
        return name


class GlipDetector(Fields):
    """GLIP (arXiv 2112.03857), Kosmos-2's own detector, from a released checkpoint."""

    kind: Literal["glip"]
    variant: Literal["T", "L"] = Field(description="which sizes the checkpoint has")
    checkpoint: str | None = location(
        None,
        description="a .pth of GLIP's authors, or what `gristmill models glip-convert` made of it; a build needs it",
    )
    tokenizer: str = model_name("google-bert/bert-base-uncased", description="BERT's words: a folder or a hub id")
    precision: Literal["fp32", "bf16", "fp16"] = _precision()
    batch: int = _batch(4)


class CentreCrop(Fields):
    """Photos become the square in their middle, and boxes follow."""

    least: float = Field(0.2, ge=0, le=1, description="boxes that keep less of their area are dropped")


class Similarity(Fields):
    """A column of CLIP's cosine of photo and caption, of an open_clip model."""

    column: str = Field(
        "clip_similarity_vitb32", pattern=r"^clip_similarity_[a-z0-9_]+$", description="its name, as in GrIT's records"
    )
    model: str = model_name(
        description="open_clip's architecture, hf-hub:owner/name, or a folder of config and weights"
    )
    pretrained: str | None = model_name(None, description="beside an architecture: a tag, or a file of weights")
    precision: Literal["fp32", "bf16", "fp16"] = _precision()
    batch: int = Field(256, ge=1, description="pairs in the model at once, which decides the sixth decimal")


_Annotations = Annotated[AnnotationsDetector, Tag("AnnotationsDetector")]
_ZeroShot = Annotated[ZeroShotDetector, Tag("ZeroShotDetector")]
_Http = Annotated[HttpDetector, Tag("HttpDetector")]
_Glip = Annotated[GlipDetector, Tag("GlipDetector")]
Detector = Annotated[
    _Annotations | _ZeroShot | _Http | _Glip,
    Discriminator(by_kind(AnnotationsDetector, ZeroShotDetector, HttpDetector, GlipDetector)),
]
