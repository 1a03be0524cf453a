"""WebDataset tars as a source of pairs: what is a sample, and what is told of one that is none."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders.shards.store import Store
from builders.sources import pairs_tar
from builders.sources.pairs_tar import headers
from schemas.errors import BuildError, UserError
from tests.builders.sources.on_disk import opened, read, refused

Members = tuple[tuple[str, bytes], ...]
PAIR = (("a.jpg", b"image"), ("a.txt", b"a dog"), ("a.json", b'{"url": "u", "license": "CC0"}'))


def tar(path: Path, members: Members = PAIR, kind: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=kind, encoding="utf-8", errors="surrogateescape") as out:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


# ---- samples ---------------------------------------------------------------------------------------------------------


def test_members_that_share_a_name_are_a_sample(tmp_path: Path) -> None:
    assert read(tar(tmp_path / "a.tar")) == [
        {
            "key": "a",
            "_caption": "a dog",
            "_problem": None,
            "_bytes": b"image",
            "image_file": "a.jpg",
            "url": "u",
            "license": "CC0",
            "_text_boxes": None,
        }
    ]


def test_the_caption_is_that_of_the_text_or_else_of_the_json_or_of_the_field_that_is_named(tmp_path: Path) -> None:
    told = b'{"caption": "json", "alt": "alt"}'
    path = tar(
        tmp_path / "a.tar",
        (("a.jpg", b"1"), ("a.txt", b"text"), ("a.json", told), ("b.jpg", b"2"), ("b.json", told)),
    )
    assert [row["_caption"] for row in read(path)] == ["text", "json"]
    assert [row["_caption"] for row in read(path, caption="alt")] == ["alt", "alt"]


def test_the_name_ends_at_the_first_dot_and_the_folder_is_part_of_the_key(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", (("./x/a.jpg", b"1"), ("./x/a.seg.png", b"2"), ("./x/a.txt", b"a")))
    (row,) = read(path)
    assert (row["key"], row["_bytes"], opened(path).facts()["members not used"]) == ("x_a", b"1", 1)


@pytest.mark.parametrize("name", ["README", ".hidden.jpg", "._a.jpg", "__meta__/a.jpg", "a."])
def test_what_belongs_to_no_sample_is_counted(tmp_path: Path, name: str) -> None:
    path = tar(tmp_path / "a.tar", (*PAIR, (name, b"x")))
    assert (len(read(path)), opened(path).facts()["members not used"]) == (1, 1)


def test_folders_and_links_are_no_members(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar")
    with tarfile.open(path, "a") as out:
        for name, kind in (("d", tarfile.DIRTYPE), ("l.jpg", tarfile.SYMTYPE), ("h.jpg", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            out.addfile(info)
    assert len(read(path)) == 1


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names_are_read_in_every_format(tmp_path: Path, kind: int) -> None:
    folder = "f" * 80 + "/" + "g" * 60
    path = tar(tmp_path / "a.tar", ((f"{folder}/ä.jpg", b"1"), (f"{folder}/ä.txt", b"x"), *PAIR), kind)
    first, second = read(path)
    assert (first["image_file"], first["_caption"], first["_problem"]) == (f"{folder}/ä.jpg", "x", None)
    assert re.fullmatch("f{67}-[0-9a-f]{12}", first["key"])
    assert second["_caption"] == "a dog"


def test_several_tars_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        tar(tmp_path / f"{name}.tar", ((f"{name}.jpg", b"1"), (f"{name}.txt", name.encode())))
    assert [row["_caption"] for row in read(tmp_path)] == ["a", "b"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.binary(max_size=1500), min_size=1, max_size=6), st.integers(1, 3))
def test_every_image_comes_out_as_it_went_in(tmp_path: Path, images: list[bytes], unit: int) -> None:
    members = [(f"{i}.{kind}", data) for i, one in enumerate(images) for kind, data in (("png", one), ("txt", b"a"))]
    pairs = opened(tar(tmp_path / "a.tar", tuple(members)), unit)
    starts = range(0, len(images), unit)
    assert [data for at in starts for data in pairs.read(at, unit)["_bytes"].to_pylist()] == images
    assert list(pairs.payloads(pairs.unit_sizes)) == [""] * len(pairs.unit_sizes)


def test_what_gristmill_built_is_read(tmp_path: Path, dataset: Callable[[Path], Store]) -> None:
    dataset(tmp_path)
    found = read(tmp_path)
    assert [row["key"] for row in found] == ["000x000", "000x002-0", "000x003", "002x000", "002x001"]
    assert all(row["_caption"].startswith(f"caption of {row['key']}") and row["_bytes"] for row in found)


# ---- problems --------------------------------------------------------------------------------------------------------

GOOD: Members = (("z.jpg", b"1"), ("z.txt", b"good"))


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ((("a.txt", b"a"),), "no_image: the sample has no image"),
        ((("a.jpg", b"1"),), "no_caption: there is none"),
        ((("a.jpg", b"1"), ("a.json", b"{}")), "no_caption: there is none"),
        ((("a.jpg", b"1"), ("a.json", b'{"caption": null}')), "no_caption: there is none"),
        ((("a.jpg", b"1"), ("a.json", b'{"caption": 5}')), "no_caption: it is 5"),
        ((("a.jpg", b"1"), ("a.json", b'{"caption": "\\ud800"}')), "broken_text: the caption holds"),
        ((("a.jpg", b"1"), ("a.json", b"{")), "bad_json: JSONDecodeError"),
        ((("a.jpg", b"1"), ("a.json", b"[" * 100_000)), "bad_json: RecursionError"),
        ((("a.jpg", b"1"), ("a.json", b"[1]")), "bad_json: not an object"),
        ((("a.jpg", b"1"), ("a.txt", b"\xff")), "broken_text: the caption is not UTF-8 at byte 0"),
        ((("a.jpg", b"1"), ("a.png", b"2"), ("a.txt", b"a")), "repeated_member: 'a.png' is a second image"),
        ((("a.jpg", b"1"), ("a.txt", b"a"), ("a.txt", b"b")), "repeated_member: 'a.txt' is a second txt"),
        ((("a.jpg", b"1"), ("a.txt", b"x" * 1_000_001)), "text_too_large: its .txt has over 1,000,000 bytes"),
        ((("z.jpg", b"1"), ("z.txt", b"a")), None),
    ],
)
def test_a_sample_that_is_none_is_told_and_its_neighbour_is_read(
    tmp_path: Path, members: Members, problem: str | None
) -> None:
    last = GOOD if problem else (("y.jpg", b"1"), ("y.txt", b"good"))
    bad, good = read(tar(tmp_path / "a.tar", (*members, *last)))
    assert (bad["_problem"] or "").startswith(problem or "")
    assert (bad["_bytes"] is None) == bool(problem)
    assert (good["_caption"], good["_problem"]) == ("good", None)


def test_a_name_that_returns_after_another_is_a_second_sample_with_its_key(tmp_path: Path) -> None:
    again = read(tar(tmp_path / "a.tar", (*PAIR, *GOOD, *PAIR)))
    assert [(row["_problem"] or "").partition(":")[0] for row in again] == ["", "", "duplicate_key"]
    assert [row["key"] for row in again] == ["a", "z", "row-000000002"]
    assert again[2]["_problem"].endswith("key 'a'; rename the samples, or give each shard its own build")


def test_a_name_that_begins_as_no_key_may_is_a_sample_without_that_beginning(tmp_path: Path) -> None:
    (row,) = read(tar(tmp_path / "a.tar", (("../a.jpg", b"1"), ("../a.txt", b"a"))))
    assert (row["key"], row["_problem"], row["image_file"]) == ("a", None, "../a.jpg")


def test_a_huge_member_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_tar, "MAX_BYTES", 3)
    (row,) = read(tar(tmp_path / "a.tar"))
    assert (row["_problem"], row["_bytes"]) == ("image_too_large: over 3 bytes", None)


def test_a_tar_that_changes_after_it_was_listed_stops_the_build(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", (*PAIR, *GOOD))
    pairs = opened(path)
    with path.open("r+b") as file:
        file.truncate(3000)
    with pytest.raises(BuildError, match=r"a\.tar has changed since it was listed: 10,240 bytes, now 3,000"):
        pairs.read(0, 2)
    path.unlink()
    with pytest.raises(BuildError, match=r"a\.tar: No such file or directory; put it back, and run the same again"):
        pairs.read(0, 2)


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_a_tar_that_is_cut_off_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", (("a.jpg", b"x" * 2000), ("a.txt", b"a dog")))
    whole = path.read_bytes()
    path.write_bytes(whole[:1500])
    assert refused(path) == f"source.path: {path}: cut off inside 'a.jpg' (byte 1,500)"
    path.write_bytes(whole[: 512 + 2048 + 300])
    assert "ends at byte 2,560, but more follows" in refused(path)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(0, 3000), st.binary(min_size=1, max_size=40))
def test_a_damaged_tar_is_read_or_refused_in_one_line(tmp_path: Path, at: int, damage: bytes) -> None:
    path = tar(tmp_path / "a.tar", (*PAIR, *GOOD))
    data = path.read_bytes()
    path.write_bytes(data[:at] + damage + data[at + len(damage) :])
    try:
        read(path)
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not a whole tar: empty file"),
        (b"not a tar" * 100, "not a whole tar: "),
        (gzip.compress(b"x" * 2000, mtime=0), "not a whole tar: it is gzipped; unpack it with gunzip"),
        (b"\0" * 1024, "holds no pair, so there is nothing to build"),
    ],
)
def test_a_file_that_is_no_tar_is_refused(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    assert told in refused(path)


def header(name: bytes, size: bytes, kind: bytes = b"0", magic: bytes = b"ustar\x0000") -> bytes:
    """A header block with `size` as it stands in its field."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124 : 124 + len(size)] = size
    block[148:157] = b" " * 8 + kind
    block[257 : 257 + len(magic)] = magic
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(size: int) -> bytes:
    """A pax header that tells of another size of the member that follows."""
    record = b" size=%d\n" % size
    record = b"%d" % (len(record) + 2) + record
    return header(b"pax", b"%011o\0" % len(record), b"x") + record.ljust(512, b"\0")


MEMBER = header(b"a.jpg", b"00000000003\0") + b"abc".ljust(512, b"\0")


@pytest.mark.parametrize(
    "data",
    [
        header(b"a.jpg", b"-0000001000\0") + b"x" * 512,
        header(b"a.jpg", b"-0000000001\0") + b"x" * 512,
        header(b"a.jpg", (-512).to_bytes(12, "big", signed=True)) + b"x" * 512,
        header(b"a.jpg", (-1).to_bytes(12, "big", signed=True)) + MEMBER,
        header(b"a", b"-0000001000\0", b"L", b"ustar  \0") + MEMBER,
        pax(-512) + MEMBER,
        pax(-1536) + MEMBER,
    ],
)
def test_a_negative_size_is_refused_and_leads_neither_back_nor_to_the_end(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(data + b"\0" * 1024)
    assert refused(path).startswith(f"source.path: {path}: not a whole tar: ")


def test_a_chain_of_long_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    link = header(b"././@LongLink", b"00000000002\0", b"L", b"ustar  \0") + b"a".ljust(512, b"\0")
    path.write_bytes(link * 3000 + MEMBER + b"\0" * 1024)
    assert refused(path).startswith(f"source.path: {path}: not a whole tar: ")


def test_two_tars_in_one_are_refused_not_half_read(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar")
    path.write_bytes(path.read_bytes() * 2)
    assert "more follows; are two tars joined?" in refused(path)


# ---- headers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_headers_are_those_that_tarfile_reads(tmp_path: Path, kind: int) -> None:
    names = ("a.jpg", "f/" + "x" * 95, "d" * 90 + "/" + "e" * 60 + ".txt", "ä/狗.png", "empty.txt")
    path = tar(tmp_path / "a.tar", tuple((name, b"x" * i * 300) for i, name in enumerate(names[::-1])), kind)
    with tarfile.open(path) as reader:
        assert list(headers(path)) == [(one.name, one.offset_data, one.size) for one in reader]


def test_the_digest_is_of_names_places_and_sizes(tmp_path: Path) -> None:
    before = opened(tar(tmp_path / "a.tar")).digests
    assert opened(tar(tmp_path / "b.tar")).digests == before
    assert opened(tar(tmp_path / "a.tar", (("b.jpg", b"image"), *PAIR[1:]))).digests != before
