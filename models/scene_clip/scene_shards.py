"""The training set in memory, read from `pairs` shards by webdataset alone."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from numpy.typing import NDArray
from PIL import Image
from scene_edits import Words, split, undone


@dataclass(frozen=True)
class Examples:
    """`pictures`: N x side x side x RGB, uint8. `true`: one or two true captions of each; `false` belongs to the last.

    `exchanged`: how each false caption differs from it, as "red>blue".
    """

    pictures: NDArray[np.uint8]
    true: list[list[Words]]
    false: list[Words]
    exchanged: list[str]

    @property
    def words(self) -> set[str]:
        """Every word of every caption."""
        captions = [*self.false, *(caption for true in self.true for caption in true)]
        return {word for caption in captions for word in caption}


def read_examples(dataset: Path, side: int) -> Examples:
    """All samples of a dataset built with `one_word: 1.0`, pictures scaled down as the model's own filter does it."""
    tars = sorted(str(path) for path in (dataset / "data").glob("*.tar"))
    if not tars:
        raise SystemExit(f"{dataset}/data holds no tar: build it first (models/scene_clip/train.yaml)")
    pictures, true, false, exchanged = [], [], [], []
    for sample in webdataset.WebDataset(tars, shardshuffle=False, empty_check=False):
        facts: dict[str, Any] = json.loads(sample["json"])
        if facts["truth_kind"] != "one_word":
            continue
        with Image.open(io.BytesIO(sample["jpg"])) as image:
            small = image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        pictures.append(np.asarray(small))
        told = split(sample["txt"].decode())
        second = undone(told, facts["truth_word"])
        true.append([split(facts["truth_caption"]), *([second] if second else [])])
        false.append(told)
        exchanged.append(facts["truth_word"])
    return Examples(np.stack(pictures), true, false, exchanged)
