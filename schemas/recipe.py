"""What a user writes: one recipe, one dataset.

Every field is content (it decides the bytes, is hashed, and may not change on resume) unless it is marked as
running: how the build runs, or where equal content lies.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, field_validator, model_validator

from schemas.clip import Clip
from schemas.common import BaseRecipe
from schemas.fetch import Fetch
from schemas.fields import Fields, by_kind, location, marked, model_name
from schemas.grounding import AnnotationsDetector, CentreCrop, Detector, HttpDetector, Similarity
from schemas.llm import OpenAiLlm, TemplateLlm
from schemas.pairs import PairsSource, UrlsSource
from schemas.rules import Rules
from schemas.sources import CocoSource, ScenesSource
from schemas.speech_recipes import SpeechChainRecipe, SpeechCrossmodalRecipe, SpeechUnitsRecipe
from schemas.tasks import Tasks

_Coco = Annotated[CocoSource, Tag("CocoSource")]
_Scenes = Annotated[ScenesSource, Tag("ScenesSource")]
_Pairs = Annotated[PairsSource, Tag("PairsSource")]
LlavaSource = Annotated[_Coco | _Scenes, Discriminator(by_kind(CocoSource, ScenesSource))]
_Urls = Annotated[UrlsSource, Tag("UrlsSource")]
GritSource = Annotated[_Coco | _Scenes | _Pairs, Discriminator(by_kind(CocoSource, ScenesSource, PairsSource))]
DiskSource = Annotated[_Pairs | _Scenes, Discriminator(by_kind(PairsSource, ScenesSource))]
_OpenAi = Annotated[OpenAiLlm, Tag("OpenAiLlm")]
_Template = Annotated[TemplateLlm, Tag("TemplateLlm")]
Llm = Annotated[_OpenAi | _Template, Discriminator(by_kind(OpenAiLlm, TemplateLlm))]
PairSource = Annotated[_Pairs | _Scenes | _Urls, Discriminator(by_kind(PairsSource, ScenesSource, UrlsSource))]


class Tokens(Fields):
    """How boxes become location tokens (Kosmos-2, section 2; a grid of 32 x 32)."""

    lower_right: Literal["transformers", "unilm"] = "transformers"
    """Which cell holds a lower-right corner that lies exactly on a cell's edge."""


def _parser() -> Any:
    return model_name(
        None,
        running=True,
        description="an installed spaCy pipeline (en_core_web_sm, en_core_web_trf) or a path; else ours",
    )


class GritRecipe(BaseRecipe):
    """GrIT (Kosmos-2): noun chunks of a caption, boxes for them, and the referring expressions that they grow into."""

    kind: Literal["grit"]
    parser: str | None = _parser()
    source: GritSource
    abstract_nouns: list[str] = Field(
        default_factory=list, description="nouns dropped beside the list of Kosmos-2's author, which always holds"
    )
    caption_max_chars: int = Field(1000, ge=1, description="longer captions are rejected; our choice, unpublished")
    min_side: int | None = Field(None, ge=1, description="photos with a smaller side are rejected; the originals' 200")
    detector: Detector = AnnotationsDetector()
    nms_iou: float = Field(0.5, ge=0, le=1, description="boxes that overlap more are one; unpublished, our choice")
    min_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="boxes must score more: 0.65 (Kosmos-2, section 2), or the default of a zero_shot model's family",
    )
    centre_crop: CentreCrop | None = Field(None, description="photos become the square in their middle")
    phrases: Literal["outermost", "apart"] = Field(
        "outermost", description="expressions that lie in no other (Kosmos-2), or the most chunks apart (Qwen-VL)"
    )
    nested: bool = Field(True, description="records hold what lies in a phrase, too, as released")
    clip: list[Similarity] = Field(default_factory=list, description="columns of CLIP similarity, a model each")
    tokens: Tokens = Tokens()
    tasks: Tasks | None = Field(None, description="task samples beside the captions; none without it")

    @field_validator("abstract_nouns")
    @classmethod
    def _lower(cls, nouns: list[str]) -> list[str]:
        return sorted({noun.strip().lower() for noun in nouns})

    @field_validator("clip")
    @classmethod
    def _columns_differ(cls, clip: list[Similarity]) -> list[Similarity]:
        names = [block.column for block in clip]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise ValueError(f"clip.{i}.column: {name!r} is another model's column already; give another name")
        return clip

    @model_validator(mode="after")
    def _boxes_are_there(self) -> GritRecipe:
        if isinstance(self.detector, AnnotationsDetector) and isinstance(self.source, PairsSource):
            raise ValueError("detector.kind: annotations needs boxes, which pairs do not bring; give zero_shot or glip")
        if isinstance(self.detector, HttpDetector) and self.min_score is None:
            raise ValueError("min_score: is not given, and nobody knows what scores detector.url gives; choose it")
        return self


class PairsRecipe(BaseRecipe):
    """Pairs filtered by rules and by CLIP, as LAION and DataComp were."""

    kind: Literal["pairs"]
    parser: str | None = _parser()
    source: PairSource
    fetch: Fetch | None = Field(None, description="source.kind urls: how images are fetched and resized")
    rules: Rules = Rules()
    clip: Clip | None = Field(None, description="without it, rules alone decide")

    @model_validator(mode="after")
    def _language_is_kept(self) -> PairsRecipe:
        never = set(self.clip.min_score_by_language if self.clip else ()) - set(self.rules.languages or ())
        if self.rules.languages and never:
            raise ValueError(
                f"clip.min_score_by_language: {min(never)!r} is not among rules.languages, so it is never asked"
            )
        return self

    @model_validator(mode="after")
    def _something_is_fetched(self) -> PairsRecipe:
        if self.fetch and not isinstance(self.source, UrlsSource):
            raise ValueError("fetch: needs source.kind: urls; images of other sources are on disk")
        return self

    @model_validator(mode="after")
    def _text_is_known(self) -> PairsRecipe:
        if self.clip and self.clip.mask_text and not getattr(self.source, "text_boxes", None):
            raise ValueError("clip.mask_text: needs source.text_boxes, the column that tells where text is")
        if self.clip and self.clip.min_score_masked is not None and not self.clip.mask_text:
            raise ValueError("clip.min_score_masked: needs clip.mask_text: true")
        return self


class LlavaPretrainRecipe(BaseRecipe):
    """LLaVA's naive expansion: one caption, one turn."""

    kind: Literal["llava_pretrain"]
    source: DiskSource
    questions: Literal["brief", "detailed"] = Field(
        "brief",
        description="which list a question is drawn from: eleven brief ones for captions, sixteen detailed ones",
    )


class Weights(Fields):
    """How the responses are shared out; any numbers, their sum is the whole. LLaVA's 158K are the defaults."""

    conversation: float = Field(58.0, ge=0)
    detail: float = Field(23.0, ge=0)
    complex: float = Field(77.0, ge=0)

    @model_validator(mode="after")
    def _something_is_wanted(self) -> Weights:
        if not self.conversation + self.detail + self.complex:
            raise ValueError("one of conversation, detail and complex must be above 0")
        return self


class ShowBoxes(Fields):
    """Which responses are written from boxes as well as captions (LLaVA, section 3, and its released prompts)."""

    conversation: bool = False
    detail: bool = True
    complex: bool = True


class Quality(Fields):
    """What answers are rejected for, beside builders/instruct/quality.py's own list."""

    max_chars: int = Field(5000, ge=1, description="of one question or answer; our choice")
    reject: dict[str, str] = Field(
        default_factory=dict, description="further reasons, each with a regular expression that no text may match"
    )
    without: list[str] = Field(default_factory=list, description="reasons of that list that shall not hold")

    @field_validator("reject")
    @classmethod
    def _patterns(cls, reject: dict[str, str]) -> dict[str, str]:
        for reason, pattern in reject.items():
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"{reason}: {pattern!r} is no regular expression: {error}") from None
        return reject


class LlavaRecipe(BaseRecipe):
    """LLaVA's instructions: a language model that sees captions and boxes writes turns about an image."""

    kind: Literal["llava"]
    source: LlavaSource
    llm: Llm
    weights: Weights = Weights()
    responses: Literal["drawn", "all"] = Field(
        "drawn", description="one response an image, drawn by weights; or all, a record for each weight above 0"
    )
    boxes: ShowBoxes = ShowBoxes()
    prompts_dir: str | None = location(None, description="prompts in LLaVA's layout; ours where not given")
    caption_max_chars: int = Field(1000, ge=1, description="longer captions are left out of the context")
    quality: Quality = Quality()

    @model_validator(mode="after")
    def _somebody_is_asked(self) -> LlavaRecipe:
        if isinstance(self.llm, TemplateLlm):
            if self.prompts_dir is not None:
                raise ValueError("prompts_dir: llm.kind template asks no model, so it has no prompts")
            if not self.weights.conversation + self.weights.detail:
                raise ValueError("weights: llm.kind template composes conversation and detail alone; both are 0")
        return self


Recipe = (
    GritRecipe
    | PairsRecipe
    | LlavaPretrainRecipe
    | LlavaRecipe
    | SpeechUnitsRecipe
    | SpeechCrossmodalRecipe
    | SpeechChainRecipe
)

KINDS: dict[str, type[Recipe]] = {
    "grit": GritRecipe,
    "pairs": PairsRecipe,
    "llava": LlavaRecipe,
    "llava_pretrain": LlavaPretrainRecipe,
    "speech_units": SpeechUnitsRecipe,
    "speech_crossmodal": SpeechCrossmodalRecipe,
    "speech_chain": SpeechChainRecipe,
}
"""The recipe of each `kind`."""


def content(recipe: BaseModel) -> dict[str, Any]:
    """The recipe's content fields alone, as plain JSON values: what is hashed and guarded on resume."""
    kept: dict[str, Any] = {}
    for name, field in type(recipe).model_fields.items():
        if marked(field, "running"):
            continue
        value = getattr(recipe, name)
        if marked(field, "model") and isinstance(value, str) and Path(value).is_absolute():
            value = None  # where it lies is nothing; the digest of what lies there is guarded
        kept[name] = _plain(value)
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return content(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value
