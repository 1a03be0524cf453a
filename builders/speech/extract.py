"""The two ways to make features of speech, as a step uses them: MFCC, or a HuBERT model on a worker's device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from builders.speech.audio import Sound
from builders.speech.features import MFCC_DIMENSIONS, FeatureSpec, mfcc, mfcc_frames, mfcc_spec
from builders.speech.hubert import Hubert, HubertFiles
from builders.step import Services


class Extractor(Protocol):
    """Makes features of sounds at 16 kHz. Pickled into each worker, loaded there."""

    @property
    def spec(self) -> FeatureSpec:
        """Which features they are."""

    @property
    def dimensions(self) -> int:
        """Of a frame."""

    @property
    def halved(self) -> bool | None:
        """Whether batches are smaller than they were, for want of GPU memory; None where there are none."""

    def frames(self, samples: int) -> int:
        """How many frames so many samples make."""

    def setup(self, services: Services) -> None:
        """Loads the model, once in each worker."""

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        """Frames x dimensions of each, float32; none of one that is too short. It depends on that sound alone."""


@dataclass(frozen=True)
class Mfcc:
    """See builders/speech/features.py."""

    subtract_mean: bool = False

    @property
    def dimensions(self) -> int:
        return MFCC_DIMENSIONS

    @property
    def halved(self) -> None:
        return None

    @property
    def spec(self) -> FeatureSpec:
        return mfcc_spec(self.subtract_mean)

    def frames(self, samples: int) -> int:
        return mfcc_frames(samples)

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        return [mfcc(sound, self.subtract_mean) for sound in sounds]


@dataclass
class HubertLayer:
    """See builders/speech/hubert.py. On a CPU a worker computes with `threads` threads: others would round otherwise.

    Too little GPU memory halves the seconds of speech in a batch for the rest of the worker's life.
    """

    files: HubertFiles
    threads: int = 1
    halved: bool = field(default=False, init=False)
    _model: Hubert | None = field(default=None, init=False, repr=False, compare=False)

    @cached_property
    def spec(self) -> FeatureSpec:
        return self.files.spec()

    @property
    def dimensions(self) -> int:
        return self.files.dimensions

    def frames(self, samples: int) -> int:
        return self.files.frames(samples)

    def setup(self, services: Services) -> None:
        """Raises UserError for a model that is not whole."""
        self._model = Hubert(self.files, services.device)

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        import torch

        assert self._model is not None, "not set up"
        if self._model.device.type == "cpu":
            torch.set_num_threads(self.threads)  # each time: the process may run a step that takes another number
        found: dict[int, np.ndarray] = {}
        while left := [i for i in range(len(sounds)) if i not in found]:
            try:
                for position, features in self._model.each([sounds[i] for i in left]):
                    found[left[position]] = features
                continue
            except torch.OutOfMemoryError:
                if self._model.batch_seconds < max(sounds[i].seconds for i in left if i not in found):
                    raise  # it was alone
            # only now is the exception let go of, whose frames hold what filled the memory
            self._model.batch_seconds /= 2
            self.halved = True
            torch.cuda.empty_cache()
        return [found[i] for i in range(len(sounds))]
