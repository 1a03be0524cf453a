"""What a HuBERT model (Hsu et al. 2021; mHuBERT too) holds of each frame of speech after one of its layers.

A batch is as good as one utterance at a time: the first convolution's GroupNorm, where a model has one, sees padding
whatever the mask, so the convolutions run utterance by utterance; only the transformer, which is masked, takes batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from builders.digest import digest_of
from builders.hub import model_folder, on_this_node, read_config
from builders.speech.audio import Sound
from builders.speech.features import RATE, FeatureSpec, at_rate
from schemas.errors import UserError, first_line

if TYPE_CHECKING:  # torch and transformers load with the model: not where its files are only looked for
    import torch

BATCH_SECONDS = {"cuda": 160.0, "cpu": 0.0}
"""Of speech, padding included, that go through the transformer at once; never less than one utterance. On a CPU more
than one are slower (a base model: 5.6 times real time a core, 4.3 with 160 s). Fixed: another cut may round otherwise.
"""
_CONFIG = "config.json"
_EXTRACTORS = ("preprocessor_config.json", "processor_config.json")
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
_UNUSED = {"masked_spec_embed"}
"""Weights of training alone, which a model may lack."""


@dataclass(frozen=True)
class HubertFiles:
    """A model on this machine. `decisive`: the files that identify it."""

    model: str
    layer: int
    folder: Path
    hz: float
    dimensions: int
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    decisive: tuple[Path, ...]

    def spec(self) -> FeatureSpec:
        """What a vocabulary of its features says of them: a hub id, or a folder's name. Reads all weights for a digest.

        Where a folder lies is of one machine, and would make equal vocabularies differ.
        """
        named = self.folder.name if Path(self.model).expanduser().is_dir() else self.model
        return FeatureSpec("hubert", self.hz, model=named, model_sha256=digest_of(self.decisive), layer=self.layer)

    def frames(self, samples: int) -> int:
        """How many frames so many samples at 16 kHz make."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples = (samples - kernel) // stride + 1
            if samples <= 0:
                return 0
        return samples


def find_hubert(model: str, layer: int, where: str = "units.") -> HubertFiles:
    """Finds, and fetches where need be, a model in transformers' layout: a folder, or `owner/name` on the hub.

    Raises UserError, one line that begins with the field (`where` and model or layer), where it is not there or whole.
    """
    folder = _folder(model, where)
    if not (folder / _CONFIG).is_file():
        raise UserError(
            f"{where}model: {folder} holds no {_CONFIG}, so it is no model; "
            "give the folder that holds it beside the weights, or the id of a model on the hub"
        )
    config = read_config(folder / _CONFIG, f"{where}model")
    if config.get("model_type") != "hubert":
        raise UserError(f"{where}model: {folder} is a {config.get('model_type')!r} model, not 'hubert'; give a HuBERT")
    try:
        kernels = tuple(int(n) for n in config["conv_kernel"])
        strides = tuple(int(n) for n in config["conv_stride"])
        layers, dimensions = int(config["num_hidden_layers"]), int(config["hidden_size"])
        if not strides or len(strides) != len(kernels) or min(*kernels, *strides) < 1:
            raise ValueError(f"conv_kernel {kernels}, conv_stride {strides}")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{where}model: {folder / _CONFIG} describes no HuBERT: {first_line(error)}") from None
    if config.get("conv_pos_batch_norm"):
        raise UserError(f"{where}model: {folder} has conv_pos_batch_norm, which sees padding; give another HuBERT")
    if not 1 <= layer <= layers:
        raise UserError(f"{where}layer: {layer}, but {model} has the layers 1 to {layers}")
    extractors = [folder / name for name in _EXTRACTORS if (folder / name).is_file()]
    if not extractors:
        raise UserError(f"{where}model: {folder} lacks {_EXTRACTORS[0]}, which says how sound is normalised; add it")
    weights = next((found for kind in _WEIGHTS if (found := sorted(folder.glob(kind)))), [])
    if not weights:
        raise UserError(f"{where}model: {folder} holds no weights; it needs model.safetensors")
    hz = RATE / math.prod(strides)
    decisive = (folder / _CONFIG, extractors[0], *weights)
    return HubertFiles(model, layer, folder, hz, dimensions, kernels, strides, decisive)


def _folder(model: str, where: str) -> Path:
    for weights in _WEIGHTS:
        folder = model_folder(model, f"{where}model", (_CONFIG, *_EXTRACTORS, weights, f"{weights}.index.json"))
        if any(folder.glob(weights)):
            break
    return folder


class Hubert:
    """One model on one device ("cuda" or "cpu"), cut off after its layer. Loaded once in each worker.

    `batch_seconds` may be set to less where memory does not suffice.
    On a CPU whoever makes it sets torch's threads: they belong to the worker. Raises UserError where the files hold
    another model, or do not hold all of it.
    """

    def __init__(self, files: HubertFiles, device: str, where: str = "units.") -> None:
        import torch

        from builders.torchvision_fix import complete_torchvision

        complete_torchvision()
        self.files = files
        self._extractor, self._model = _loaded(files, where)
        encoder = self._model.encoder
        encoder.layers = encoder.layers[: files.layer]
        if self._model.config.do_stable_layer_norm:
            encoder.layer_norm = torch.nn.Identity()  # it follows the last layer of all, and is none itself
        self.device = torch.device(device)
        self.batch_seconds = BATCH_SECONDS[device]
        self._model.eval().requires_grad_(False).to(self.device)

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        """Frames x dimensions, float32, of each sound; none of one that is too short for a frame."""
        found = dict(self.each(sounds))
        return [found[i] for i in range(len(sounds))]

    def each(self, sounds: Sequence[Sound]) -> Iterator[tuple[int, np.ndarray]]:
        """The same as (position, features), batch by batch and so in another order: no more than a batch is held.

        Raises ValueError where a sound is not at 16 kHz, torch.OutOfMemoryError where a batch does not fit: single
        utterances may fit then, and one that does not, of 10 minutes say, is no input for this model.
        """
        frames = [self.files.frames(len(at_rate(sound))) for sound in sounds]
        for i in (i for i, count in enumerate(frames) if not count):
            yield i, np.empty((0, self.files.dimensions), np.float32)
        for batch in _batches(frames, int(self.batch_seconds * self.files.hz)):
            found = self._run([sounds[i] for i in batch])
            for i, features in zip(batch, found, strict=True):
                yield i, features[: frames[i]]

    def _run(self, sounds: Sequence[Sound]) -> np.ndarray:
        """Sounds x the most frames x dimensions."""
        import torch

        plain = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), plain:
            fronts = [self._front(sound) for sound in sounds]
            lengths = torch.tensor([len(front) for front in fronts], device=self.device)
            hidden = torch.nn.utils.rnn.pad_sequence(fronts, batch_first=True)
            mask = torch.arange(hidden.shape[1], device=self.device) < lengths[:, None]
            found: np.ndarray = self._model.encoder(hidden, attention_mask=mask).last_hidden_state.cpu().numpy()
        if not np.isfinite(found).all():
            raise ValueError("the model's answer is no number")
        return found

    def _front(self, sound: Sound) -> torch.Tensor:
        """Frames x dimensions of one utterance, as the transformer wants them."""
        import torch

        values = self._extractor(sound.samples, sampling_rate=RATE, return_tensors="np")["input_values"]
        convolved = self._model.feature_extractor(torch.from_numpy(np.asarray(values, np.float32)).to(self.device))
        projected: torch.Tensor = self._model.feature_projection(convolved.transpose(1, 2))
        return projected[0]


def _batches(frames: Sequence[int], most: int) -> Iterator[list[int]]:
    """Positions of what has frames, longest first, cut where the longest times their number would be over `most`."""
    batch: list[int] = []
    for i in sorted((i for i, count in enumerate(frames) if count), key=lambda i: (-frames[i], i)):
        if batch and frames[batch[0]] * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _loaded(files: HubertFiles, where: str) -> tuple[Any, Any]:
    import torch
    from transformers import HubertModel, Wav2Vec2FeatureExtractor
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    folder = on_this_node(files.folder, files.decisive, f"{where}model")
    try:
        extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder, local_files_only=True)
        model, told = HubertModel.from_pretrained(
            folder,
            local_files_only=True,
            dtype=torch.float32,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    except Exception as error:  # transformers, torch and safetensors raise whatever they run into
        raise UserError(
            f"{where}model: {files.folder} could not be loaded as a HuBERT: {first_line(error)}; "
            "weights must be tensors of this architecture alone, best as safetensors"
        ) from None
    missing = sorted(set(told["missing_keys"]) - _UNUSED)
    if missing:
        raise UserError(
            f"{where}model: the weights in {files.folder} lack {len(missing)} of the model's tensors, {missing[0]} "
            "first; give the whole model"
        )
    if extractor.sampling_rate != RATE or extractor.feature_size != 1:
        raise UserError(f"{where}model: {files.folder} wants sound at {extractor.sampling_rate} Hz, not {RATE} Hz mono")
    return extractor, model
