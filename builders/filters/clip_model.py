"""open_clip's models, loaded once in each worker: captions to tokens, photos and tokens to embeddings.

Pickled checkpoints are read by torch with `weights_only`, which builds tensors and nothing else.
"""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from builders.filters.clip_files import ClipFiles, ClipSpec, find_clip, open_clip, preprocess_of
from schemas.errors import UserError, first_line

_WORDS_MAX = 200_000
"""Words whose tokens open_clip's tokenizer may remember; it forgets none by itself."""
_CHARS_A_TOKEN = 32
"""A word of so many characters for each token of context fills it: what follows is cut, because merging pairs takes
quadratic time in a word."""


class ClipTokenizer:
    """Captions to token ids (N x context, int32), as open_clip's tokenizer of the model has them."""

    def __init__(self, spec: ClipSpec) -> None:
        files = find_clip(spec)
        self._tokenize = _fetched_tokenizer(spec, files)
        self._chars = _CHARS_A_TOKEN * int(self._tokenize.context_length)
        self._long = re.compile(rf"\S{{{self._chars}}}")

    def __call__(self, captions: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int32]]:
        cache = getattr(self._tokenize, "cache", None)
        if cache is not None and len(cache) > _WORDS_MAX:
            special = {self._tokenize.decoder[i] for i in self._tokenize.all_special_ids}
            self._tokenize.cache = {word: word for word in special}
        ids = self._tokenize([self._bounded(caption) for caption in captions])
        return np.ascontiguousarray(ids.numpy(), dtype=np.int32)

    def _bounded(self, caption: str) -> str:
        plain = html.unescape(html.unescape(caption))  # as open_clip cleans it before it looks for words
        long = self._long.search(plain)
        return plain[: long.start() + self._chars] if long else caption


def _fetched_tokenizer(spec: ClipSpec, files: ClipFiles) -> Any:
    oc = open_clip()
    try:
        return oc.get_tokenizer(files.name)
    except Exception as error:  # transformers and the hub's client raise whatever they like
        raise UserError(
            f"{spec.field}.model: the tokenizer of {spec.model} is not there: {first_line(error)}"
        ) from None


class ClipModel:
    """Both towers on one device. Embeddings are float32 and L2-normalised; a score is their dot product."""

    def __init__(self, spec: ClipSpec, device: str) -> None:
        if spec.precision != "fp32" and device != "cuda":
            raise UserError(f"{spec.field}.precision: {spec.precision} needs a GPU, and this worker has none; set fp32")
        files = find_clip(spec)
        self.device = torch.device(device)
        self.preprocess, self.dim = files.preprocess, files.dim
        self._model = _created(spec, files, device).eval().requires_grad_(False)
        seen = self._model.visual.preprocess_cfg
        if preprocess_of({"vision_cfg": {"image_size": seen["size"]}}, seen) != files.preprocess:
            raise UserError(f"{spec.field}.model: {spec.model} wants {seen}, not {files.preprocess}: report this")
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[spec.precision]
        self._format = torch.contiguous_format
        if spec.channels_last:
            self._format = torch.channels_last
            self._model.to(memory_format=torch.channels_last)
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(self.preprocess.mean, device=self.device).view(shape)
        self._std = torch.tensor(self.preprocess.std, device=self.device).view(shape)

    @torch.inference_mode()
    def embed_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """N x height x width x 3 uint8, on any device -> N x dim."""
        moved = pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        images = moved.to(torch.float32).div_(255).sub_(self._mean).div_(self._std)
        return self._unit(self._model.encode_image(images.to(self._dtype).contiguous(memory_format=self._format)))

    @torch.inference_mode()
    def embed_texts(self, tokens: torch.Tensor) -> torch.Tensor:
        """N x context int32, on any device -> N x dim."""
        return self._unit(self._model.encode_text(tokens.to(self.device, non_blocking=True).long()))

    @staticmethod
    def _unit(features: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(features.float(), dim=-1)


_drawing = threading.Lock()


def _created(spec: ClipSpec, files: ClipFiles, device: str) -> Any:
    create = open_clip().create_model
    kind: dict[str, Any] = {"precision": spec.precision, "pretrained_image": False, "pretrained_text": False}
    try:
        if spec.random_seed is not None:
            with _drawing, torch.random.fork_rng(devices=[]):
                torch.manual_seed(spec.random_seed)
                return create(files.name, load_weights=False, **kind).to(device)
        return create(files.name, pretrained=files.weights, device=device, require_pretrained=True, **kind)
    except torch.OutOfMemoryError as error:
        raise UserError(f"{spec.field}.model: {spec.model} does not fit on the GPU: {first_line(error)}") from None
    except Exception as error:  # open_clip, torch and safetensors raise whatever they run into
        part = "pretrained" if spec.pretrained else "model"
        raise UserError(
            f"{spec.field}.{part}: {files.weights or files.name} could not be loaded as {spec.model}: "
            f"{first_line(error)}; weights must be tensors of this architecture alone, best as safetensors"
        ) from None
