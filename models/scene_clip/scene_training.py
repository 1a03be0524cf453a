"""How the scene CLIP learns: the loss, the schedule, a line of progress now and then."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from scene_batches import Captions, Pixels
from scene_model import SceneClip
from scene_shards import Examples
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Settings:
    """How to train, in one stage.

    steps: of the whole schedule; stop: where the stage ends before that.
    rate: the highest learning rate, reached after `warm_up` steps, falling as a cosine. decay: of the weights.
    easy: part of the steps that sees only pictures of which few things are told.
    labels: weight of the labels in the loss; a fifth of it at the end. places: whether they tell what lies where.
    held_out: pictures at the end of the dataset that are only reported on, every `report` steps.
    """

    seed: int
    steps: int
    stop: int
    rate: float
    warm_up: int
    labels: float
    easy: float = 0.0
    places: bool = False
    batch: int = 128
    decay: float = 0.05
    held_out: int = 600
    report: int = 250


STAGES = (
    Settings(seed=0, steps=4_300, stop=2_500, rate=1.5e-3, warm_up=150, labels=20.0, easy=0.06),
    Settings(seed=1, steps=1_400, stop=1_400, rate=1e-3, warm_up=100, labels=150.0, places=True),
)
"""First the words: after this stage the texts are bags of words, and a swap is not seen. Then, with the labels heavy
enough to be learned for their own sake, what belongs to what and what lies where."""


class Training:
    """The model with what is needed only to train it."""

    def __init__(
        self, examples: Examples, config: dict[str, Any], settings: Settings, start: Path | None = None
    ) -> None:
        torch.manual_seed(settings.seed)
        self._settings, self._examples, self._captions = settings, examples, Captions(examples, settings.places)
        self._last = len(examples.pictures) - settings.held_out
        self._easy = [i for i in self._captions.easy if i < self._last]
        self._pixels = Pixels(config["preprocess_cfg"], settings.seed)
        self._chance = random.Random(settings.seed)
        self.model = SceneClip(config["model_cfg"], examples.words)
        if start:
            self.model.load(start)
        self._labels = nn.Linear(config["model_cfg"]["embed_dim"], self._captions.label_count)
        nn.init.zeros_(self._labels.weight)
        nn.init.constant_(self._labels.bias, -4.0)
        self._slope, self._offset = nn.Parameter(torch.tensor(10.0)), nn.Parameter(torch.tensor(-5.0))
        self._optimiser = self._optimised()

    def _optimised(self) -> torch.optim.Optimizer:
        """AdamW; what has one dimension, and the tables of tokens and positions, does not decay."""
        shrunk, free = [], [*self._labels.parameters(), self._slope, self._offset]
        for name, parameter in self.model.named_parameters():
            (shrunk if parameter.ndim > 1 and "embedding" not in name else free).append(parameter)
        groups = [{"params": shrunk, "weight_decay": self._settings.decay}, {"params": free, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=self._settings.rate, betas=(0.9, 0.98))

    def step(self, number: int) -> float:
        """One batch; returns the loss."""
        settings, part = self._settings, number / self._settings.steps
        rate = settings.rate * min(1, (number + 1) / settings.warm_up) * (0.49 * (1 + math.cos(math.pi * part)) + 0.02)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        pool = self._easy if part < settings.easy else range(self._last)
        loss = self._loss(self._chance.sample(pool, settings.batch), part)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimiser.step()
        with torch.no_grad():
            self.model.net.logit_scale.clamp_(0, math.log(100))
        return loss.item()

    def _loss(self, chosen: list[int], part: float) -> Tensor:
        """CLIP's own, with false captions as further texts; true or false of each alone; the labels."""
        drawn = [self._captions.draw(i, self._chance) for i in chosen]
        texts = self.model.texts([words for kind in zip(*drawn, strict=True) for words in kind])
        images = self.model.images(self._pixels.varied(self._examples.pictures[chosen]))
        cosines, same = images @ texts.T, torch.arange(len(chosen))
        scaled = self.model.net.logit_scale.exp() * cosines
        contrast = 0.5 * (F.cross_entropy(scaled, same) + F.cross_entropy(scaled[:, : len(chosen)].T, same))
        true = texts[: len(chosen)]
        shown, said = self._captions.shown(chosen), self._captions.said([words for words, _, _ in drawn])
        labels = F.binary_cross_entropy_with_logits(self._labels(8 * images), shown)
        labels = labels + F.binary_cross_entropy_with_logits(self._labels(8 * true), said)
        return contrast + self._judged(cosines) + self._settings.labels * (1 - 0.8 * part) * labels

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
        """How well the held-out pictures are told apart: among each other, and from their own false captions."""
        examples, held = self._examples, range(self._last, len(self._examples.pictures))
        self.model.eval()
        images = self.model.images(self._pixels.plain(examples.pictures[self._last :]))
        true = self.model.texts([examples.true[i][-1] for i in held])
        false = self.model.texts([examples.false[i] for i in held])
        self.model.train()
        cosines = images @ true.T
        first = (cosines.argmax(1) == torch.arange(len(held))).float().mean()
        beaten = (cosines.diagonal() > (images * false).sum(1)).float().mean()
        return f"nearest of {len(held)}: {first:.3f}, above its false caption: {beaten:.3f}"


def train(examples: Examples, config: dict[str, Any], stages: Sequence[Settings], out: Path) -> None:
    """Trains, tells how it goes, and saves at every report; each stage starts from what the last one saved."""
    for k, settings in enumerate(stages):
        training = Training(examples, config, settings, out if k else None)
        started, losses = time.monotonic(), []
        for number in range(1, settings.stop + 1):
            losses.append(training.step(number - 1))
            if number % settings.report == 0 or number == settings.stop:
                speed = number * settings.batch / (time.monotonic() - started)
                loss = sum(losses) / len(losses)
                print(f"{k + 1}: {number:5d} loss {loss:.3f}, {training.report()}, {speed:.0f} pictures/s", flush=True)
                training.model.save(out)
                losses.clear()
