"""COCO files as a source: what becomes an input, what is told of it, and what is refused in one clear line."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders.grounding.annotations import PlaceBoxes
from builders.grounding.caption import CheckCaption
from builders.sources.json_file import load_json
from builders.step import Rejected
from schemas.errors import UserError
from tests.builders.sources.coco_folder import BOX, CAPTION, DOG, PHOTO, Coco


@pytest.fixture
def coco(tmp_path: Path) -> Coco:
    return Coco(tmp_path)


def problem(row: dict[str, Any]) -> str:
    """The reason that the row's input is rejected for, "" where it is not."""
    (result,) = CheckCaption(1000)([row])
    return result.reason if isinstance(result, Rejected) else ""


# ---- inputs ----------------------------------------------------------------------------------------------------------


def test_one_input_is_a_caption_with_its_photo_and_the_photos_boxes(coco: Coco) -> None:
    (row,) = coco.rows()
    assert row == {
        "key": "000000000001-7",
        "caption_id": "7",
        "_caption": "a dog",
        "_problem": None,
        "image_id": "1",
        "image_file": "1.jpg",
        "url": None,
        "license": None,
        "_annotated_width": 100,
        "_annotated_height": 200,
        "_boxes": [{"x": 10.0, "y": 20.0, "w": 30.0, "h": 40.0, "category": "dog", "crowd": False}],
    }


def test_rows_have_the_columns_that_the_source_promises(coco: Coco) -> None:
    pairs = coco.open()
    table = pairs.read(0, 1)
    assert {field.name: field.type for field in table.schema} == dict(pairs.columns)


def test_inputs_stand_by_photo_and_then_in_the_order_of_the_file(coco: Coco) -> None:
    photos = [{**PHOTO, "id": n, "file_name": f"{n}.jpg"} for n in (5, 2)]
    captions = [{**CAPTION, "id": n, "image_id": image} for n, image in ((1, 2), (2, 5), (3, 2), (4, 5))]
    assert [row["caption_id"] for row in coco.write(photos, captions).rows()] == ["2", "4", "1", "3"]


def test_url_and_licence_are_those_of_the_photo(coco: Coco) -> None:
    photo = {**PHOTO, "license": 4, "coco_url": "http://coco/1.jpg", "flickr_url": "http://flickr/1.jpg"}
    (row,) = coco.write([photo], licenses=[{"id": 4, "name": "CC BY 4.0", "url": "u"}]).rows()
    assert (row["url"], row["license"]) == ("http://coco/1.jpg", "CC BY 4.0")


def test_crowd_regions_are_marked(coco: Coco) -> None:
    (row,) = coco.write(boxes=[{**BOX, "iscrowd": 1}]).rows()
    assert row["_boxes"][0]["crowd"] is True


@pytest.mark.parametrize("flag", [0, "0", None, False, "no"])
def test_what_does_not_say_one_is_no_crowd(coco: Coco, flag: Any) -> None:
    (row,) = coco.write(boxes=[{**BOX, "iscrowd": flag}]).rows()
    assert row["_boxes"][0]["crowd"] is False


@pytest.mark.parametrize("size", [None, "100", 0, -5, 1.5, True, 2**40])
def test_a_size_that_is_no_number_of_pixels_is_not_known(coco: Coco, size: Any) -> None:
    (row,) = coco.write([{**PHOTO, "width": size}]).rows()
    assert row["_annotated_width"] is None


def test_ids_may_be_texts(coco: Coco) -> None:
    photo, caption, box = (
        {**PHOTO, "id": "dog one"},
        {**CAPTION, "id": "c", "image_id": "x1"},
        {**BOX, "image_id": "x1"},
    )
    (row,) = coco.write([{**photo, "id": "x1"}], [caption], [{**box, "category_id": "d"}], [{**DOG, "id": "d"}]).rows()
    assert (row["key"], row["image_id"], row["_problem"], len(row["_boxes"])) == ("x1-c", "x1", None, 1)


def test_the_files_are_known_by_their_digests(coco: Coco) -> None:
    assert coco.open().digests == {
        "source.captions": hashlib.sha256(coco.captions.read_bytes()).hexdigest(),
        "source.instances": hashlib.sha256(coco.instances.read_bytes()).hexdigest(),
    }


def test_the_categories_are_those_of_the_file(coco: Coco) -> None:
    assert coco.write(categories=[{"id": 1, "name": "zebra"}, DOG]).open().categories == ("dog", "zebra")


# ---- an input with a problem is still an input -----------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["a/b", "a.b", ".", "..", "../etc", "a b", "_a", "x" * 81, "a\nb", "\ud800", "a\\b"])
def test_a_key_that_cannot_name_files_rejects_its_own_record_alone(coco: Coco, bad: str) -> None:
    photos = [PHOTO, {**PHOTO, "id": bad, "file_name": "2.jpg"}]
    rows = coco.write(photos, [{**CAPTION, "image_id": bad}, CAPTION]).rows()
    assert [problem(row) for row in rows] == ["", "bad_key"]
    assert "the key " in rows[1]["_problem"]


def test_the_second_of_two_inputs_with_one_key_is_rejected(coco: Coco) -> None:
    rows = coco.write(captions=[CAPTION, {**CAPTION, "caption": "again"}]).rows()
    assert [(row["_caption"], problem(row)) for row in rows] == [("a dog", ""), ("again", "duplicate_key")]


def test_keys_collide_however_their_ids_are_written(coco: Coco) -> None:
    photos = [PHOTO, {**PHOTO, "id": "000000000001"}, {**PHOTO, "id": "a-b"}, {**PHOTO, "id": "a"}]
    ids = [(1, 7), ("000000000001", "7"), ("a-b", "c"), ("a", "b-c")]
    rows = coco.write(photos, [{**CAPTION, "image_id": image, "id": number} for image, number in ids]).rows()
    assert [problem(row) for row in rows] == ["", "duplicate_key", "", "duplicate_key"]


def test_a_caption_of_a_photo_that_is_not_there_is_rejected(coco: Coco) -> None:
    rows = coco.write(captions=[{**CAPTION, "image_id": 99}, CAPTION]).rows()
    assert [(row["image_id"], problem(row)) for row in rows] == [("1", ""), (None, "unknown_image")]


@pytest.mark.parametrize("caption", [None, 5, ["a dog"], {"en": "a dog"}, True])
def test_a_caption_that_is_no_text_is_rejected(coco: Coco, caption: Any) -> None:
    rows = coco.write(captions=[{**CAPTION, "caption": caption}, {**CAPTION, "id": 8}]).rows()
    assert [problem(row) for row in rows] == ["no_caption", ""]


def test_a_caption_with_half_a_character_is_rejected(coco: Coco) -> None:
    rows = coco.write(captions=[{**CAPTION, "caption": "a \ud83d dog"}, {**CAPTION, "id": 8}]).rows()
    assert [problem(row) for row in rows] == ["broken_text", ""]


def test_each_unit_is_known_by_the_names_and_sizes_of_its_photos(coco: Coco) -> None:
    photos = [{**PHOTO, "id": n, "file_name": f"{n}.jpg"} for n in (1, 2, 3)]
    pairs = coco.write(photos, [{**CAPTION, "id": n, "image_id": n} for n in (1, 2, 3)])
    for n in (1, 2):
        (coco.images / f"{n}.jpg").write_bytes(b"photo")
    before = pairs.open().payloads([1, 1, 1])
    assert len(set(before)) == 3, "names differ, and the third is missing"
    (coco.images / "2.jpg").write_bytes(b"another")
    (coco.images / "3.jpg").write_bytes(b"found")
    after = pairs.open().payloads([1, 1, 1])
    assert [one == two for one, two in zip(before, after, strict=True)] == [True, False, False]


def test_texts_with_half_a_character_anywhere_crash_nothing(coco: Coco) -> None:
    broken = "\ud800"
    photo = {**PHOTO, "id": broken, "file_name": broken, "coco_url": broken}
    pairs = coco.write(
        [photo], [{**CAPTION, "image_id": broken}], [{**BOX, "image_id": broken}], [{"id": 18, "name": broken}]
    )
    (row,) = pairs.rows()
    assert problem(row) == "bad_key"
    assert coco.open().facts()["photos whose file is missing"] == 1


# ---- boxes that are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bbox",
    [
        [math.nan, 1, 5, 5],
        [1, 1, math.inf, math.nan],
        [-50, -50, 20, 20],
        [500, 1, 5, 5],
        [1, 1, 0, 5],
        [1, 1, 5, 0],
        [1, 1, -5, 5],
        [],
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        [1, 2, 3, None],
        [1, 2, 3, "x"],
        [1, 2, True, 4],
        [10**400, 1, 5, 5],
        None,
        "1,2,3,4",
        {"x": 1},
    ],
)
def test_a_box_that_is_none_is_counted_and_its_neighbour_stays(coco: Coco, bbox: Any) -> None:
    (row,) = coco.write(boxes=[{**BOX, "bbox": bbox}, BOX]).rows()
    (placed,) = PlaceBoxes()([{**row, "width": 100, "height": 200, "orientation": 1}])
    assert isinstance(placed, dict)
    assert (placed["boxes_invalid"], [box["instance"] for box in placed["_gold"]]) == (1, [1])


def test_a_box_without_bbox_is_counted_too(coco: Coco) -> None:
    (row,) = coco.write(boxes=[{name: BOX[name] for name in ("id", "image_id", "category_id")}]).rows()
    (placed,) = PlaceBoxes()([{**row, "width": 100, "height": 200, "orientation": 1}])
    assert isinstance(placed, dict)
    assert (placed["boxes_invalid"], placed["_gold"]) == (1, [])


# ---- what is told ----------------------------------------------------------------------------------------------------


def test_what_is_no_input_or_lacks_something_is_told(coco: Coco) -> None:
    photos = [{**PHOTO, "id": n, "file_name": f"{n}.jpg"} for n in (1, 2, 3)]
    captions = [CAPTION, {**CAPTION, "id": 8, "image_id": 2}, {**CAPTION, "id": 9, "image_id": 99}]
    boxes = [BOX, {**BOX, "image_id": 3}, {**BOX, "image_id": 99}]
    facts = coco.write(photos, captions, boxes).open().facts()
    assert facts["inputs"] == 3
    assert facts["photos without caption (no inputs)"] == 1
    assert facts["captioned photos without boxes"] == 1
    assert facts["photos whose file is missing"] == 1
    assert facts["boxes of photos that no caption names"] == 1
    assert facts["captions with a problem"] == 1


# ---- units -----------------------------------------------------------------------------------------------------------


def many(coco: Coco, count: int) -> Coco:
    return coco.write(captions=[{**CAPTION, "id": n} for n in range(count)])


def test_inputs_are_cut_into_units_and_read_one_unit_at_a_time(coco: Coco) -> None:
    pairs = many(coco, 7).open(unit=3)
    assert pairs.unit_sizes == (3, 3, 1)
    assert pairs.read(3, 3)["caption_id"].to_pylist() == ["3", "4", "5"]
    whole = pairs.read(0, 7)
    assert pa.concat_tables([pairs.read(0, 3), pairs.read(3, 3), pairs.read(6, 1)]).equals(whole)


def test_large_photos_make_smaller_units(coco: Coco, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builders.sources.cut.UNIT_BYTES", 25)
    assert many(coco, 5).open(unit=1000).unit_sizes == (2, 2, 1)


def test_a_limit_takes_the_first_inputs_and_keeps_the_cut(coco: Coco) -> None:
    pairs = many(coco, 7).open(unit=3, limit=4)
    assert pairs.unit_sizes == (3, 1)
    assert pairs.facts()["inputs"] == 4
    assert pairs.read(0, 4)["caption_id"].to_pylist() == ["0", "1", "2", "3"]


# ---- one clear line --------------------------------------------------------------------------------------------------


def test_malformed_json_names_file_line_and_column(coco: Coco) -> None:
    coco.captions.write_text('{"images": [],\n "annotations": [1,, 2]}')
    assert re.fullmatch(r"source\.captions: .*/captions\.json, line 2, column 20: .+", coco.refused())
    coco.write()
    coco.instances.write_text("")
    assert re.search(r"^source\.instances: .*/boxes\.json, line 1, column 1: ", coco.refused())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"a": "\xff\xfe"}', "line 1, column 8: not UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"id": ' + b"9" * 5000 + b"}", "digit"),
        (b"[]", "has no list 'images'; is it COCO format?"),
        (b'"x"', "has no list 'images'"),
        (b'{"images": {}}', "has no list 'images'"),
        (b'{"images": [7]}', "images[0] is not an object"),
        (b'{"images": []}', "has no list 'annotations'"),
        (b'{"images": [], "annotations": []}', "holds no caption"),
    ],
)
def test_captions_that_are_no_coco_are_refused_in_one_line(coco: Coco, content: bytes, told: str) -> None:
    coco.captions.write_bytes(content)
    line = coco.refused()
    assert line.startswith("source.captions: ") and told in line and "\n" not in line


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.jpg", "a/../../b.jpg", "", None, 5, "a\0b"])
def test_a_file_name_that_leaves_the_folder_or_is_none_is_refused(coco: Coco, name: Any) -> None:
    line = coco.write([{**PHOTO, "file_name": name}]).refused()
    assert line.startswith("source.captions: ") and "images[0]" in line and "file_name" in line


def test_a_file_name_in_a_folder_below_is_read(coco: Coco) -> None:
    (row,) = coco.write([{**PHOTO, "file_name": "train/1.jpg"}]).rows()
    assert row["image_file"] == "train/1.jpg"


@pytest.mark.parametrize("number", [None, 1.5, True, [1], {}])
def test_an_id_that_is_neither_a_number_nor_a_text_is_refused_with_its_place(coco: Coco, number: Any) -> None:
    assert "images[0]: id is" in coco.write([{**PHOTO, "id": number}]).refused()
    assert "annotations[0]: image_id is" in coco.write(captions=[{**CAPTION, "image_id": number}]).refused()
    assert "annotations[0]: category_id is" in coco.write(boxes=[{**BOX, "category_id": number}]).refused()


def test_two_photos_with_one_id_are_refused(coco: Coco) -> None:
    assert "images[0] and images[1] have one id, 1" in coco.write([PHOTO, {**PHOTO, "file_name": "b.jpg"}]).refused()


def test_a_box_of_an_unknown_category_is_refused(coco: Coco) -> None:
    line = coco.write(categories=[{"id": 1, "name": "cat"}]).refused()
    assert line.startswith("source.instances: ") and line.endswith("annotations[0]: no category has the id 18")


def test_two_categories_with_one_id_are_refused(coco: Coco) -> None:
    line = coco.write(categories=[DOG, {**DOG, "name": "cat"}]).refused()
    assert line.endswith("categories[1] has the id 18, as 'dog' before it")


def test_a_category_without_name_is_refused(coco: Coco) -> None:
    assert "categories[0] has no name" in coco.write(categories=[{"id": 18}]).refused()


def test_what_is_not_there_is_told_with_its_field(coco: Coco) -> None:
    coco.instances.unlink()
    assert coco.refused().startswith(f"source.instances: {coco.instances}: No such file")
    coco.write()
    (coco.images / "1.jpg").unlink()
    coco.images.rmdir()
    assert coco.refused() == f"source.images: {coco.images} is not a folder"


# ---- whatever the file holds -----------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def spoiled(good: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    """Lists of objects of which some fields were replaced by anything, or taken out."""
    one = st.builds(
        lambda changes, gone: {k: v for k, v in {**good, **changes}.items() if k not in gone},
        st.dictionaries(st.sampled_from(sorted(good)), JSON, max_size=2),
        st.sets(st.sampled_from(sorted(good)), max_size=1),
    )
    return st.lists(one, min_size=1, max_size=4)


@pytest.mark.slow
@given(spoiled(PHOTO), spoiled(CAPTION), spoiled(BOX), spoiled(DOG))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_file_holds_every_caption_is_an_input_or_the_file_is_refused_in_one_line(
    coco: Coco, photos: list[Any], captions: list[Any], boxes: list[Any], categories: list[Any]
) -> None:
    coco.write(photos, captions, boxes, categories)
    try:
        rows = coco.rows()
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert len(rows) == len(captions)
    good = [row["key"] for row in rows if not row["_problem"]]
    assert len(set(good)) == len(good)


def test_json_of_any_kind_is_parsed_with_its_digest(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'{"a": 1}')
    assert load_json(tmp_path / "x.json", "f") == ({"a": 1}, hashlib.sha256(b'{"a": 1}').hexdigest())
