"""Who speaks a text."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from schemas.endpoint import Endpoint, SpeechPrice
from schemas.fields import BY_WORD, Fields, by_kind, model_name, running

Voices = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class EspeakTts(Fields):
    """espeak-ng: no weights, no network. Free, offline."""

    kind: Literal["espeak"] = "espeak"
    voices: Voices = Field(["en-us"], description="as en-us or en-gb+f3; one is drawn for each text")
    rate: int = Field(175, ge=80, le=450, description="words a minute")
    pitch: int = Field(50, ge=0, le=99)


class VitsTts(Fields):
    """A VITS model of transformers, as the voices of MMS-TTS are."""

    kind: Literal["vits"]
    model: str = model_name(min_length=1, description="a folder or hub id")
    voices: Voices = Field(["0"], description="numbers of speakers; one is drawn for each text")
    language: str = Field("en", min_length=1, description="what the model speaks; it does not tell")
    noise_scale: float | None = Field(
        None, ge=0, description="chance in the sound, 0 for none; the model's own, if unset"
    )
    noise_scale_duration: float | None = Field(
        None, ge=0, description="chance in the durations; the model's own, if unset"
    )
    speaking_rate: float | None = Field(None, gt=0, description="larger is faster; the model's own, if unset")


class OpenAiTts(Endpoint):
    """Any endpoint that has OpenAI's /audio/speech."""

    part: ClassVar = "tts"

    kind: Literal["openai"]
    voices: Voices = Field(description="as the endpoint names them; one is drawn for each text")
    language: str = Field("en", min_length=1, description="what the texts are in; the endpoint does not tell")
    instructions: str | None = Field(None, min_length=1, description="how to speak, for models that take it")
    speed: float | None = Field(None, ge=0.25, le=4, description="1 is the endpoint's own, if unset")
    prices: dict[str, SpeechPrice] = running(default_factory=dict, description="by model")

    @property
    def price(self) -> SpeechPrice | None:
        """The model's; None where the recipe has none."""
        return self.prices.get(self.model)


_Espeak = Annotated[EspeakTts, Tag("EspeakTts")]
_Vits = Annotated[VitsTts, Tag("VitsTts")]
_OpenAi = Annotated[OpenAiTts, Tag("OpenAiTts")]
Tts = Annotated[_Espeak | _Vits | _OpenAi, Discriminator(by_kind(EspeakTts, VitsTts, OpenAiTts)), BY_WORD]
