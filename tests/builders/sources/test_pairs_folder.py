"""A folder of images with sidecars as a source of pairs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builders.sources import pairs
from tests.builders.sources.on_disk import opened, read, refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`a.jpg` with its caption, in a folder of its own."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"12345")
    (folder / "a.txt").write_text("a dog")
    return folder


# ---- pairs -----------------------------------------------------------------------------------------------------------


def test_an_image_and_the_text_beside_it_are_a_pair(folder: Path) -> None:
    (folder / "a.json").write_text('{"url": "u", "license": "CC0", "caption": "not this"}')
    (row,) = read(folder)
    assert row == {
        "key": "a",
        "_caption": "a dog",
        "_problem": None,
        "_bytes": None,
        "image_file": "a.jpg",
        "url": "u",
        "license": "CC0",
        "_text_boxes": None,
    }


def test_the_caption_may_stand_in_the_json_and_must_where_its_field_is_named(folder: Path) -> None:
    (folder / "b.png").write_bytes(b"1")
    (folder / "b.json").write_text('{"text": "a cat"}')
    assert [row["_caption"] for row in read(folder)] == ["a dog", "a cat"]
    first, second = read(folder, caption="text")
    assert (first["_problem"], second["_caption"]) == ("no_caption: there is none", "a cat")


def test_folders_within_are_read_and_are_part_of_the_key(folder: Path) -> None:
    (folder / "x.y").mkdir()
    (folder / "x.y" / "my dog.v2.JPG").write_bytes(b"1")
    (folder / "x.y" / "my dog.v2.txt").write_text("mine")
    row = read(folder)[1]
    assert (row["key"], row["image_file"], row["_caption"]) == ("x_y_my_dog_v2", "x.y/my dog.v2.JPG", "mine")


def test_the_order_is_that_of_the_paths(folder: Path) -> None:
    for name in ("c", "B", "b"):
        (folder / f"{name}.jpg").write_bytes(b"1")
    assert [row["key"] for row in read(folder)] == ["B", "a", "b", "c"]


def test_a_file_with_a_byte_order_mark_is_read_without_it(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfa dog")
    assert read(folder)[0]["_caption"] == "a dog"


def test_captions_of_a_table_take_the_place_of_sidecars(folder: Path, tmp_path: Path) -> None:
    (folder / "b.jpg").write_bytes(b"1")
    table = tmp_path / "captions.tsv"
    table.write_text("a.jpg\ttold\tso\r\n\ngone.jpg\tx\n")
    source = opened(folder, captions=str(table))
    rows = source.read(0, 2).to_pylist()
    assert (rows[0]["_caption"], rows[1]["_problem"]) == ("told\tso", "no_caption: source.captions has none for it")
    assert source.facts()["captions without image (no inputs)"] == 1
    assert source.digests.keys() == {"source.path", "source.captions"}


# ---- problems --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.txt", b"\xff\xfe", "broken_text: the caption is not UTF-8 at byte 0"),
        ("a.txt", b"x" * 1_000_001, "text_too_large: a.txt has over 1,000,000 bytes"),
        ("a.json", b"{", "bad_json: JSONDecodeError"),
        ("a.json", b"null", "bad_json: not an object"),
        ("a.json", b"\xff", "bad_json: UnicodeDecodeError"),
    ],
)
def test_a_sidecar_that_is_none_is_told_and_its_neighbour_is_read(
    folder: Path, name: str, data: bytes, problem: str
) -> None:
    (folder / name).write_bytes(data)
    (folder / "b.jpg").write_bytes(b"1")
    (folder / "b.txt").write_text("a cat")
    first, second = read(folder)
    assert first["_problem"].startswith(problem)
    assert (second["_caption"], second["_problem"]) == ("a cat", None)


def test_an_image_without_caption_is_an_input_with_a_problem(folder: Path) -> None:
    (folder / "a.txt").unlink()
    assert read(folder)[0]["_problem"] == "no_caption: there is none"


def test_two_images_with_one_sidecar_are_told(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"1")
    assert [(row["key"], row["_problem"]) for row in read(folder)] == [
        ("a", None),
        ("row-000000001", "duplicate_key: an earlier input has the key 'a'; rename one of the files"),
    ]


def test_a_sidecar_that_links_out_of_the_folder_is_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(tmp_path / "secret")
    (row,) = read(folder)
    assert (row["_problem"], row["_caption"]) == ("bad_sidecar: a.txt links out of the folder of images", None)


def test_pipes_are_told_and_do_not_block(folder: Path) -> None:
    os.mkfifo(folder / "b.jpg")
    (folder / "a.txt").unlink()
    os.mkfifo(folder / "a.txt")
    assert [row["_problem"] for row in read(folder)] == [
        "bad_sidecar: a.txt is no regular file",
        "no_caption: there is none",
    ]


def test_a_sidecar_that_is_gone_when_it_is_read_is_told(folder: Path) -> None:
    source = opened(folder)
    (folder / "a.txt").unlink()
    assert source.read(0, 1)["_problem"].to_pylist() == ["bad_sidecar: a.txt: No such file or directory"]


def test_a_name_that_is_not_utf_8_is_told(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(str(folder)) + b"/\xff.jpg")).write_bytes(b"1")
    assert "bad_image_path: the file's name is not UTF-8" in [row["_problem"] for row in read(folder)]


def test_linked_folders_are_counted_not_entered(folder: Path) -> None:
    (folder / "again").symlink_to(folder)
    assert (len(read(folder)), opened(folder).facts()["linked folders (not entered)"]) == (1, 1)


# ---- what guards a resume --------------------------------------------------------------------------------------------


def test_no_image_is_opened_to_list_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "regular", lambda *_: pytest.fail("was read"))
    (folder / "a.jpg").chmod(0)
    assert opened(folder).unit_sizes == (1,)


@pytest.mark.parametrize("name", ["b.jpg", "b.txt"])
def test_a_change_of_size_is_told_of_its_unit_alone(folder: Path, name: str) -> None:
    (folder / "b.jpg").write_bytes(b"1")
    (folder / "b.txt").write_text("a cat")
    first = opened(folder, 1)
    (folder / name).write_bytes(b"another size")
    then = opened(folder, 1)
    assert then.digests == first.digests
    before, after = first.payloads([1, 1]), then.payloads([1, 1])
    assert [one == two for one, two in zip(before, after, strict=True)] == [True, False]


@pytest.mark.parametrize("name", ["b.jpg", "a.json"])
def test_a_file_more_is_another_source(folder: Path, name: str) -> None:
    before = opened(folder).digests
    (folder / name).write_bytes(b"{}")
    assert opened(folder).digests != before


def test_a_link_to_nothing_is_listed_and_fails_when_it_is_read(folder: Path) -> None:
    (folder / "a.jpg").unlink()
    (folder / "a.jpg").symlink_to(folder / "gone.jpg")
    assert read(folder)[0]["image_file"] == "a.jpg"


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_a_file_is_no_folder(folder: Path) -> None:
    assert refused(folder / "a.jpg", kind="folder").endswith("a.jpg is not a folder")


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, kind="folder").endswith("holds no pair, so there is nothing to build")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"a.jpg a dog\n", "line 1: write it as file name, tab, caption"),
        (b"a.jpg\ta\na.jpg\tb\n", "line 2: 'a.jpg' has a caption already"),
        (b"a.jpg\t\xff\n", "the caption is not UTF-8 at byte 6"),
    ],
)
def test_a_table_of_captions_that_is_none_is_refused(folder: Path, tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "c.tsv").write_bytes(data)
    assert refused(folder, captions=str(tmp_path / "c.tsv")).endswith(told)


def test_a_missing_table_of_captions_is_refused(folder: Path) -> None:
    assert refused(folder, captions=str(folder / "no.tsv")) == f"source.captions: {folder / 'no.tsv'} is no file"
