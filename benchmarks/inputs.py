"""Inputs to measure with: captions of a small grammar, and a COCO folder of photos as large as real ones."""

from __future__ import annotations

import io
import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from schemas.common import Output
from schemas.recipe import GritRecipe
from schemas.sources import CocoSource

WIDTH, HEIGHT = 640, 480
CAPTIONS_A_PHOTO = 5

_WORDS = {
    "person": ["man", "woman", "young boy", "little girl", "skier", "person", "group of people", "two men"],
    "dog": ["dog", "brown and white dog", "puppy", "two small dogs"],
    "cat": ["cat", "black cat", "sleepy kitten"],
    "bus": ["double decker bus", "red city bus", "bus"],
    "car": ["parked car", "old car", "several cars"],
    "bicycle": ["bike", "bicycle", "row of bicycles"],
    "couch": ["leather couch", "sofa"],
    "pizza": ["large pizza", "slice of pizza"],
    "umbrella": ["open umbrella", "blue umbrella"],
    "bench": ["wooden bench", "park bench"],
    "laptop": ["laptop", "silver laptop computer"],
    "horse": ["horse", "pair of horses"],
}
_VERBS = "sitting on, standing next to, walking past, looking at, lying in front of, parked near, riding by".split(", ")
_PLACES = (
    "a snowy street|the side of the road|a green field with tall trees|a kitchen with white cabinets and a window|"
    "the beach at sunset|a crowded city square|a living room filled with furniture|the top of a hill"
).split("|")
_TAILS = [
    "",
    "",
    "",
    "",
    " at night",
    " while it is raining",
    " as a person watches",
    ", and there is a sign that says stop",
]


def captions(count: int, seed: int = 0) -> list[str]:
    """Varied captions, a little longer than COCO's."""
    draw = random.Random(seed)
    return [_caption(draw, draw.sample(sorted(_WORDS), 3)) for _ in range(count)]


def _caption(draw: random.Random, seen: list[str]) -> str:
    first, second = (draw.choice(_WORDS[draw.choice(seen)]) for _ in range(2))
    if draw.random() < 0.1:
        return f"It is {draw.choice(['a busy day', 'raining', 'early in the morning'])} in {draw.choice(_PLACES)}."
    text = f"{_article(draw, first)} {draw.choice(_VERBS)} {_article(draw, second)} in {draw.choice(_PLACES)}"
    return text[0].upper() + text[1:] + draw.choice(_TAILS) + "."


def _article(draw: random.Random, noun: str) -> str:
    if noun.startswith(("two", "several")):
        return noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}" if draw.random() < 0.8 else f"the {noun}"


def photos(count: int, seed: int = 0) -> list[bytes]:
    """Different JPEGs of 640 x 480 and 50-100 KB: soft noise, as photos compress, and shapes on it."""
    numbers, draw = np.random.default_rng(seed), random.Random(seed)
    grain = numbers.normal(0, 9, (2 * HEIGHT, 2 * WIDTH, 1))
    made = []
    for _ in range(count):
        coarse = Image.fromarray(numbers.integers(0, 255, (12, 16, 3), dtype=np.uint8))
        x, y = draw.randrange(WIDTH), draw.randrange(HEIGHT)
        soft = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32)
        noisy = np.clip(soft + grain[y : y + HEIGHT, x : x + WIDTH], 0, 255).astype(np.uint8)
        image = Image.fromarray(noisy)
        pen = ImageDraw.Draw(image)
        for _ in range(draw.randint(2, 8)):
            left, top = draw.randrange(WIDTH - 100), draw.randrange(HEIGHT - 100)
            corner = left + draw.randint(30, 300), top + draw.randint(30, 300)
            pen.ellipse((left, top, *corner), fill=tuple(draw.randrange(256) for _ in range(3)))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=82)
        made.append(out.getvalue())
    return made


def coco_folder(folder: Path, files: list[bytes], inputs: int, seed: int = 0) -> None:
    """Write a COCO data set of `inputs` captions, five a photo; a file serves many photos where there are too few."""
    draw = random.Random(seed)
    (folder / "images").mkdir(parents=True)
    for i, data in enumerate(files):
        (folder / "images" / f"{i}.jpg").write_bytes(data)
    numbers = {name: i for i, name in enumerate(sorted(_WORDS), 1)}
    names: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    ids = itertools.count(1)
    for photo in range(-(-inputs // CAPTIONS_A_PHOTO)):
        seen = draw.sample(sorted(_WORDS), 3)
        names.append({"id": photo, "file_name": f"{photo % len(files)}.jpg", "width": WIDTH, "height": HEIGHT})
        for _ in range(CAPTIONS_A_PHOTO):
            texts.append({"id": next(ids), "image_id": photo, "caption": _caption(draw, seen)})
        for name in draw.choices(seen, k=draw.randint(3, 10)):
            left, top = draw.uniform(0, WIDTH - 60), draw.uniform(0, HEIGHT - 60)
            box = [left, top, draw.uniform(10, WIDTH - left), draw.uniform(10, HEIGHT - top)]
            boxes.append({"id": next(ids), "image_id": photo, "category_id": numbers[name], "bbox": box, "iscrowd": 0})
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    (folder / "captions.json").write_text(json.dumps({"images": names, "annotations": texts[:inputs]}))
    (folder / "instances.json").write_text(
        json.dumps({"images": names, "annotations": boxes, "categories": categories})
    )


def recipe_of(folder: Path, unit: int) -> GritRecipe:
    """The GrIT recipe of a folder that `coco_folder` wrote."""
    names = {name: str(folder / file) for name, file in _FILES.items()}
    return GritRecipe(kind="grit", name="bench", source=CocoSource(**names), output=Output(unit=unit))


_FILES = {"images": "images", "captions": "captions.json", "instances": "instances.json"}
