"""A GLIP at work: photos, captions and the spans of their phrases in, boxes and scores out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from PIL import Image

from builders.grounding.glip.checkpoint import load_model
from builders.grounding.glip.config import VARIANTS
from builders.grounding.glip.files import GlipFiles
from builders.grounding.glip.postprocess import Boxes, boxes_of
from builders.grounding.glip.preprocess import Fitted, prepared
from builders.grounding.glip.spans import CaptionTokenizer, Span, Text
from builders.hub import on_this_node
from schemas.errors import UserError

Precision = Literal["fp32", "bf16", "fp16"]
Box = tuple[float, float, float, float]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Found:
    """The boxes of a span (x1, y1, x2, y2 in 0..1 of the upright photo) and the score of each, best first.

    `dropped` counts those that were too many for the photo.
    """

    boxes: list[Box] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    dropped: int = 0


@dataclass(frozen=True)
class _Pass:
    """One image and what of its caption is read at once."""

    image: int
    size: Fitted
    text: Text


class Glip:
    """One GLIP on one device ("cuda" or "cpu"), loaded once in each worker. Who runs it sets the threads of a CPU.

    `batch` images of one padded size go through it at once. Too little GPU memory halves `batch` for the rest of its
    life; boxes do not depend on it but for rounding.
    """

    def __init__(self, files: GlipFiles, device: str, batch: int, precision: Precision = "fp32") -> None:
        if precision != "fp32" and device != "cuda":
            raise UserError(f"{files.where}.precision: {precision} needs a GPU, and this worker has none; set fp32")
        words = on_this_node(files.vocabulary.parent, [files.vocabulary], f"{files.where}.tokenizer")
        files = replace(files, vocabulary=words / files.vocabulary.name)
        self.files, self.batch, self.precision = files, batch, precision
        config = VARIANTS[files.variant]
        self._tokenizer = CaptionTokenizer(files, config.vocabulary)
        self._device = torch.device(device)
        self._model = load_model(files.checkpoint, config, files.where, _DTYPES[precision]).to(self._device)

    def detect(
        self, images: Sequence[Image.Image], captions: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> list[list[Found]]:
        """What is found for each span (of characters) of each image's caption.

        The images are upright RGB photos as preprocess.resized leaves them. A span that no token belongs to has no
        boxes.
        """
        found = [[Found() for _ in each] for each in spans]
        passes = [
            _Pass(i, Fitted(*image.size), text)
            for i, (image, caption, each) in enumerate(zip(images, captions, spans, strict=True))
            for text in self._tokenizer(caption, each)
        ]
        passes.sort(key=lambda one: (one.size.padded, len(one.text.ids)))
        while passes:
            shape = passes[0].size.padded
            part = [one for one in passes[: self.batch] if one.size.padded == shape]
            answers = self._try(part, images)
            if answers is not None:
                for one, answer in zip(part, answers, strict=True):
                    _place(answer, one, found[one.image])
                passes = passes[len(part) :]
        return found

    def _try(self, part: Sequence[_Pass], images: Sequence[Image.Image]) -> list[Boxes] | None:
        """The boxes of each; None where they did not fit into memory, and `batch` is smaller now."""
        try:
            return self._run(part, images)
        except torch.OutOfMemoryError:
            pass  # let go of the exception first: its frames hold what filled the memory
        if len(part) == 1:
            raise UserError(self._too_small())
        self.batch = (len(part) + 1) // 2
        torch.cuda.empty_cache()
        return None

    def _too_small(self) -> str:
        """Names what of the recipe may still be changed."""
        where, full, large = self.files.where, self.precision == "fp32", self.files.variant == "L"
        field = f"{where}.precision" if full else f"{where}.variant" if large else where
        smaller = "take GLIP-T" if large else "take a larger GPU"
        mend = f"set bf16, or {smaller}" if full else smaller
        return f"{field}: the GPU cannot hold one photo in {self.precision}; {mend}"

    @torch.inference_mode()
    def _run(self, part: Sequence[_Pass], images: Sequence[Image.Image]) -> list[Boxes]:
        pixels = torch.stack([prepared(images[one.image]) for one in part])
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(one.text.ids) for one in part], batch_first=True)
        lengths = torch.tensor([len(one.text.ids) for one in part])
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            levels = self._model(*(tensor.to(self._device) for tensor in (pixels, ids, mask)))
        said = (values for level in levels for values in (level.logits, level.boxes, level.centerness))
        if not all(bool(values.isfinite().all()) for values in said):
            raise ValueError("the model's answer is no number")
        phrases = [list(one.text.phrases.values()) for one in part]
        return [boxes_of(levels, i, phrases[i], one.size.width, one.size.height) for i, one in enumerate(part)]


def _place(answer: Boxes, one: _Pass, found: Sequence[Found]) -> None:
    """Hands each box, in 0..1, to its span. One that lies beside the photo has no width left, and is none."""
    spans = list(one.text.phrases)
    sides = answer.boxes.new_tensor([one.size.width, one.size.height] * 2)
    for (x1, y1, x2, y2), score, phrase in zip(
        (answer.boxes / sides).tolist(), answer.scores.tolist(), answer.phrases.tolist(), strict=True
    ):
        if x2 > x1 and y2 > y1:
            found[spans[phrase]].boxes.append((x1, y1, x2, y2))
            found[spans[phrase]].scores.append(score)
    for phrase in answer.dropped.tolist():
        found[spans[phrase]].dropped += 1
