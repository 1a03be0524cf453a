"""How often a thing that tasks would call absent from a photo is there: `python benchmarks/absent.py FOLDER`.

FOLDER holds COCO captions and instances (`captions_*.json`, `instances_*.json`); what is annotated is there. Things are
drawn as a task draws them, from what the other photos show, DRAWS times for each caption of each photo, knowing that
caption, all captions of the photo, or its annotations too; with company.yaml and without it.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from builders.dice import Dice
from builders.grounding.tasks import names as naming
from builders.grounding.tasks.names import Named, Names
from builders.grounding.tasks.pali import absent_from
from builders.grounding.words import known_categories, load_words

DRAWS = 10
_FILES = ("captions", "instances")
KNOWN = ("one caption", "all captions", "all annotated boxes")


@dataclass(frozen=True)
class Photo:
    """What people said of a photo, and the categories of what they boxed."""

    captions: Sequence[str]
    annotated: frozenset[str]


def read(folder: Path) -> list[Photo]:
    """The photos with captions, in the order of their ids."""
    captions, instances = (json.loads(next(folder.glob(f"{what}_*.json")).read_text()) for what in _FILES)
    category = {one["id"]: one["name"] for one in instances["categories"]}
    said: dict[int, list[str]] = defaultdict(list)
    boxed: dict[int, set[str]] = defaultdict(set)
    for one in captions["annotations"]:
        said[one["image_id"]].append(one["caption"])
    for one in instances["annotations"]:
        boxed[one["image_id"]].add(category[one["category_id"]])
    return [Photo(said[number], frozenset(boxed[number])) for number in sorted(said)]


def wrong(photos: Sequence[Photo], known: str, company: bool) -> tuple[int, int]:
    """Of things that were called absent, how many are annotated, and how many there were."""
    with mock.patch.object(naming, "_usual_company", naming._usual_company if company else dict):
        names = Names(load_words(known_categories()))
    shown = [Named(tuple(sorted(photo.annotated)), frozenset()) for photo in photos]
    found = []
    for number, photo in enumerate(photos):
        others = [*shown[:number], *shown[number + 1 :]]
        boxed = sorted(photo.annotated) if known == "all annotated boxes" else []
        for place, caption in enumerate(photo.captions):
            named = names.of([caption] if known == "one caption" else photo.captions, [], boxed)
            draw = absent_from(named, others)
            for again in range(DRAWS):
                found += [thing in photo.annotated for thing in draw(Dice(0, str(number), str(place), str(again)), 1)]
    return sum(found), len(found)


def main() -> None:
    """Prints the table of docs/grounded.md."""
    photos = read(Path(sys.argv[1]))
    print(f"{len(photos)} photos, {sum(len(photo.captions) for photo in photos)} captions\n")
    print("| what is known of the image | called absent, but annotated |\n|---|---:|")
    for known in KNOWN:
        for company in (False, True):
            false, drawn = wrong(photos, known, company)
            what = known if company else f"{known}, without company.yaml"
            print(f"| {what} | {false:,} of {drawn:,}: {false / drawn:.2%} |")


if __name__ == "__main__":
    main()
