"""GLIP as a Detector: photos are decoded, sorted by the size at which it sees them, and asked about in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

import pyarrow as pa

from builders.grounding.boxes import DECIMALS, Detection, clip
from builders.grounding.detect import Found, Query
from builders.grounding.glip.files import GlipFiles
from builders.grounding.zero_shot import DROPPED, HALVED
from builders.grounding.zero_shot_files import InputSize
from builders.grounding.zero_shot_image import Pixels, Shape, pixels_of, shape_of
from builders.step import Rejected, Services

if TYPE_CHECKING:  # torch loads in `setup`: not in every worker that unpickles the DAG
    from builders.grounding.glip import detector as glip

SIZE = InputSize(shortest=800, longest=1333)
"""What photos are resized to (GLIP's configs, INPUT.MIN_SIZE_TEST and MAX_SIZE_TEST)."""


@dataclass
class GlipDetector:
    """A released GLIP; `adds` the columns of the other models, HALVED and DROPPED.

    It keeps the hundred boxes of a photo that score best, whosever they are, as the original does: a chunk all of whose
    boxes score less than those of others has none left. DROPPED counts what was lost so.

    batch: photos that go through it at once, all of one padded size: those are sorted by it within one call, in the
        order in which sizes first come.
    threads: that decode photos; torch's own, too, where there is no GPU.
    """

    files: GlipFiles
    batch: int = 4
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    threads: int = 2
    reads: ClassVar = ("image",)
    adds: ClassVar[Mapping[str, pa.DataType]] = {HALVED: pa.int32(), DROPPED: pa.int32()}
    _glip: glip.Glip | None = field(default=None, repr=False)

    def setup(self, services: Services) -> None:
        """Raises UserError for a checkpoint that does not fit, or a precision that this device has not."""
        import torch

        from builders.grounding.glip.detector import Glip

        if services.device == "cpu":
            torch.set_num_threads(self.threads)
        self._glip = Glip(self.files, services.device, self.batch, self.precision)

    def detect(self, queries: Sequence[Query]) -> list[Found | Rejected]:
        found: dict[int, Found | Rejected] = {}
        shapes: dict[int, Shape] = {}
        for i, query in enumerate(queries):
            shape = shape_of(query.image or b"", SIZE, 1)
            if isinstance(shape, Rejected):
                found[i] = shape
            else:
                shapes[i] = shape
        with ThreadPoolExecutor(self.threads, "photos") as pool:
            for part in _batches(shapes, self.batch):
                read = pool.map(lambda i: pixels_of(queries[i].image or b"", SIZE.largest), part)
                photos = dict(zip(part, read, strict=True))
                found |= {i: one for i, one in photos.items() if isinstance(one, Rejected)}
                good = {i: one for i, one in photos.items() if not isinstance(one, Rejected)}
                found |= self._found({i: queries[i] for i in good}, good)
        return [found[i] for i in range(len(queries))]

    def _found(self, queries: Mapping[int, Query], photos: Mapping[int, Pixels]) -> dict[int, Found | Rejected]:
        from PIL import Image

        assert self._glip is not None, "setup was not called"
        images = [Image.fromarray(photo) for photo in photos.values()]
        captions = [query.caption for query in queries.values()]
        answers = self._glip.detect(images, captions, [query.spans for query in queries.values()])
        halved = int(self._glip.batch < self.batch)
        return {i: _photos_found(each, halved) for i, each in zip(queries, answers, strict=True)}


def _photos_found(answer: Sequence[glip.Found], halved: int) -> Found:
    return Found(_detections(answer), {HALVED: halved, DROPPED: sum(one.dropped for one in answer)})


def _detections(answer: Sequence[glip.Found]) -> list[Detection]:
    return [
        Detection(span, clipped, round(score, DECIMALS))
        for span, one in enumerate(answer)
        for box, score in zip(one.boxes, one.scores, strict=True)
        if (clipped := clip(box)) is not None
    ]


def _batches(shapes: Mapping[int, Shape], batch: int) -> Iterator[list[int]]:
    """At most `batch` queries whose photos are padded to one size each."""
    from builders.grounding.glip.preprocess import fitted

    same: dict[tuple[int, int], list[int]] = {}
    for i, shape in shapes.items():
        same.setdefault(fitted(shape.width, shape.height).padded, []).append(i)
    for these in same.values():
        for start in range(0, len(these), batch):
            yield these[start : start + batch]
