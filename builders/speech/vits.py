"""Speech from text by a VITS model (Kim et al. 2021) of transformers, as the voices of MMS-TTS are."""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.hub import model_folder, on_this_node
from builders.speech.audio import Sound
from builders.speech.speak import Utterance
from builders.step import Failed, Rejected, Services
from schemas.errors import UserError

_FILES = ("*.json", "*.safetensors")


@dataclass
class Vits:
    """An Engine (see builders/speech/speak.py) at the model's own rate.

    folder, files: of a VitsModel and its tokenizer, as `find_vits` found them.
    voices: numbers of speakers, "0" where the model has one.
    text_language: what the model speaks; it does not tell.
    noise_scale, noise_scale_duration: how much chance is in sound and durations, 0 for none; None as the model says.
    speaking_rate: larger is faster; None as the model says.
    threads: of the CPU where there is no GPU.
    """

    folder: Path
    files: tuple[Path, ...]
    voices: Sequence[str] = ("0",)
    text_language: str = "en"
    noise_scale: float | None = None
    noise_scale_duration: float | None = None
    speaking_rate: float | None = None
    threads: int = 1
    _loaded: Any = field(default=None, init=False, repr=False, compare=False)
    _tokenizer: Any = field(default=None, init=False, repr=False, compare=False)

    def language(self, voice: str) -> str:
        return self.text_language

    def setup(self, services: Services) -> None:
        """Raises UserError for a model that is not there or not whole, and for a voice that it lacks."""
        self._tokenizer, model = _load(on_this_node(self.folder, self.files, "tts.model"))
        speakers = max(model.config.num_speakers, 1)
        wrong = [voice for voice in self.voices if not voice.isdecimal() or int(voice) >= speakers]
        if wrong:
            raise UserError(f"tts.voices: {self.folder} has no speaker {wrong[0]!r}, only 0..{speakers - 1}")
        for name in ("noise_scale", "noise_scale_duration", "speaking_rate"):
            if (value := getattr(self, name)) is not None:
                setattr(model, name, value)
        self._loaded = model.to(services.device).eval().requires_grad_(False)

    def utter(self, utterances: Sequence[Utterance]) -> list[Sound | Rejected]:
        return [self._utter(one) for one in utterances]

    def _utter(self, one: Utterance) -> Sound | Rejected:
        import torch

        if self._loaded.device.type == "cpu":
            torch.set_num_threads(self.threads)  # each time: the process may run a step that takes another number
        missing = self._missing(one.text)
        if missing:
            return Rejected("not_in_vocabulary", f"the model's vocabulary has no {missing!r}")
        model = self._loaded
        inputs = self._tokenizer(one.text, return_tensors="pt").to(model.device)
        if not inputs["input_ids"].numel():
            return Failed("not_spoken", "the model's tokenizer left nothing of the text")
        speaker = int(one.voice) if model.config.num_speakers > 1 else None
        devices = [model.device] if model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(one.seed)  # the model draws from the global generator
            found = model(**inputs, speaker_id=speaker)
        length = int(found.sequence_lengths[0])
        return Sound(found.waveform[0, :length].float().cpu().numpy(), model.config.sampling_rate)

    def _missing(self, text: str) -> str:
        """What is said, letters, digits and signs, but the tokenizer would leave out without a word."""
        tokenizer = self._tokenizer
        if tokenizer.phonemize or tokenizer.is_uroman:
            return ""
        seen = text if not tokenizer.normalize else tokenizer.normalize_text(text)
        said = {c for c in seen if unicodedata.category(c)[0] in "LNS" or c in "%&#@§"}
        return "".join(sorted(said - tokenizer.encoder.keys()))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_loaded": None, "_tokenizer": None}


def find_vits(model: str) -> tuple[Path, tuple[Path, ...]]:
    """The folder of a model, and its files, which identify it. Raises UserError where it is not there."""
    folder = model_folder(model, "tts.model", _FILES)
    files = tuple(sorted(file for pattern in _FILES for file in folder.glob(pattern)))
    if not any(file.suffix == ".safetensors" for file in files):
        raise UserError(f"tts.model: {folder} holds no safetensors; give a folder or hub id of a VitsModel with them")
    return folder, files


def _load(folder: Path) -> tuple[Any, Any]:
    from builders.torchvision_fix import complete_torchvision

    complete_torchvision()
    from transformers import AutoConfig, VitsModel, VitsTokenizer

    try:
        kind = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False).model_type
        if kind != "vits":
            raise ValueError(f"it is a {kind}, not a vits")
        tokenizer = VitsTokenizer.from_pretrained(folder, local_files_only=True)
        loaded, told = VitsModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        if lacking := sorted(map(str, [*told["missing_keys"], *told["mismatched_keys"]])):
            raise ValueError(f"its weights lack {len(lacking)} tensors, {lacking[0]} among them")
    except Exception as error:  # transformers, safetensors and the hub's client raise whatever they run into
        told = " ".join(str(error).split())[:200]
        raise UserError(
            f"tts.model: {folder} could not be loaded as VITS: {told}; give a folder or hub id of a VitsModel with "
            "safetensors and its tokenizer"
        ) from None
    for wanted, package in ((tokenizer.phonemize, "phonemizer"), (tokenizer.is_uroman, "uroman")):
        if wanted and not _there(package):
            raise UserError(f"tts.model: the tokenizer of {folder} needs the package {package}; pip install {package}")
    return tokenizer, loaded


def _there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
