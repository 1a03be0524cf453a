"""Which records of a world are noise, and of which kind; every record with its truth.

A record's kind is drawn from (seed, i), so that a record finds out what an earlier one is without making it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from PIL import Image

from builders.dice import Dice, number
from builders.sources.scenes.edits import ONE_WORD, false_captions
from builders.sources.scenes.english import caption, mean
from builders.sources.scenes.foreign import LANGUAGES, translate
from builders.sources.scenes.meaning import judge
from builders.sources.scenes.picture import jpeg, render
from builders.sources.scenes.world import Scene, scene

CLEAN, DUPLICATE = "clean", "duplicate"
CROP = 0.03
"""What a duplicate loses at each edge, at most, in parts of the side. All things stay whole: world.EDGE is more."""
TRIES = 64
"""How often an earlier record is drawn to be copied."""


@dataclass(frozen=True)
class Shares:
    """Parts of the records in 0..1, summing to at most 1; the rest is clean."""

    mismatched: float = 0.0
    one_word: float = 0.0
    duplicates: float = 0.0
    corrupt: float = 0.0
    foreign: float = 0.0

    def __post_init__(self) -> None:
        if min(asdict(self).values()) < 0 or sum(asdict(self).values()) > 1 + 1e-9:
            raise ValueError(f"shares must not be negative nor sum to more than 1: {self}")


KINDS = tuple(DUPLICATE if field.name == "duplicates" else field.name for field in fields(Shares))

Box = tuple[float, float, float, float, str]
"""Left, top, width, height in pixels, and the thing."""


@dataclass(frozen=True)
class Pair:
    """A picture and a caption, and what is true of them.

    `match`: whether the caption is true, None where nobody can see the picture. `duplicate_of`: the position of the
    record that this picture was copied from. `word`: what was exchanged, as "red>blue". `true`: a true caption.
    """

    kind: str
    image: bytes
    side: tuple[int, int]
    boxes: tuple[Box, ...]
    caption: str
    true: str
    match: bool | None = True
    duplicate_of: int | None = None
    language: str = "en"
    word: str | None = None


@dataclass(frozen=True)
class World:
    """All records of a seed, in pictures of `side` pixels with up to `most` kinds of things."""

    seed: int
    side: int = 128
    most: int = 4
    shares: Shares = Shares()

    def scene(self, i: int) -> Scene:
        return scene(self.seed, i, self.side, self.most)

    def kind(self, i: int) -> str:
        """What record `i` is: "clean" or one of KINDS."""
        planned = self._planned(i)
        return CLEAN if planned == DUPLICATE and self._original(i) is None else planned

    def pair(self, i: int) -> Pair:
        """Record `i`."""
        kind = self._planned(i)
        if kind == DUPLICATE:
            original = self._original(i)
            if original is not None:
                return self._duplicate(i, original)
            kind = CLEAN
        here, dice = self.scene(i), Dice(self.seed, kind, i)
        true = self._caption(i, here)
        boxes = tuple((float(item.x), float(item.y), float(item.w), float(item.h), item.thing) for item in here.items)
        told, image, language = true, render(here), "en"
        match: bool | None = True
        word: str | None = None
        if kind == "mismatched":
            told, match = self._elsewhere(here, dice), False
        elif kind == "one_word":
            (told, word), match = self._edited(here, dice), False
        elif kind == "corrupt":
            image, match = spoil(image, dice), None
        elif kind == "foreign":
            language = dice.pick(LANGUAGES)
            told = translate(mean(here, dice), language, dice)
        return Pair(kind, image, (self.side, self.side), boxes, told, true, match, None, language, word)

    def _planned(self, i: int) -> str:
        """The kind that is drawn; a duplicate that finds nothing to copy becomes clean."""
        drawn = number(self.seed, "kind", i) / 2**64
        for kind, share in zip(KINDS, asdict(self.shares).values(), strict=True):
            if drawn < share:
                return kind
            drawn -= share
        return CLEAN

    def _original(self, i: int) -> int | None:
        """An earlier record with a picture of its own: one of some drawn or, where they have none, the first of all."""
        if not i:
            return None
        dice = Dice(self.seed, "original", i)
        for _ in range(TRIES):
            j = dice.below(i)
            if self._planned(j) not in ("corrupt", DUPLICATE):
                return j
        return 0 if self._planned(0) != "corrupt" else None

    def _caption(self, i: int, here: Scene) -> str:
        return caption(here, Dice(self.seed, "caption", i)).text

    def _elsewhere(self, here: Scene, dice: Dice) -> str:
        """What is true of another scene and false of this one."""
        while True:
            there = self.scene(dice.below(2**31))
            told = caption(there, dice)
            if judge(told.meaning, here) is False:
                return told.text

    def _edited(self, here: Scene, dice: Dice) -> tuple[str, str]:
        """A caption with one word exchanged so that it is false, and the word."""
        while True:
            told = caption(here, dice)
            for kind in dice.shuffled(ONE_WORD):
                for edited in false_captions(told, here, dice, (kind,)):
                    return edited.caption.text, edited.word

    def _duplicate(self, i: int, original: int) -> Pair:
        """The picture of record `original`, cropped, scaled and encoded again."""
        there, dice, side = self.scene(original), Dice(self.seed, DUPLICATE, i), self.side
        left, top, right, low = (dice.below(int(CROP * side) + 1) for _ in range(4))
        across, down = side - left - right, side - top - low
        scale = dice.between(0.75, 1.25)
        wide, high = round(across * scale), round(down * scale)
        with Image.open(io.BytesIO(render(there))) as image:
            copy = image.resize((wide, high), Image.Resampling.BICUBIC, (left, top, side - right, side - low))
        fx, fy = wide / across, high / down
        true = self._caption(original, there)
        told = true if dice.chance(0.5) else caption(there, dice).text
        return Pair(
            DUPLICATE,
            jpeg(copy, 60 + dice.below(31), 2),
            (wide, high),
            tuple(((o.x - left) * fx, (o.y - top) * fy, o.w * fx, o.h * fy, o.thing) for o in there.items),
            told,
            true,
            duplicate_of=original,
        )


_PAGES: Sequence[bytes] = (
    b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n",
    b'{"error": {"code": 403, "message": "hotlinking is not allowed"}}\n',
    b"Too many requests\n",
)


def spoil(image: bytes, dice: Dice) -> bytes:
    """A JPEG as it arrives when a download goes wrong: nothing that decodes."""
    damage = dice.below(5)
    if damage == 0:
        return image[: len(image) * (10 + dice.below(61)) // 100]
    if damage == 1:
        return b"\xff\xd8\xff\xe0" + dice.bytes(512 + dice.below(1024))
    if damage == 2:
        return dice.bytes(256 + dice.below(1024))
    if damage == 3:
        return b"" if dice.chance(0.5) else bytes(len(image))
    return dice.pick(_PAGES)
