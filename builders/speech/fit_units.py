"""The fit of unit vocabularies: which utterances are drawn, and the folders that the vocabularies are written to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from builders.fit import Artefact, Drawn
from builders.speech.extract import Extractor
from builders.speech.kmeans import FRAMES_A_UNIT, Sample, draw_sample, fit
from builders.speech.steps import from_npy


@dataclass(frozen=True)
class FitUnits:
    """Fits a vocabulary for each of `ks` over the same frames. Each is a folder `k100`, say; see vocabulary.py."""

    extractor: Extractor
    ks: Sequence[int]
    seed: int
    reads: ClassVar = ("key", "frames")
    same: ClassVar = "audio_sha256"

    @property
    def intended(self) -> str:
        ks = ", ".join(f"{k:,}" for k in self.ks)
        least = FRAMES_A_UNIT * max(self.ks)
        return f"{ks} units, of a tenth of the utterances, or as many as have {least:,} frames"

    def draw(self, index: pa.Table) -> Drawn:
        frames = dict(zip(index["key"].to_pylist(), index["frames"].to_pylist(), strict=True))
        sample = draw_sample(frames, self.ks, self.seed)
        facts = {"utterances": len(sample.keys), "of": sample.of, "frames": sample.frames}
        told = f"units: fitted on {len(sample.keys):,} of {sample.of:,} utterances, {sample.frames:,} frames"
        return Drawn(sample.keys, told, facts, (sample.warning,) if sample.warning else ())

    def make(self, drawn: Drawn, members: Mapping[str, bytes]) -> Artefact:
        sample = Sample(drawn.keys, drawn.facts["frames"], drawn.facts["of"])
        vocabularies = fit(_Features(members), sample, self.ks, self.extractor.spec, self.seed)
        files = {f"k{one.k}/{name}": data for one in vocabularies for name, data in one.files().items()}
        told = {f"k{one.k}": {name: one.sample[name] for name in ("distortion", "unused")} for one in vocabularies}
        each = [f"{k} (distortion {one['distortion']:,}, {one['unused']} unused)" for k, one in told.items()]
        line = "; ".join([f"{drawn.told}: {', '.join(each)}", *drawn.warnings])
        return Artefact(files, line, {**drawn.facts, "warnings": list(drawn.warnings), "vocabularies": told})


@dataclass(frozen=True)
class _Features(Mapping[str, np.ndarray]):
    """Features by key, read when they are asked for."""

    members: Mapping[str, bytes]

    def __getitem__(self, key: str) -> np.ndarray:
        return from_npy(self.members[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)
