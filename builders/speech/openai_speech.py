"""Speech from text by any endpoint that has OpenAI's /audio/speech: asked within limits and budget, paid once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from builders.llm import media
from builders.llm.request import SPEECH, Entry, Request
from builders.speech.audio import Sound, UnreadableAudio, decode
from builders.speech.speak import SpeakText, Utterance
from builders.step import Asks, Failed, Record, Rejected, Services

FORMAT = "wav"
"""Every server has it, and some nothing else that is lossless: vLLM-Omni, Kokoro-FastAPI, Groq, OpenAI."""


@dataclass
class OpenAiSpeech:
    """An Engine (see builders/speech/speak.py). `text_language`: what the texts are in; the endpoint does not tell.

    Two utterances of one text by one voice are one sound: no seed is sent.
    """

    model: str
    voices: Sequence[str]
    provider: str = "openai"
    text_language: str = "en"
    instructions: str | None = None
    speed: float | None = None
    _asks: Asks | None = None

    def language(self, voice: str) -> str:
        return self.text_language

    def setup(self, services: Services) -> None:
        self._asks = services.llm

    def requests(self, utterances: Sequence[Utterance]) -> list[Request]:
        return [Request(self.provider, SPEECH, self._body(one)) for one in utterances]

    def utter(self, utterances: Sequence[Utterance]) -> list[Sound | Rejected]:
        assert self._asks is not None, "nobody to ask"
        return [self._heard(self._asks, entry) for entry in self._asks.ask(self.requests(utterances))]

    def _body(self, one: Utterance) -> dict[str, Any]:
        body = {"model": self.model, "input": one.text, "voice": one.voice, "response_format": FORMAT}
        how = {"instructions": self.instructions, "speed": self.speed}
        return body | {name: value for name, value in how.items() if value is not None}

    def _heard(self, asks: Asks, entry: Entry) -> Sound | Rejected:
        if not entry.answered:
            return Failed(entry.outcome, entry.detail or "")
        try:
            sound = decode(asks.media(entry))
        except UnreadableAudio as error:
            return Failed("garbled_speech", f"{error}; {_mend(entry)}")
        if isinstance(sound, Rejected) and sound.reason == "empty_audio":
            return Failed("empty_speech", f"{sound.detail}; {_mend(entry)}")
        return sound


def _mend(entry: Entry) -> str:
    """What is paid for is asked for no more while it is there."""
    where = media.path_of(media.hash_of(entry) or "")
    return f"request {entry.hash}, which is asked again where {where} is deleted from the ledger"


@dataclass
class AskSpeech(SpeakText):
    """SpeakText by an endpoint: what it asks is known before it asks (see pipelines.dag.AskingStep)."""

    engine: OpenAiSpeech

    def requests(self, records: list[Record]) -> list[Request]:
        """What is asked about the records: for each as many requests as it has parts, or none where it is rejected."""
        return self.engine.requests(self.utterances(records))

    def expected_tokens(self, records: list[Record]) -> list[float]:
        """None: sound has no tokens, and is paid by the characters of its text."""
        return [0.0] * len(self.utterances(records))
