"""How well photo and caption fit: the cosine of their CLIP embeddings (Radford et al. 2021), never times logit_scale.

Photos and captions are prepared on CPU workers (`PrepareImage`, `PrepareText`), and `ClipScore` runs beside the GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from builders.filters.clip_files import ClipSpec, HeadFile
from builders.filters.clip_image import PrepareImage
from builders.filters.score import DECIMALS, MinScore
from builders.step import Record, Result, Services
from schemas.errors import UserError

if TYPE_CHECKING:  # torch and open_clip load in `setup`: not in every worker that unpickles the DAG
    import torch

    from builders.filters.clip_model import ClipModel, ClipTokenizer

__all__ = ["ClipScore", "MinScore", "PrepareImage", "PrepareText"]

HALVED = "clip_halved"
"""1 for a pair that was scored in a smaller batch than the recipe says, for want of GPU memory: its score may differ in
the last digits from that of another run."""


@dataclass
class PrepareText:
    """Adds `_tokens`: the caption's ids, int32 x the model's context. On CPU workers: it is Python, and slow.

    `suffix` tells apart, in column and name, what is prepared for several models.
    """

    spec: ClipSpec
    column: str = "caption"
    suffix: str = ""
    _tokenizer: ClipTokenizer | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return f"prepare_text{self.suffix}"

    @property
    def reads(self) -> tuple[str]:
        return (self.column,)

    @property
    def adds(self) -> dict[str, pa.DataType]:
        return {f"_tokens{self.suffix}": pa.large_binary()}

    def setup(self, services: Services) -> None:
        from builders.filters.clip_model import ClipTokenizer

        self._tokenizer = ClipTokenizer(self.spec)

    def __call__(self, records: list[Record]) -> list[Result]:
        assert self._tokenizer is not None, "setup was not called"
        ids = self._tokenizer([record[self.column] for record in records])
        return [{f"_tokens{self.suffix}": each.tobytes()} for each in ids]


@dataclass
class ClipScore:
    """Adds the score, and where they are named, both embeddings (`dim` x float16) and the scores of heads.

    `masked`: the score of the photo without its text, too.

    `batch` pairs go through the model at once. Hand it many batches in one call: on a GPU the next is copied while
    one runs, and answers are fetched once. Too little GPU memory halves `batch` for the rest of the worker's life, and
    the pairs say so in `halved`; a score does not depend on it but for rounding. `threads` are CPU threads where there
    is no GPU. `pixels` and `tokens` name the columns that were prepared for this model.
    """

    spec: ClipSpec
    dim: int
    score: str = "clip_score"
    image_embedding: str | None = None
    text_embedding: str | None = None
    heads: Sequence[HeadFile] = ()
    masked: bool = False
    batch: int = 256
    threads: int = 1
    pixels: str = "_pixels"
    tokens: str = "_tokens"
    halved: str = HALVED
    _model: ClipModel | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.score

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.pixels, self.tokens, *(["_pixels_masked"] if self.masked else []))

    @property
    def adds(self) -> dict[str, pa.DataType]:
        embedding = pa.list_(pa.float16(), self.dim)
        named = [name for name in (self.image_embedding, self.text_embedding) if name]
        scores = [self.score, *([f"{self.score}_masked"] if self.masked else []), *(head.column for head in self.heads)]
        columns = dict.fromkeys(scores, pa.float64()) | dict.fromkeys(named, embedding)
        return columns | {self.halved: pa.int32()}

    def setup(self, services: Services) -> None:
        from builders.filters.clip_model import ClipModel
        from builders.filters.heads import load_head

        self._asked = self.batch
        self._model = ClipModel(self.spec, services.device)
        self._heads = [load_head(head, self.dim, self._model.device) for head in self.heads]

    def __call__(self, records: list[Record]) -> list[Result]:
        import torch

        assert self._model is not None, "setup was not called"
        if self._model.device.type == "cpu":
            torch.set_num_threads(self.threads)  # each time: the process may run a step that takes another number
        pending: list[dict[str, Any]] = []
        start = 0
        while start < len(records):
            part = records[start : start + self.batch]
            answer = self._try(part)
            if answer is not None:
                halved = torch.full((len(part),), self.batch < self._asked, dtype=torch.int32)
                pending.append(answer | {self.halved: halved})
                start += len(part)
        return [result for answer in pending for result in _rows(answer)]

    def _try(self, part: list[Record]) -> dict[str, Any] | None:
        """The answers of one batch, still on the device; None where they did not fit, and the batch is half now."""
        import torch

        try:
            return self._answer(part)
        except torch.OutOfMemoryError:
            pass  # let go of the exception first: its frames hold what filled the memory
        if len(part) == 1:
            where = self.spec.field
            precision = self.spec.precision
            mend = "set bf16, or take a smaller model" if precision == "fp32" else "take a smaller model"
            raise UserError(f"{where}.precision: the GPU cannot hold one pair in {precision}; {mend}")
        self.batch = (len(part) + 1) // 2
        torch.cuda.empty_cache()
        return None

    def _answer(self, part: list[Record]) -> dict[str, torch.Tensor]:
        import torch

        model = self._model
        assert model is not None, "setup was not called"
        high, wide = model.preprocess.size
        pixels = _packed([record[self.pixels] for record in part], np.uint8, (high, wide, 3), model.device)
        images = model.embed_images(pixels)
        texts = model.embed_texts(_packed([record[self.tokens] for record in part], np.int32, (-1,), model.device))
        with torch.inference_mode():
            found = {self.score: (images * texts).sum(-1)}
            if self.masked:
                found[f"{self.score}_masked"] = self._masked(part, found[self.score], texts)
            found |= {head.column: run(images)[:, 0] for head, run in zip(self.heads, self._heads, strict=True)}
            for name, embedding in ((self.image_embedding, images), (self.text_embedding, texts)):
                if name:
                    found[name] = embedding.half()
        return found

    def _masked(self, part: list[Record], scores: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """The scores with text masked: those of photos that show none are the plain ones."""
        model = self._model
        assert model is not None, "setup was not called"
        masked = [i for i, record in enumerate(part) if record["_pixels_masked"] is not None]
        scores = scores.clone()
        if masked:
            shape = (*model.preprocess.size, 3)
            pixels = _packed([part[i]["_pixels_masked"] for i in masked], np.uint8, shape, model.device)
            scores[masked] = (model.embed_images(pixels) * texts[masked]).sum(-1)
        return scores


def _packed(
    rows: Sequence[bytes], kind: type[np.generic], shape: tuple[int, ...], device: torch.device
) -> torch.Tensor:
    """Rows of equal length as one tensor; where a GPU takes it, in pinned memory, from which it is copied unnoticed."""
    import torch

    whole = torch.empty((len(rows), len(rows[0])), dtype=torch.uint8, pin_memory=device.type == "cuda")
    view = whole.numpy()
    for i, row in enumerate(rows):
        view[i] = np.frombuffer(row, np.uint8)
    typed = whole.view(torch.int32) if kind is np.int32 else whole
    return typed.view(len(rows), *shape)


def _rows(answer: dict[str, torch.Tensor]) -> list[Result]:
    columns: dict[str, Sequence[Any]] = {}
    for name, values in answer.items():
        fetched = values.cpu().numpy()
        if not np.isfinite(fetched).all():
            raise ValueError(f"{name}: the model's answer is no number")
        if fetched.ndim > 1:
            columns[name] = list(fetched)
        elif np.issubdtype(fetched.dtype, np.integer):
            columns[name] = fetched.tolist()
        else:
            columns[name] = [round(float(value), DECIMALS) for value in fetched]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
