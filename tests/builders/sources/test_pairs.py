"""Pairs on disk as a source: what every kind has in common, and the step that reads their images."""

from __future__ import annotations

import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from builders import rows
from builders.sources import pairs as module
from builders.sources.pairs import PAIR, Pairs, ReadPairImage, as_boxes, key_of, unique_keys
from builders.sources.pairs_open import open_pairs
from builders.step import Rejected, Result, Services
from schemas.errors import UserError
from schemas.pairs import PairsSource


def jpeg(side: int = 8) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (200, 30, 30)).save(out, "JPEG")
    return out.getvalue()


def opened(path: Path, unit: int = 1000, **fields: Any) -> Pairs:
    return open_pairs(PairsSource(path=str(path), **fields), unit)


def read(pairs: Pairs) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pairs.read(0, pairs.listing.num_rows).to_pylist()
    return found


def refused(path: Path, **fields: Any) -> str:
    with pytest.raises(UserError) as error:
        opened(path, **fields)
    return str(error.value)


def jsonl(folder: Path, *objects: Any) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in objects))
    return path


# ---- the source ------------------------------------------------------------------------------------------------------


def test_rows_have_the_columns_that_the_source_promises(tmp_path: Path) -> None:
    pairs = opened(jsonl(tmp_path, {"image": "a.jpg", "caption": "a", "n": 1}))
    table = pairs.read(0, 1)
    assert {field.name: field.type for field in table.schema} == dict(pairs.columns)
    assert pairs.columns.keys() == {*PAIR, "source_n"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(st.sampled_from(["a", "b", "bad key", "", "_x"]), min_size=1, max_size=9), st.integers(1, 4))
def test_every_input_is_read_once_and_in_order_whatever_the_cut(tmp_path: Path, keys: list[str], unit: int) -> None:
    told = [{"key": key, "image": "x.jpg", "caption": str(i)} for i, key in enumerate(keys)]
    pairs = opened(jsonl(tmp_path, *told), unit)
    starts = [sum(pairs.unit_sizes[:i]) for i in range(len(pairs.unit_sizes))]
    units = [pairs.read(start, size).to_pylist() for start, size in zip(starts, pairs.unit_sizes, strict=True)]
    assert [row["_caption"] for rows in units for row in rows] == [str(i) for i in range(len(keys))]
    assert [row for rows in units for row in rows] == read(pairs)
    assert max(pairs.unit_sizes) <= unit
    assert len(pairs.payloads(pairs.unit_sizes)) == len(pairs.unit_sizes)


def test_a_source_reaches_a_worker_as_it_is(tmp_path: Path) -> None:
    pairs = opened(jsonl(tmp_path, {"image": "a.jpg", "caption": "a"}))
    assert read(pickle.loads(pickle.dumps(pairs))) == read(pairs)


def test_the_limit_takes_the_first_inputs(tmp_path: Path) -> None:
    pairs = opened(jsonl(tmp_path, *({"image": "a.jpg", "caption": str(i)} for i in range(5))), limit=2)
    assert ([row["_caption"] for row in read(pairs)], pairs.facts()["inputs"]) == (["0", "1"], 2)


def test_units_are_cut_by_the_bytes_of_their_images(tmp_path: Path) -> None:
    for i in range(3):
        with (tmp_path / f"{i}.jpg").open("wb") as file:
            file.truncate(100_000_000)
    path = jsonl(tmp_path, *({"image": f"{i}.jpg", "caption": "a"} for i in range(3)))
    assert opened(path).unit_sizes == (2, 1)


# ---- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "a.b", "a b", "_a", "a\0b", "x" * 81, None, "\ud800 x"])
def test_a_key_that_cannot_name_a_sample_is_a_problem_of_its_input_alone(tmp_path: Path, key: Any) -> None:
    bad, good = read(
        opened(jsonl(tmp_path, {"key": key, "image": "a", "caption": "a"}, {"key": "k", "image": "a", "caption": "a"}))
    )
    assert (bad["_problem"].partition(":")[0], good["_problem"], good["key"]) == ("bad_key", None, "k")
    assert bad["key"] == ((key or "row-000000000").replace("\ud800", "?"))


def test_of_equal_keys_the_first_is_right_and_all_are_counted(tmp_path: Path) -> None:
    pairs = opened(jsonl(tmp_path, *({"key": "k", "image": "a", "caption": str(i)} for i in range(3))))
    told = "duplicate_key: an earlier input has the key 'k'; set source.key to another column, or leave it out"
    assert [(row["key"], row["_problem"]) for row in read(pairs)] == [
        ("k", None),
        ("row-000000001", told),
        ("row-000000002", told),
    ]
    assert pairs.facts()["inputs with a problem"] == 2


@given(st.lists(st.sampled_from([None, "", "k", "a b", "row-000000001", "row-000000002", "row-000000001x"])))
def test_every_input_has_a_key_of_its_own_and_the_first_of_a_key_keeps_it(keys: list[str | None]) -> None:
    unique = unique_keys(keys)
    assert len(set(unique)) == len(keys) and all(unique) and unique_keys(keys) == unique
    for key in filter(None, keys):
        assert unique[keys.index(key)] == key


@given(st.text(min_size=1, max_size=300))
def test_the_key_of_a_file_can_name_a_sample(name: str) -> None:
    assert rows.key_problem(key_of(name)) is None


def test_the_key_of_a_file_is_its_path_as_far_as_a_key_can_hold_it() -> None:
    assert [key_of(name) for name in ("a", "x/a b.c", "../a", "_a", ".a_", "é/狗")] == [
        "a",
        "x_a_b_c",
        "a",
        "a",
        "a_",
        "é_狗",
    ]
    assert (key_of("x" * 80), key_of("_" + "x" * 80)) == ("x" * 80,) * 2
    long = [key_of("é/" * 50 + end) for end in ("a", "b", "a")]
    assert long[0].startswith("é_é_") and long[0] == long[2] != long[1]
    assert rows.key_problem(key_of("__")) is None and key_of("__") != key_of("___")


# ---- regions of text -------------------------------------------------------------------------------------------------


def test_regions_may_be_json_in_a_text() -> None:
    assert as_boxes("[[10,10,200,200]]") == as_boxes([[10, 10, 200, 200]]) == {"_text_boxes": [[10, 10, 200, 200]]}
    assert as_boxes("[]") == {"_text_boxes": []}


@pytest.mark.parametrize(
    "value", ["", "x", "5", "null", '"a"', "{}x", "[[1,2,3]]", "[1,2,3,4]", "[" * 90_000, "[[1,2,3,4]]" + " " * 100_000]
)
def test_a_text_that_tells_of_no_regions_is_a_problem(value: str) -> None:
    assert as_boxes(value)["_problem"].startswith(f"bad_text_boxes: {repr(value)[:80]} is no list of ")


# ---- payloads --------------------------------------------------------------------------------------------------------


def test_payloads_change_with_the_name_size_or_presence_of_a_units_own_files(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"12345")
    path = jsonl(tmp_path, {"image": "a.jpg", "caption": "a"}, {"image": "b.jpg", "caption": "b"})
    before = opened(path, 1).payloads([1, 1])
    assert opened(path, 1).payloads([1, 1]) == before
    (tmp_path / "b.jpg").write_bytes(b"123456")
    after = opened(path, 1).payloads([1, 1])
    assert after[0] == before[0] and after[1] != before[1]
    (tmp_path / "b.jpg").unlink()
    assert len({before[1], after[1], opened(path, 1).payloads([1, 1])[1]}) == 3


# ---- what cannot be opened -------------------------------------------------------------------------------------------


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "no") == f"source.path: {tmp_path / 'no'} is not there"


def test_a_pipe_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    assert refused(tmp_path / "a.jsonl").endswith("is neither a file nor a folder")
    assert refused(tmp_path).endswith("a.jsonl is no regular file")


def test_an_empty_folder_or_one_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x")
    assert "holds neither tars, tables nor images; give source.kind" in refused(tmp_path)
    assert "notes.md is of no known kind" in refused(tmp_path / "notes.md")


def test_a_folder_of_several_kinds_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    jsonl(tmp_path, {"image": "a.jpg", "caption": "a"})
    assert refused(tmp_path).endswith("holds several kinds (folder, jsonl); give source.kind")
    assert len(read(opened(tmp_path, kind="jsonl"))) == 1


def test_packed_files_are_refused_with_what_mends_it(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b")
    assert refused(tmp_path / "a.tar.gz").endswith("is packed (.gz), so it cannot be read at offsets; unpack it")


@pytest.mark.parametrize("field", ["images", "image", "key"])
def test_a_field_that_the_kind_does_not_have_is_refused(tmp_path: Path, field: str) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    assert refused(tmp_path, **{field: "x"}).startswith(f"source.{field}: a source of kind folder has no such field")


def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", denied)
    assert refused(tmp_path) == f"source.path: {tmp_path}: Permission denied"


# ---- images ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path, services: Services) -> Any:
    """What becomes of one image, by its bytes or the name of its file in `tmp_path`."""
    step = ReadPairImage(tmp_path)
    step.setup(services)

    def one(data: bytes | None = None, file: str | None = None) -> Result:
        (result,) = step([{"_bytes": data, "image_file": file}])
        return result

    return one


def reason(result: Result) -> str:
    assert isinstance(result, Rejected)
    return result.reason


def test_an_image_is_read_from_its_bytes_or_else_its_file(tmp_path: Path, image: Any) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(9))
    assert (image(data=jpeg(8), file="a.jpg")["width"], image(file="a.jpg")["width"]) == (8, 9)
    assert image(file="a.jpg").keys() == ReadPairImage.adds.keys()


def test_a_missing_file_fails_so_that_it_can_be_tried_again(image: Any) -> None:
    with pytest.raises(FileNotFoundError):
        image(file="no.jpg")


def test_a_pipe_is_rejected_and_does_not_block(tmp_path: Path, image: Any) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert reason(image(file="a.jpg")) == "not_a_file"


def test_a_link_is_followed_inside_the_folder_and_rejected_out_of_it(tmp_path: Path, image: Any) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "in.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "out.jpg").symlink_to("/etc/passwd")
    (tmp_path / "up").symlink_to("/etc")
    assert image(file="in.jpg")["format"] == "jpg"
    assert reason(image(file="out.jpg")) == reason(image(file="up/passwd")) == "bad_image_path"


@pytest.mark.parametrize("file", ["/etc/passwd", "../x.jpg", "a/../../x.jpg", "http://a/x.jpg", "file:///x", "a\0.jpg"])
def test_a_path_out_of_the_folder_never_reaches_the_step(tmp_path: Path, file: str) -> None:
    (row,) = read(opened(jsonl(tmp_path, {"image": file, "caption": "a"})))
    assert row["_problem"].startswith("bad_image_path: ")


def test_bytes_that_are_no_image_are_rejected(image: Any) -> None:
    assert (reason(image(data=b"")), reason(image(data=b"<html>"))) == ("empty_image", "not_an_image")


def test_a_file_that_is_no_photo_by_its_size_is_rejected(
    tmp_path: Path, image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    (tmp_path / "a.jpg").write_bytes(b"x" * 11)
    assert reason(image(file="a.jpg")) == "image_too_large"
