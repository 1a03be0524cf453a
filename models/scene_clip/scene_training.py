"""How the scene CLIP learns: the loss, the schedule, a line of progress now and then."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from scene_batches import Captions, Pixels
from scene_model import SceneClip
from scene_shards import Examples
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    learns: which tower. While only the texts learn, the labels are all that they learn from, and no picture is seen.
    rate: the highest learning rate, reached after `warm_up` steps, falling as a cosine.
    labels: weight of the labels in the loss; a fifth of it at the end.
    easy: part of the steps that sees only pictures of which few things are told.
    """

    learns: Literal["texts", "pictures", "both"]
    steps: int
    rate: float
    labels: float
    warm_up: int = 100
    easy: float = 0.0
    batch: int = 128


STAGES = (
    Stage("texts", steps=6_000, rate=3e-3, labels=1_000.0),
    Stage("pictures", steps=2_500, rate=2e-3, labels=300.0, easy=0.06),
    Stage("both", steps=2_500, rate=1e-3, labels=100.0),
)
"""First what words mean together: learned from pictures at once, texts stay bags of words, and a swap is not seen. Then
the pictures, towards texts that stand still; then both, towards each other."""

SEED = 0
DECAY = 0.05
LABEL_RATE = 2.0
"""How much faster the labels' layer learns."""
HELD_OUT = 600
"""Pictures at the end of the dataset that are only reported on."""


class Training:
    """The model in one stage, with what is needed only to train it. `before`: the stage whose model it goes on with."""

    def __init__(
        self,
        examples: Examples,
        captions: Captions,
        config: dict[str, Any],
        stage: Stage,
        before: Training | None = None,
        held_out: int = HELD_OUT,
    ) -> None:
        torch.manual_seed(SEED)
        self._stage, self._examples, self._captions = stage, examples, captions
        self._last = len(examples.pictures) - held_out
        self._easy = [i for i in captions.easy if i < self._last]
        self._pixels, self._chance = Pixels(config["preprocess_cfg"], SEED), random.Random(SEED)
        self.model = SceneClip(config["model_cfg"], examples.words)
        self._labels = nn.Linear(config["model_cfg"]["embed_dim"], captions.label_count)
        nn.init.constant_(self._labels.bias, -4.0)
        if before:
            self.model.load_state_dict(before.model.state_dict())
            self._labels.load_state_dict(before._labels.state_dict())
        self._slope, self._offset = nn.Parameter(torch.tensor(10.0)), nn.Parameter(torch.tensor(-5.0))
        self._optimiser = self._optimised()

    def _optimised(self) -> torch.optim.Optimizer:
        """AdamW over what learns; what has one dimension, and the tables of tokens and positions, does not decay."""
        shrunk, free = [], [self._slope, self._offset]
        for name, parameter in self.model.net.named_parameters():
            visual = name.startswith("visual.")
            if self._stage.learns == "both" or name == "logit_scale" or visual == (self._stage.learns == "pictures"):
                (shrunk if parameter.ndim > 1 and "embedding" not in name else free).append(parameter)
        groups = [
            {"params": shrunk, "weight_decay": DECAY},
            {"params": free, "weight_decay": 0.0},
            {"params": [*self._labels.parameters()], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self._stage.rate, betas=(0.9, 0.98))

    def step(self, number: int) -> float:
        """One batch; returns the loss."""
        stage, part = self._stage, number / self._stage.steps
        rate = stage.rate * min(1, (number + 1) / stage.warm_up) * (0.49 * (1 + math.cos(math.pi * part)) + 0.02)
        for group, times in zip(self._optimiser.param_groups, (1, 1, LABEL_RATE), strict=True):
            group["lr"] = rate * times
        pool = self._easy if part < stage.easy else range(self._last)
        chosen = self._chance.sample(pool, stage.batch)
        loss = self._text_loss(chosen) if stage.learns == "texts" else self._loss(chosen, part)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for group in self._optimiser.param_groups for p in group["params"]], 1.0)
        self._optimiser.step()
        with torch.no_grad():
            self.model.net.logit_scale.clamp_(0, math.log(100))
        return loss.item()

    def _text_loss(self, chosen: list[int]) -> Tensor:
        """What captions tell, half of them the others with two things exchanged: the same words, other labels."""
        pairs = [self._captions.draw(i, self._chance) for i in chosen[: len(chosen) // 2]]
        drawn = [words for true, _, swapped in pairs for words in (true, swapped)]
        return self._stage.labels * self._told(self.model.texts(drawn), self._captions.said(drawn))

    def _told(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(self._labels(8 * embeddings), labels, self._captions.weights)

    def _loss(self, chosen: list[int], part: float) -> Tensor:
        """CLIP's own, with false captions as further texts; true or false of each alone; the labels."""
        drawn = [self._captions.draw(i, self._chance) for i in chosen]
        with torch.no_grad() if self._stage.learns == "pictures" else nullcontext():
            texts = self.model.texts([words for kind in zip(*drawn, strict=True) for words in kind])
        images = self.model.images(self._pixels.varied(self._examples.pictures[chosen]))
        cosines, same = images @ texts.T, torch.arange(len(chosen))
        scaled = self.model.net.logit_scale.exp() * cosines
        contrast = 0.5 * (F.cross_entropy(scaled, same) + F.cross_entropy(scaled[:, : len(chosen)].T, same))
        said = self._captions.said([words for words, _, _ in drawn])
        labels = self._told(images, self._captions.shown(chosen)) + self._told(texts[: len(chosen)], said)
        return contrast + self._judged(cosines) + self._stage.labels * (1 - 0.8 * part) * labels

    def _judged(self, cosines: Tensor) -> Tensor:
        """One threshold for all pictures: a filter has no other caption to compare with."""
        count = len(cosines)
        same, sure = torch.arange(count), self._slope * cosines + self._offset
        wrong = F.softplus(sure)
        true = F.softplus(-sure[same, same]).mean()
        edited = 0.5 * (wrong[same, same + count] + wrong[same, same + 2 * count]).mean()
        elsewhere = (wrong[:, :count].sum() - wrong[same, same].sum()) / (count * (count - 1))
        return true + edited + elsewhere

    @torch.inference_mode()
    def report(self) -> str:
        """How well the held-out pictures are told apart: among each other, and from captions with a word exchanged,
        or two things."""
        examples, held, chance = self._examples, range(self._last, len(self._examples.pictures)), random.Random(0)
        self.model.eval()
        images = self.model.images(self._pixels.plain(examples.pictures[self._last :]))
        drawn = [self._captions.draw(i, chance) for i in held]
        true, false, swapped = (self.model.texts(list(captions)) for captions in zip(*drawn, strict=True))
        self.model.train()
        cosines = images @ true.T
        first = (cosines.argmax(1) == torch.arange(len(held))).float().mean()
        above = [(cosines.diagonal() > (images * other).sum(1)).float().mean() for other in (false, swapped)]
        return f"nearest of {len(held)}: {first:.3f}, above one word: {above[0]:.3f}, above a swap: {above[1]:.3f}"


def train(
    examples: Examples,
    config: dict[str, Any],
    stages: Sequence[Stage],
    out: Path,
    held_out: int = HELD_OUT,
    report: int = 250,
) -> None:
    """Trains, tells how it goes every `report` steps, and saves at the end of each stage."""
    captions, training = Captions(examples), None
    for stage in stages:
        training = Training(examples, captions, config, stage, training, held_out)
        started, losses = time.monotonic(), []
        for number in range(1, stage.steps + 1):
            losses.append(training.step(number - 1))
            if number % report == 0 or number == stage.steps:
                speed = number * stage.batch / (time.monotonic() - started)
                loss, told = sum(losses) / len(losses), "" if stage.learns == "texts" else f", {training.report()}"
                print(f"{stage.learns}: {number:5d} loss {loss:.3f}{told}, {speed:.0f} pairs/s", flush=True)
                losses.clear()
        training.model.save(out)
