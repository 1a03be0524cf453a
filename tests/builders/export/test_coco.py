"""Boxes as COCO JSON, read by a small reader as pycocotools reads it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.export.coco import export, pixels
from builders.grounding.boxes import clip, from_pixels
from tests.builders.grit_dataset import DOG, FIELD, MEADOW, NO_BOX, TWO, Pair, grit_dataset, told


@dataclass
class Coco:
    """What pycocotools makes of a file: tables by id, annotations by image."""

    data: dict[str, Any]

    def __post_init__(self) -> None:
        self.images = {image["id"]: image for image in self.data["images"]}
        self.names = {category["id"]: category["name"] for category in self.data["categories"]}
        self.of: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in self.data["annotations"]:
            self.of[self.images[annotation["image_id"]]["id"]].append(annotation)
        ids = [annotation["id"] for annotation in self.data["annotations"]]
        assert len(set(ids)) == len(ids)
        assert len(self.images) == len(self.data["images"])
        assert len(set(self.names.values())) == len(self.data["categories"])


@pytest.fixture
def coco(tmp_path: Path) -> Coco:
    assert export(grit_dataset(tmp_path / "made", [MEADOW], [NO_BOX, TWO]), tmp_path / "out") == 2
    return Coco(told(tmp_path / "out/coco.json"))


def test_images_have_sizes_and_files(coco: Coco, tmp_path: Path) -> None:
    first, second = coco.data["images"]
    assert first == {
        "id": 1,
        "file_name": "k1.jpg",
        "width": 640,
        "height": 480,
        "key": "k1",
        "caption": MEADOW.caption,
        "coco_url": "https://example.org/1.jpg",
    }
    assert (second["id"], second["coco_url"]) == (2, "")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"images", "coco.json"}


def test_every_box_is_an_annotation_in_pixels_with_its_phrase(coco: Coco) -> None:
    dog, field, flowers = coco.of[1]
    assert dog["bbox"] == [64.0, 96.0, 128.0, 96.0]
    assert dog["area"] == 128 * 96
    assert (dog["iscrowd"], dog["phrase"], dog["score"]) == (0, "a dog in a field of flowers", 0.9)
    assert field["bbox"] == [0.0, 240.0, 640.0, 240.0]
    assert (field["phrase"], flowers["phrase"]) == ("a field of flowers", "flowers")
    assert len(coco.of[2]) == 3


def test_a_category_is_a_head_noun_in_the_singular(coco: Coco) -> None:
    names = [coco.names[annotation["category_id"]] for annotation in coco.of[1] + coco.of[2]]
    assert names == ["dog", "field", "flower", "hunde", "cat", "cat"]
    assert sorted(coco.names) == [1, 2, 3, 4, 5]


def test_one_thing_is_one_category_in_singular_and_plural(tmp_path: Path) -> None:
    one, two = (Pair(f"k{i}", w, ((w, w, [DOG]),)) for i, w in enumerate(("a brown dog", "two dogs")))
    export(grit_dataset(tmp_path / "made", [one, two]), tmp_path / "out")
    assert list(Coco(told(tmp_path / "out/coco.json")).names.values()) == ["dog"]


@pytest.mark.parametrize(
    ("chunk", "caption", "name"),
    [("a row", "a row of coins", "coin"), ("a cup", "a cup of coffee", "cup"), ("\u200d", "\u200d", "unnamed")],
)
def test_a_group_is_named_by_its_members_a_vessel_by_itself(
    chunk: str, caption: str, name: str, tmp_path: Path
) -> None:
    export(grit_dataset(tmp_path / "made", [Pair("k", caption, ((chunk, caption, [DOG]),))]), tmp_path / "out")
    assert list(Coco(told(tmp_path / "out/coco.json")).names.values()) == [name]


def test_captions_of_one_photo_share_its_file_and_others_do_not(tmp_path: Path) -> None:
    chunk = (("a dog", "a dog", [FIELD]),)
    pairs = [Pair("a", "a dog", chunk, b"one"), Pair("b", "a dog", chunk, b"one"), Pair("c", "a dog", chunk, b"two")]
    export(grit_dataset(tmp_path / "made", pairs), tmp_path / "out")
    assert [image["file_name"] for image in told(tmp_path / "out/coco.json")["images"]] == ["a.jpg", "a.jpg", "c.jpg"]
    assert (tmp_path / "out/images/c.jpg").read_bytes() == b"two"


def test_a_dataset_that_kept_nothing_is_still_coco(tmp_path: Path) -> None:
    assert export(grit_dataset(tmp_path / "made", [NO_BOX]), tmp_path / "out") == 0
    assert Coco(told(tmp_path / "out/coco.json")).data["annotations"] == []


SIDES = st.integers(1, 20_000)
NUMBERS = st.floats(0, 1)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, SIDES, SIDES)
def test_boxes_in_pixels_lie_in_the_image_have_a_size_and_come_back(
    a: float, b: float, c: float, d: float, width: int, height: int
) -> None:
    box = clip((min(a, c), min(b, d), max(a, c), max(b, d)))
    if box is None:
        return
    x, y, w, h = pixels(box, width, height)
    assert x >= 0 and y >= 0 and w > 0 and h > 0
    assert x + w <= width + 1e-6 and y + h <= height + 1e-6
    back = from_pixels(x, y, w, h, width, height)
    assert back is not None
    assert all(abs(p - q) <= 3e-6 for p, q in zip(back, box, strict=True))
