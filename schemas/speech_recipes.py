"""Recipes of speech: a unit vocabulary, cross-modal turns, chains of modality (SpeechGPT, arXiv 2305.11000)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from schemas.common import BaseRecipe
from schemas.fields import Fields, location
from schemas.llm import OpenAiLlm
from schemas.speech import ApplyUnits, Audio, FitUnits, InstructionsSource, SpeechSource
from schemas.tts import EspeakTts, Tts

Style = Literal["lecture", "released"]


class SpeechUnitsRecipe(BaseRecipe):
    """A unit vocabulary: k-means over features of speech, as HuBERT's recipe fits it."""

    kind: Literal["speech_units"]
    source: SpeechSource
    audio: Audio = Audio()
    units: FitUnits = FitUnits()


class Packing(Fields):
    """Turns of one unit of records, joined to samples."""

    max_length: int = Field(512, ge=16, description="of a sample; SpeechGPT's cross-modal samples have 512 tokens")
    tokenizer: str | None = location(
        None, description="tokenizer.json, or a folder that holds one; units, markers and words are counted without"
    )


class SpeechCrossmodalRecipe(BaseRecipe):
    """Cross-modal instructions: pairs of speech and text become tasks to write down, or to speak."""

    kind: Literal["speech_crossmodal"]
    source: SpeechSource
    audio: Audio = Audio()
    units: ApplyUnits
    asr: float = Field(0.5, ge=0, le=1, description="probability of a transcription task, else speech; unpublished")
    llm: OpenAiLlm | None = Field(None, description="writes the instructions; without it they are drawn from our lists")
    instructions: int = Field(100, ge=1, le=10_000, description="with llm: how many it is asked for, for each task")
    style: Style = Field("lecture", description="the lecture's turns, or those of the released files")
    pack: Packing = Packing()


class FormWeights(Fields):
    """How the four templates are shared out; any numbers, their sum is the whole."""

    s2s: float = Field(1.0, ge=0, description="speech instruction, speech response")
    s2t: float = Field(1.0, ge=0, description="speech instruction, text response")
    t2s: float = Field(1.0, ge=0, description="text instruction, speech response")
    t2t: float = Field(1.0, ge=0, description="text instruction, text response")

    @model_validator(mode="after")
    def _something_is_wanted(self) -> FormWeights:
        if not self.s2s + self.s2t + self.t2s + self.t2t:
            raise ValueError("one of s2s, s2t, t2s and t2t must be above 0")
        return self


class SpeechChainRecipe(BaseRecipe):
    """Chain of modality: written instructions and responses, spoken, in units, in the four templates."""

    kind: Literal["speech_chain"]
    source: InstructionsSource
    max_words: int = Field(34, ge=1, description="of a response; SpeechGPT took those of under 35")
    tts: Tts = EspeakTts()
    units: ApplyUnits
    templates: Literal["drawn", "all"] = Field(
        "drawn", description="one template an exchange, drawn by weights; or all: a sample for each weight above 0"
    )
    weights: FormWeights = FormWeights()
    style: Style = Field("lecture", description="the lecture's templates, or those of the released files")
