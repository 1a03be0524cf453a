"""GLIP as a Detector: photos are decoded, sorted by the size at which it sees them, and asked about in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

import pyarrow as pa
from PIL.Image import Image

from builders.grounding.boxes import DECIMALS, Detection, clip
from builders.grounding.detect import Found, Query
from builders.grounding.glip.files import GlipFiles
from builders.grounding.zero_shot import DROPPED, HALVED
from builders.grounding.zero_shot_files import InputSize
from builders.grounding.zero_shot_image import viewed
from builders.sources.images import decoded, look, upright
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
    _on_cpu: bool = field(default=False, repr=False)

    def setup(self, services: Services) -> None:
        """Raises UserError for a checkpoint that does not fit, or a precision that this device has not."""
        from builders.grounding.glip.detector import Glip

        self._glip = Glip(self.files, services.device, self.batch, self.precision)
        self._on_cpu = services.device == "cpu"

    def detect(self, queries: Sequence[Query]) -> list[Found | Rejected]:
        import torch

        assert self._glip is not None, "setup was not called"
        if self._on_cpu:
            torch.set_num_threads(self.threads)  # each time: the process may run a step that takes another number
        found: dict[int, Found | Rejected] = {}
        sizes: dict[int, tuple[int, int]] = {}
        for i, query in enumerate(queries):
            size = viewed(query.image or b"")
            if isinstance(size, Rejected):
                found[i] = size
            else:
                sizes[i] = size
        with ThreadPoolExecutor(self.threads, "photos") as pool:
            for part in _batches(sizes, self.batch):
                read = pool.map(lambda i: decoded(queries[i].image or b"", _resized), part)
                photos = dict(zip(part, read, strict=True))
                found |= {i: one for i, one in photos.items() if isinstance(one, Rejected)}
                good = {i: one for i, one in photos.items() if not isinstance(one, Rejected)}
                found |= self._found({i: queries[i] for i in good}, good)
        return [found[i] for i in range(len(queries))]

    def _found(self, queries: Mapping[int, Query], photos: Mapping[int, Image]) -> dict[int, Found | Rejected]:
        assert self._glip is not None, "setup was not called"
        captions = [query.caption for query in queries.values()]
        answers = self._glip.detect(list(photos.values()), captions, [query.spans for query in queries.values()])
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


def _resized(image: Image) -> Image | Rejected:
    """Resized at once, whatever its size: beside the photos that are being decoded, none is held whole."""
    from builders.grounding.glip.preprocess import resized

    seen = look(image)
    return seen if isinstance(seen, Rejected) else resized(upright(image, seen))


def _batches(sizes: Mapping[int, tuple[int, int]], batch: int) -> Iterator[list[int]]:
    """At most `batch` queries whose photos are padded to one size each."""
    from builders.grounding.glip.preprocess import fitted

    same: dict[tuple[int, int], list[int]] = {}
    for i, size in sizes.items():
        same.setdefault(fitted(*size).padded, []).append(i)
    for these in same.values():
        for start in range(0, len(these), batch):
            yield these[start : start + batch]
