"""What a step of training sees: captions drawn true and false, what they tell as labels, pictures varied."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scene_edits import OPPOSITE, Edits, Words
from scene_shards import Examples
from torch import Tensor

RARE = 40
"""What fewer pictures' captions tell is no label."""
EASY = 2
"""Pictures of which no caption tells more, background included, come first."""
PLACED = 4.0
"""How much more a label weighs that tells where a thing lies: few captions have one."""
GIVEN = 0.6
"""How often the shard's own false caption is taken, where the true one is what it was made of."""
SHIFT = 3
"""How far a picture is moved, at most, in pixels."""
LIGHT, CONTRAST, GRAIN = 0.1, 0.05, 0.07
"""How much lighter, stronger and grainier a picture gets, in deviations."""


class Captions:
    """The captions of all examples. A label is a word of a thing or background, two of one phrase, or a place."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples
        pairs = (exchanged.split(">") for exchanged in examples.exchanged)
        self._edits = Edits((old, new) for old, new in pairs)
        told = [set().union(*map(self._features, true)) for true in examples.true]
        counts = Counter(feature for features in told for feature in features)
        names = sorted(feature for feature, count in counts.items() if count >= RARE)
        self._number = {name: k for k, name in enumerate(names)}
        self.weights = torch.tensor([PLACED if name.split()[-1] in OPPOSITE else 1.0 for name in names])
        self._told = [self._numbers(features) for features in told]
        things = [max(len(self._edits.runs(words)) for words in true) for true in examples.true]
        self.easy: list[int] = np.flatnonzero(np.array(things) <= EASY).tolist()

    @property
    def label_count(self) -> int:
        return len(self._number)

    def draw(self, i: int, chance: random.Random) -> tuple[Words, Words, Words]:
        """A true caption of picture `i` and two false ones: a word exchanged, and two words or things."""
        options, own = self._examples.true[i], self._examples.false[i]
        k = chance.randrange(len(options))
        true = options[k]
        given = k == 1 and chance.random() < GIVEN
        false = own if given else self._edits.one_word(true, chance)
        swapped = self._edits.swapped(true, chance) or self._edits.one_word(true, chance)
        return true, false or own, swapped or own

    def shown(self, chosen: Sequence[int]) -> Tensor:
        """The labels of pictures, from all that is told of them: N x label_count."""
        return self._rows([self._told[i] for i in chosen])

    def said(self, captions: Sequence[Words]) -> Tensor:
        """The labels of captions."""
        return self._rows([self._numbers(self._features(words)) for words in captions])

    def _features(self, words: Words) -> set[str]:
        """Of "two red cats": "two", "red", "cats", "two red", "two cats", "red cats"."""
        runs = [[words[i] for i in run] for run in self._edits.runs(words)]
        singles = {word for run in runs for word in run}
        pairs = {f"{a} {b}" for run in runs for k, a in enumerate(run) for b in run[k + 1 :]}
        return singles | pairs | self._edits.placed(words)

    def _numbers(self, features: set[str]) -> list[int]:
        return [self._number[feature] for feature in features if feature in self._number]

    def _rows(self, numbers: Sequence[list[int]]) -> Tensor:
        rows = torch.zeros(len(numbers), self.label_count)
        for row, told in zip(rows, numbers, strict=True):
            row[told] = 1
        return rows


class Pixels:
    """uint8 pictures to what the model takes. `preprocess`: the config's `preprocess_cfg`."""

    def __init__(self, preprocess: dict[str, Any], seed: int) -> None:
        self._mean, self._std = (torch.tensor(preprocess[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        self._chance = np.random.RandomState(seed)

    def plain(self, pictures: NDArray[np.uint8]) -> Tensor:
        return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 - self._mean) / self._std

    def varied(self, pictures: NDArray[np.uint8]) -> Tensor:
        """Moved, lighter or darker, grainy."""
        side, count = pictures.shape[1], len(pictures)
        wide = np.pad(pictures, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
        moves = self._chance.randint(0, 2 * SHIFT + 1, (count, 2))
        moved = np.stack([one[y : y + side, x : x + side] for one, (y, x) in zip(wide, moves, strict=True)])
        contrast, light = torch.from_numpy(self._chance.uniform(-1, 1, (2, count, 1, 1, 1)).astype(np.float32))
        values = self.plain(moved)
        grain = torch.from_numpy(self._chance.standard_normal(values.shape).astype(np.float32))
        return values * (1 + CONTRAST * contrast) + LIGHT * light + GRAIN * grain
