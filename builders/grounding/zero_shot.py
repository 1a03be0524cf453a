"""transformers' zero-shot detectors as a Detector: Grounding DINO, MM-Grounding-DINO, OWLv2, OWL-ViT, OmDet-Turbo.

Photos are decoded by a few threads of the worker that holds the model, and resized on its device. Prepared in a stage
of their own, as CLIP's are, they would be 3 MB each (800 x 1333) where their JPEG has 0.1, and a unit too much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

from builders.grounding.boxes import DECIMALS, Box, Detection, clip
from builders.grounding.detect import Found, Query
from builders.grounding.zero_shot_files import DetectorFiles
from builders.grounding.zero_shot_image import Pixels, Shape, pixels_of, shape_of
from builders.step import Rejected, Services
from schemas.errors import UserError

if TYPE_CHECKING:  # torch and transformers load in `setup`: not in every worker that unpickles the DAG
    import torch

    from builders.grounding.zero_shot_model import Adapter, Loaded, Pass

HALVED = "detector_halved"
"""1 for a pair of a smaller batch than the recipe says, for want of GPU memory: its scores may differ in the last
digits from those of another run."""
DROPPED = "dropped_most"
"""How many boxes a pair lost because its photo had more than the detector keeps."""

Numbers = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Row:
    """One pass of one query: what a batch is made of."""

    query: int
    shape: Shape
    text: Pass


@dataclass(frozen=True)
class _Launched:
    """A batch that runs, or has run. `boxes`: rows x boxes x 4 (centre, width and height, in 0..1 of what the model
    saw), `scores`: rows x boxes x spans; both on the CPU, and there once `done` is."""

    rows: Sequence[_Row]
    boxes: torch.Tensor
    scores: torch.Tensor
    halved: bool
    done: torch.cuda.Event | None

    def fetch(self) -> tuple[Numbers, Numbers]:
        if self.done:
            self.done.synchronize()
        boxes, scores = self.boxes.numpy(), self.scores.numpy()
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise ValueError("the detector's answer is no number")
        return boxes, scores


@dataclass
class ZeroShot:
    """A model of transformers; `adds` the columns HALVED and DROPPED.

    threshold: a span's box must score more; None is the model's own default.
    batch: passes that go through the model at once: photos, or stretches of a caption over the model's limit. A batch
        holds photos of one input size only: Swin sees padding, so that photos of mixed sizes would change each
        other's boxes. Within one call, they are grouped by that size, in the order in which sizes first come.
    multiple: where the model keeps a photo's aspect, its sides are rounded to multiples of so many pixels (a stretch of
        2% at most, but for the most elongated): otherwise hardly two photos of the web would share a batch. 1 is exact.
    precision: of the matrix products (autocast) on a GPU; boxes and scores are float32.
    over: how a caption's tokens make the score of a span, see zero_shot_model.
    most: boxes a photo, the best; 300 is what Grounding DINO's evaluation keeps (its `num_select`). Every span keeps
        its best one, so that none of a caption of many is lost. The others are counted.
    threads: that decode photos; torch's own, too, where there is no GPU.
    """

    files: DetectorFiles
    threshold: float | None = None
    batch: int = 8
    multiple: int = 32
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    over: Literal["mean", "max"] = "mean"
    most: int = 300
    threads: int = 2
    reads: ClassVar = ("image",)
    adds: ClassVar = {HALVED: pa.int32(), DROPPED: pa.int32()}
    _loaded: Loaded | None = field(default=None, repr=False)
    _adapter: Adapter | None = field(default=None, repr=False)

    def setup(self, services: Services) -> None:
        """Raises UserError for a model that is not whole, or a precision that this device has not."""
        from builders.grounding.zero_shot_model import load_detector

        where = self.files.where
        if self.precision != "fp32" and services.device != "cuda":
            raise UserError(f"{where}.precision: {self.precision} needs a GPU, and this worker has none; set fp32")
        self._asked = self.batch
        self._loaded = load_detector(self.files, services.device, self.precision)
        self._adapter = self._loaded.adapter(self.over)

    def detect(self, queries: Sequence[Query]) -> list[Found | Rejected]:
        import torch

        assert self._loaded is not None and self._adapter is not None, "setup was not called"
        if self._loaded.device.type == "cpu":
            torch.set_num_threads(self.threads)  # each time: the process may run a step that takes another number
        refused: dict[int, Rejected] = {}
        rows: list[_Row] = []
        for i, query in enumerate(queries):
            shape = shape_of(query.image or b"", self.files.size, self.multiple)
            if isinstance(shape, Rejected):
                refused[i] = shape
            else:
                rows += [_Row(i, shape, text) for text in self._adapter.passes(query.caption, query.spans)]
        boxes: list[list[Detection]] = [[] for _ in queries]
        dropped = [0] * len(queries)
        halved: set[int] = set()
        for one in _one_behind(self._launched(queries, rows, refused)):
            for row, box, score in zip(one.rows, *one.fetch(), strict=True):
                best, lost = self._best(self._detections(row, box, score[:, : len(row.text.spans)]))
                boxes[row.query] += best  # those of one pass only: a caption of many has more than memory may hold
                dropped[row.query] += lost
            halved.update(row.query for row in one.rows if one.halved)
        return [refused.get(i) or self._found(boxes[i], dropped[i], i in halved) for i in range(len(queries))]

    def _found(self, boxes: list[Detection], dropped: int, halved: bool) -> Found:
        best, lost = self._best(boxes)
        return Found(best, {HALVED: int(halved), DROPPED: dropped + lost})

    def _launched(
        self, queries: Sequence[Query], rows: Sequence[_Row], refused: dict[int, Rejected]
    ) -> Iterator[_Launched]:
        """Batch by batch; the photos of the next are decoded meanwhile. What cannot be decoded goes to `refused`."""
        batches = list(_batches(rows, self._asked))
        with ThreadPoolExecutor(self.threads, "photos") as pool:

            def begin(batch: Sequence[_Row]) -> dict[int, Future[Pixels | Rejected]]:
                wanted = dict.fromkeys(row.query for row in batch)
                return {i: pool.submit(pixels_of, queries[i].image or b"", self.files.size.largest) for i in wanted}

            coming = begin(batches[0] if batches else ())
            for number, batch in enumerate(batches, 1):
                photos = {i: one.result() for i, one in coming.items()}
                coming = begin(batches[number] if number < len(batches) else ())
                refused.update({i: one for i, one in photos.items() if isinstance(one, Rejected)})
                good = {i: one for i, one in photos.items() if not isinstance(one, Rejected)}
                yield from self._halving([row for row in batch if row.query in good], good)

    def _halving(self, rows: Sequence[_Row], photos: Mapping[int, Pixels]) -> Iterator[_Launched]:
        start = 0
        while start < len(rows):
            part = rows[start : start + self.batch]
            launched = self._try(part, photos)
            if launched:
                yield launched
                start += len(part)

    def _try(self, rows: Sequence[_Row], photos: Mapping[int, Pixels]) -> _Launched | None:
        """One batch, begun; None where it did not fit, and the batch is half now."""
        import torch

        try:
            return self._launch(rows, photos)
        except torch.OutOfMemoryError:
            pass  # let go of the exception first: its frames hold what filled the memory
        if len(rows) == 1:
            where = self.files.where
            mend = "set bf16, or take a smaller model" if self.precision == "fp32" else "take a smaller model"
            raise UserError(f"{where}.precision: the GPU cannot hold one photo in {self.precision}; {mend}")
        self.batch = (len(rows) + 1) // 2
        torch.cuda.empty_cache()
        return None

    def _launch(self, rows: Sequence[_Row], photos: Mapping[int, Pixels]) -> _Launched:
        import torch

        assert self._loaded is not None and self._adapter is not None, "setup was not called"
        plain = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), plain:
            seen = {row.query: row.shape for row in rows}
            tensors = {i: self._loaded.photo(photos[i], shape) for i, shape in seen.items()}
            stacked = torch.stack([tensors[row.query] for row in rows])
            boxes, scores = self._adapter(stacked, [row.text for row in rows])
            return _begun(rows, boxes, scores, self.batch < self._asked)

    def _detections(self, row: _Row, boxes: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]) -> list[Detection]:
        """Every box of a pass, for every span of it for which it scores enough."""
        rounded = np.round(scores.astype(np.float64), DECIMALS)
        least = self.files.family.threshold if self.threshold is None else self.threshold
        over = np.argwhere(rounded > least).tolist()
        padded = self.files.kind == "owlv2"
        places = {i: clip(_corners(boxes[i].tolist(), row.shape, padded)) for i in {i for i, _ in over}}
        return [
            Detection(row.text.spans[j], box, float(rounded[i, j])) for i, j in over if (box := places[i]) is not None
        ]

    def _best(self, found: list[Detection]) -> tuple[list[Detection], int]:
        """The best of every span, and of the others the best up to `most` in all, by span and score; and how many
        were more."""
        ranked = sorted(found, key=lambda one: (-one.score, one.span, one.box))
        first: dict[int, Detection] = {}
        others = [one for one in ranked if first.setdefault(one.span, one) is not one]
        best = [*first.values(), *others[: max(0, self.most - len(first))]]
        return sorted(best, key=lambda one: (one.span, -one.score, one.box)), len(found) - len(best)


def _begun(rows: Sequence[_Row], boxes: torch.Tensor, scores: torch.Tensor, halved: bool) -> _Launched:
    """Has the answers copied once they are there; a GPU goes on with the next batch meanwhile."""
    import torch

    if boxes.device.type == "cpu":
        return _Launched(rows, boxes, scores, halved, None)
    there, told = (torch.empty(one.shape, dtype=one.dtype, pin_memory=True) for one in (boxes, scores))
    there.copy_(boxes, non_blocking=True)
    told.copy_(scores, non_blocking=True)
    return _Launched(rows, there, told, halved, torch.cuda.current_stream().record_event())


def _one_behind(launched: Iterator[_Launched]) -> Iterator[_Launched]:
    """Each batch when the next has begun."""
    last: _Launched | None = None
    for one in launched:
        if last:
            yield last
        last = one
    if last:
        yield last


def _corners(box: Sequence[float], shape: Shape, padded: bool) -> Box:
    """Corners in 0..1 of the photo. `padded`: the model saw it at the upper left of a square."""
    x, y, w, h = box
    square = max(shape.width, shape.height)
    across, down = (square / shape.width, square / shape.height) if padded else (1.0, 1.0)
    return (x - w / 2) * across, (y - h / 2) * down, (x + w / 2) * across, (y + h / 2) * down


def _batches(rows: Sequence[_Row], batch: int) -> Iterator[Sequence[_Row]]:
    """At most `batch` rows of one input size each, sizes in the order in which they first come."""
    sizes: dict[tuple[int, int], list[_Row]] = {}
    for row in rows:
        sizes.setdefault(row.shape.seen, []).append(row)
    for same in sizes.values():
        for start in range(0, len(same), batch):
            yield same[start : start + batch]
