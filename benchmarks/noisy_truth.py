"""A detector of drawn scenes that answers the truth with noise, and the truth: for benchmarks/grounded_truth.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import pyarrow as pa

from builders.dice import Dice
from builders.grounding.boxes import Box, Detection, clip, from_pixels
from builders.grounding.detect import Found, Query
from builders.sources.scenes.english import Caption, caption
from builders.sources.scenes.meaning import matching
from builders.sources.scenes.noise import World
from builders.step import Services


@dataclass(frozen=True)
class Mention:
    """Phrase `number` of a caption: its characters, end exclusive, the boxes of all things that it means, and the
    numbers of the phrases that tell where these are."""

    number: int
    start: int
    end: int
    boxes: tuple[Box, ...]
    placed_by: tuple[int, ...]


@lru_cache(maxsize=10_000)
def mentions(world: World, key: str) -> tuple[Mention, ...]:
    """What the caption of a scene mentions, in the order of its meaning. For a world without noise of its own."""
    i = int(key.rpartition("-")[2])
    scene, told = world.scene(i), caption(world.scene(i), Dice(world.seed, "caption", i))
    spans, place = _spans(told), told.meaning.place
    found = []
    for number, phrase in enumerate(told.meaning.phrases):
        boxes = [from_pixels(o.x, o.y, o.w, o.h, scene.side, scene.side) for o in matching(phrase, scene)]
        by = (place.other, place.second) if place and place.subject == number else ()
        found.append(Mention(number, *spans[number], tuple(box for box in boxes if box), by))
    return tuple(found)


def _spans(told: Caption) -> dict[int, tuple[int, int]]:
    """Where the words of each phrase stand in the caption's text."""
    spans: dict[int, tuple[int, int]] = {}
    text, at = told.text, 0
    for word in told.words:
        start = text.lower().index(word.text.lower(), at)
        at = start + len(word.text)
        if word.of >= 0:
            spans[word.of] = spans.get(word.of, (start, at))[0], at
    return spans


@dataclass(frozen=True)
class Noise:
    """How a detector errs.

    missed: share of the true boxes that are not found.
    jitter: how far each edge of a box is off at most, in parts of the box's side.
    spurious: share of the spans that get a box of nothing.
    confused: share of the spans that get a box of what another mention means.
    scores, false_scores: between what true boxes, and the others, score; all alike likely.
    """

    missed: float = 0.0
    jitter: float = 0.0
    spurious: float = 0.0
    confused: float = 0.0
    scores: tuple[float, float] = (0.7, 1.0)
    false_scores: tuple[float, float] = (0.3, 0.65)


@dataclass
class NoisyTruth:
    """Finds what a span names, which is the last mention whose noun it holds. What is drawn for one kind of noise does
    not depend on the others, so that the same boxes are missed with and without spurious ones."""

    world: World
    noise: Noise
    reads: ClassVar = ("key",)
    adds: ClassVar[dict[str, pa.DataType]] = {}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def detect(self, queries: Sequence[Query]) -> list[Found]:
        return [Found(self._found(query)) for query in queries]

    def _found(self, query: Query) -> list[Detection]:
        key, said = query.record["key"], mentions(self.world, query.record["key"])
        found: list[Detection] = []
        for span, (start, end) in enumerate(query.spans):
            named = max((m for m in said if start < m.end <= end), key=lambda m: m.end, default=None)
            others = [box for mention in said if mention is not named for box in mention.boxes]
            boxes = [*self._true(key, span, named.boxes if named else ()), *self._false(key, span, others)]
            found += [Detection(span, box, score) for each, score in boxes if (box := clip(each))]
        return found

    def _true(self, key: str, span: int, boxes: Sequence[Box]) -> Iterator[tuple[Box, float]]:
        """Boxes and scores."""
        noise = self.noise
        for n, box in enumerate(boxes):
            dice = Dice(self.world.seed, key, span, n)
            score, missed = dice.between(*noise.scores), dice.chance(noise.missed)
            if not missed:
                yield _moved(box, noise.jitter, dice), score

    def _false(self, key: str, span: int, others: Sequence[Box]) -> Iterator[tuple[Box, float]]:
        noise = self.noise
        dice = Dice(self.world.seed, key, span, "confused")
        if dice.chance(noise.confused) and others:
            yield _moved(dice.pick(others), noise.jitter, dice), dice.between(*noise.false_scores)
        dice = Dice(self.world.seed, key, span, "spurious")
        if dice.chance(noise.spurious):
            yield _anywhere(dice), dice.between(*noise.false_scores)


def _moved(box: Box, jitter: float, dice: Dice) -> Box:
    x1, y1, x2, y2 = box
    across, down = jitter * (x2 - x1), jitter * (y2 - y1)
    left, top, right, low = (dice.between(-1, 1) for _ in range(4))
    return x1 + left * across, y1 + top * down, x2 + right * across, y2 + low * down


def _anywhere(dice: Dice) -> Box:
    """As large as things are."""
    wide, high = dice.between(0.15, 0.45), dice.between(0.15, 0.45)
    x, y = dice.between(0, 1 - wide), dice.between(0, 1 - high)
    return x, y, x + wide, y + high
