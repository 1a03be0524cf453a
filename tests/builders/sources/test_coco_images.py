"""COCO files as a source of images: what becomes an input, which captions it brings, and what is told of the rest."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from builders.sources.coco_images import CocoImages, open_coco_images
from pipelines.dag import Source
from schemas.errors import UserError
from schemas.sources import CocoSource
from tests.builders.sources.coco_folder import BOX, DOG, PHOTO, Coco


@pytest.fixture
def coco(tmp_path: Path) -> Coco:
    return Coco(tmp_path)


def opened(coco: Coco, unit: int = 1000, limit: int | None = None) -> CocoImages:
    return open_coco_images(coco.source(limit), unit)


def rows(coco: Coco) -> list[dict[str, Any]]:
    images = opened(coco)
    return images.read(0, sum(images.unit_sizes)).to_pylist()


def photo(number: int | str) -> Mapping[str, Any]:
    return {**PHOTO, "id": number, "file_name": f"{number}.jpg"}


def told(number: int | str, *captions: Any) -> list[Mapping[str, Any]]:
    return [{"id": n, "image_id": number, "caption": caption} for n, caption in enumerate(captions)]


def reasons(coco: Coco) -> list[str]:
    return [(row["_problem"] or "").partition(":")[0] for row in rows(coco)]


# ---- inputs ----------------------------------------------------------------------------------------------------------


def test_one_input_is_an_image_with_all_its_captions_and_boxes(coco: Coco) -> None:
    (row,) = rows(coco.write(captions=told(1, "a dog", "a brown dog")))
    assert row == {
        "key": "000000000001",
        "_captions": ["a dog", "a brown dog"],
        "_captions_broken": 0,
        "_problem": None,
        "image_id": "1",
        "image_file": "1.jpg",
        "url": None,
        "license": None,
        "_annotated_width": 100,
        "_annotated_height": 200,
        "_boxes": [{"x": 10.0, "y": 20.0, "w": 30.0, "h": 40.0, "category": "dog", "crowd": False}],
    }


def test_rows_have_the_columns_that_a_source_promises(coco: Coco) -> None:
    images: Source = opened(coco)
    table = images.read(0, 1)
    assert {field.name: field.type for field in table.schema} == dict(images.columns)
    assert images.columns["key"] == pa.string()


def test_images_stand_in_the_order_of_the_file_and_captions_too(coco: Coco) -> None:
    captions = [*told(2, "b"), *told(5, "x"), *told(2, "a"), *told(5, "y", "w")]
    found = rows(coco.write([photo(5), photo(2)], captions))
    assert [(row["image_id"], row["_captions"]) for row in found] == [("5", ["x", "y", "w"]), ("2", ["b", "a"])]


def test_each_image_has_its_own_boxes_and_may_have_none(coco: Coco) -> None:
    boxes = [{**BOX, "image_id": 2}, {**BOX, "image_id": 2, "iscrowd": 1}]
    found = rows(coco.write([photo(1), photo(2)], [*told(1, "a"), *told(2, "b")], boxes))
    assert [[box["crowd"] for box in row["_boxes"]] for row in found] == [[], [False, True]]


def test_an_image_without_caption_is_no_input_and_is_told(coco: Coco) -> None:
    images = opened(coco.write([photo(1), photo(2), photo(3)], told(2, "a")))
    assert images.read(0, 9)["key"].to_pylist() == ["000000000002"]
    assert images.facts()["photos without caption (no inputs)"] == 2


def test_a_caption_of_an_unknown_image_is_no_input_and_is_told(coco: Coco) -> None:
    images = opened(coco.write(captions=[*told(1, "a"), *told(99, "b", "c")]))
    assert images.read(0, 9)["key"].to_pylist() == ["000000000001"]
    assert images.facts()["captions of unknown photos (no inputs)"] == 2


def test_what_lacks_something_is_told(coco: Coco) -> None:
    captions = [*told(1, "a", None), *told(2, "b"), *told("a b", "c")]
    boxes = [BOX, {**BOX, "image_id": 99}]
    facts = opened(coco.write([photo(1), photo(2), photo("a b")], captions, boxes)).facts()
    assert facts == {
        "inputs": 3,
        "captions": 3,
        "photos without caption (no inputs)": 0,
        "captions of unknown photos (no inputs)": 0,
        "captioned photos without boxes": 2,
        "photos whose file is missing": 2,
        "boxes of photos that no caption names": 1,
        "captions left out": 1,
        "photos with a problem": 1,
    }


def test_the_categories_are_those_of_the_file_and_have_no_further_words(coco: Coco) -> None:
    images = opened(coco.write(categories=[{"id": 1, "name": "zebra"}, DOG]))
    assert (images.categories, images.synonyms) == (("dog", "zebra"), {})


# ---- an input with a problem is still an input -----------------------------------------------------------------------


@pytest.mark.parametrize("broken", [None, 5, ["a dog"], {"en": "a dog"}, True, "a \ud83d dog"])
def test_a_caption_that_is_no_whole_text_is_left_out_and_counted(coco: Coco, broken: Any) -> None:
    (row,) = rows(coco.write(captions=told(1, "a dog", broken, "a brown dog")))
    assert (row["_captions"], row["_captions_broken"], row["_problem"]) == (["a dog", "a brown dog"], 1, None)


def test_an_image_with_none_but_broken_captions_has_a_problem_alone(coco: Coco) -> None:
    coco.write([photo(1), photo(2)], [*told(1, None, "\ud800"), *told(2, "a")])
    assert [(row["_captions"], row["_captions_broken"]) for row in rows(coco)] == [([], 2), (["a"], 0)]
    assert reasons(coco) == ["no_caption", ""]


@pytest.mark.parametrize("bad", ["a/b", "a.b", "..", "a b", "_a", "x" * 81, "a\nb", "\ud800"])
def test_a_key_that_cannot_name_files_is_the_problem_of_its_own_image(coco: Coco, bad: str) -> None:
    coco.write([photo(1), {**PHOTO, "id": bad}], [*told(1, "a"), *told(bad, "b")])
    assert reasons(coco) == ["", "bad_key"]


def test_the_second_of_two_images_with_one_key_has_a_problem(coco: Coco) -> None:
    coco.write([photo(1), photo("000000000001")], [*told(1, "a"), *told("000000000001", "b")])
    assert reasons(coco) == ["", "duplicate_key"]


def test_an_image_without_caption_takes_no_key_from_another(coco: Coco) -> None:
    coco.write([photo("000000000001"), photo(1)], told(1, "a"))
    assert reasons(coco) == [""]


# ---- units -----------------------------------------------------------------------------------------------------------


def many(coco: Coco, count: int) -> Coco:
    for n in range(count):
        (coco.images / f"{n}.jpg").write_bytes(b"x" * 10)
    return coco.write([photo(n) for n in range(count)], [one for n in range(count) for one in told(n, "a", "b")])


def test_images_are_cut_into_units_and_read_one_unit_at_a_time(coco: Coco) -> None:
    images = opened(many(coco, 7), unit=3)
    assert images.unit_sizes == (3, 3, 1)
    assert images.read(3, 3)["image_id"].to_pylist() == ["3", "4", "5"]
    assert pa.concat_tables([images.read(0, 3), images.read(3, 3), images.read(6, 1)]).equals(images.read(0, 7))


def test_large_images_make_smaller_units(coco: Coco, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builders.sources.cut.UNIT_BYTES", 25)
    assert opened(many(coco, 5)).unit_sizes == (2, 2, 1)


def test_a_limit_takes_the_first_images_and_keeps_the_cut(coco: Coco) -> None:
    images = opened(many(coco, 7), unit=3, limit=4)
    assert (images.unit_sizes, images.facts()["inputs"], images.facts()["captions"]) == ((3, 1), 4, 8)
    assert images.read(0, 4)["image_id"].to_pylist() == ["0", "1", "2", "3"]


def test_the_files_are_known_by_their_digests(coco: Coco) -> None:
    assert opened(coco).digests == {
        "source.captions": hashlib.sha256(coco.captions.read_bytes()).hexdigest(),
        "source.instances": hashlib.sha256(coco.instances.read_bytes()).hexdigest(),
    }


def test_each_unit_is_known_by_the_names_and_sizes_of_its_images(coco: Coco) -> None:
    many(coco, 3)
    before = opened(coco).payloads([1, 1, 1])
    (coco.images / "1.jpg").write_bytes(b"another")
    (coco.images / "2.jpg").unlink()
    after = opened(coco).payloads([1, 1, 1])
    assert [one == two for one, two in zip(before, after, strict=True)] == [True, False, False]
    assert len(set(before)) == 3


def test_the_source_travels_to_workers(coco: Coco) -> None:
    images = opened(many(coco, 3), unit=2)
    there: CocoImages = pickle.loads(pickle.dumps(images))
    assert there.read(1, 2).equals(images.read(1, 2))
    assert (there.unit_sizes, there.facts()) == (images.unit_sizes, images.facts())


# ---- one clear line --------------------------------------------------------------------------------------------------


def test_captions_that_name_no_image_are_refused(coco: Coco) -> None:
    with pytest.raises(UserError) as error:
        opened(coco.write(captions=told(99, "a")))
    assert str(error.value) == f"source.captions: {coco.captions}: no caption names one of its images"


def test_files_without_captions_are_refused_as_for_pairs(coco: Coco) -> None:
    with pytest.raises(UserError, match="^source.captions: .*: holds no caption"):
        opened(coco.write(captions=[]))


# ---- real files ------------------------------------------------------------------------------------------------------


def test_coco_itself_gives_an_input_an_image_with_its_five_captions(shared: Path) -> None:
    folder = shared / "data/coco_mini"
    source = CocoSource(
        images=str(folder / "images"),
        captions=str(folder / "captions_train2017.json"),
        instances=str(folder / "instances_train2017.json"),
    )
    images = open_coco_images(source, 50)
    table = images.read(0, 80)
    assert images.unit_sizes == (50, 30)
    assert {len(captions) for captions in table["_captions"].to_pylist()} == {5}
    assert sum(len(boxes) for boxes in table["_boxes"].to_pylist()) == 739
    assert [f"{key}.jpg" for key in table["key"].to_pylist()] == table["image_file"].to_pylist()
