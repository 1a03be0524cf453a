"""Speech: where it lies, what an utterance must keep to, and how it becomes units."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from schemas.fields import Fields, location, model_name

SpeechKind = Literal["ljspeech", "librispeech", "commonvoice", "manifest", "webdataset", "folder"]
InstructionsShape = Literal["alpaca", "sharegpt", "messages", "moss"]
Features = Literal["mfcc", "hubert"]


class SpeechSource(Fields):
    """Utterances with their texts: LJSpeech, LibriSpeech, Common Voice, a JSONL manifest, tars, or audio files."""

    kind: SpeechKind | None = Field(None, description="told by the files where it is not given")
    path: str = location(description="a folder, or a file: a list, or a tar")
    audio: str | None = location(
        None, description="lists: folder that audio paths start from; the list's own where not given"
    )
    text: str | None = Field(None, description="column or JSON field of the text")
    speaker: str | None = Field(None, description="column or JSON field of the speaker")
    language: str | None = Field(None, description="column or JSON field of the language")
    names: str | None = Field(None, description="folder: what file names tell, as {text}_{speaker}_{take}")
    limit: int | None = Field(None, ge=1, description="take only the first inputs; --limit sets it")


class InstructionsSource(Fields):
    """Written instructions and responses as JSON lines; of a conversation the first turn."""

    kind: InstructionsShape | None = Field(None, description="told by the lines where it is not given")
    path: str = location(description="a JSONL file, or a folder of them")
    instruction: str | None = Field(None, description="alpaca: field of the instruction")
    input: str | None = Field(None, description="alpaca: field of what the instruction is about")
    response: str | None = Field(None, description="alpaca: field of the response")
    turns: str | None = Field(None, description="the others: field of the conversation")
    role: str | None = Field(None, description="sharegpt, messages: field of a turn that tells who speaks")
    content: str | None = Field(None, description="sharegpt, messages: field of a turn that tells what is said")
    key: str | None = Field(None, description="field of the key; numbered where there is none")
    limit: int | None = Field(None, ge=1, description="take only the first inputs; --limit sets it")


class Audio(Fields):
    """What an utterance must keep to; see builders/speech/checks.py."""

    min_seconds: float = Field(0.1, ge=0)
    max_seconds: float = Field(30.0, gt=0, le=600)
    min_rate: int = Field(8000, ge=1, description="Hz of the source")
    min_rms_db: float = Field(-60.0, le=0, description="dB below a square wave at full scale")
    max_silence: float = Field(0.8, ge=0, le=1, description="share of frames that are silence")
    max_clipped: float = Field(0.001, ge=0, le=1, description="share of samples at the end of the scale")

    @model_validator(mode="after")
    def _some_length_fits(self) -> Audio:
        if self.min_seconds > self.max_seconds:
            raise ValueError(f"audio.min_seconds: {self.min_seconds:g} is over audio.max_seconds, {self.max_seconds:g}")
        return self


class FitUnits(Fields):
    """Which features k-means is fitted on, and to how many units."""

    features: Features = Field("mfcc", description="mfcc: HuBERT's first iteration; hubert: what a model has learned")
    k: int | list[int] = Field(100, description="units; several make a vocabulary each, over the same features")
    model: str | None = model_name(
        None, running=True, description="hubert: a folder in transformers' layout or a hub id"
    )
    layer: int | None = Field(None, ge=1, description="hubert: after which layer, as 11 of mHuBERT, 6 of HuBERT")
    subtract_mean: bool = Field(False, description="mfcc: takes off each utterance's mean")

    @field_validator("k", mode="before")  # pydantic would name the first of both types in its error, as units.k.int
    @classmethod
    def _counts(cls, k: Any) -> Any:
        ks = k if isinstance(k, list) else [k]
        if not ks or any(type(one) is not int or not 2 <= one <= 100_000 for one in ks) or len(set(ks)) < len(ks):
            raise ValueError("must be a whole number from 2 to 100,000, or a list of different ones")
        return k

    @model_validator(mode="after")
    def _one_kind(self) -> FitUnits:
        if self.features == "hubert":
            for name in ("model", "layer"):
                if getattr(self, name) is None:
                    raise ValueError(f"units.{name}: is needed where units.features is hubert")
            if self.subtract_mean:
                raise ValueError("units.subtract_mean: is of mfcc alone")
        elif self.model is not None or self.layer is not None:
            raise ValueError("units.model and units.layer: need units.features: hubert")
        return self

    @property
    def ks(self) -> list[int]:
        return [self.k] if isinstance(self.k, int) else self.k


class ApplyUnits(Fields):
    """The vocabulary that speech is written in."""

    vocabulary: str = location(description="the output of a build that fits units, or one of its vocabularies")
    model: str | None = model_name(
        None, running=True, description="the folder of the vocabulary's HuBERT, where it is not of the hub"
    )


def fields_of(part: Fields, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """The values of a part of a recipe by name."""
    return {name: getattr(part, name) for name in type(part).model_fields if name not in but}
