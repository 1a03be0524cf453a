"""The tar writer, judged by three readers: Python's tarfile, GNU tar and webdataset."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.shards.tar import BLOCK, NAME_MAX, Member, Sha256Writer, TarWriter, header

Members = list[tuple[str, bytes]]

NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\."), min_size=1, max_size=20)
PAYLOADS = st.binary(max_size=1200) | st.integers(0, 3).map(lambda n: b"x" * (n * BLOCK))
MEMBERS = st.lists(st.tuples(NAMES, PAYLOADS), unique_by=lambda m: m[0], max_size=8)


def written(members: Members) -> tuple[bytes, list[Member], str]:
    """(the tar's bytes, where its members lie, its SHA-256)"""
    file = io.BytesIO()
    out = Sha256Writer(file)
    tar = TarWriter(out)
    places = [tar.add(name, data) for name, data in members]
    tar.close()
    assert out.size == len(file.getvalue())
    return file.getvalue(), places, out.sha256


# ---- readers ---------------------------------------------------------------------------------------------------------


@given(MEMBERS)
def test_tarfile_reads_every_member_in_order_with_fixed_owner_mode_and_time(members: Members) -> None:
    data, _, _ = written(members)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="strict") as tar:
        infos = tar.getmembers()
        assert [(info.name, tar.extractfile(info).read()) for info in infos] == members  # type: ignore[union-attr]
    assert all(info.isreg() and info.mode == 0o644 for info in infos)
    assert {(info.mtime, info.uid, info.gid, info.uname, info.gname) for info in infos} <= {(0, 0, 0, "", "")}


@given(NAMES, st.integers(0, 8**11 - 1))
def test_a_header_is_what_tarfile_writes_for_the_same_file(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    assert header(name.encode(), size) == info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")


@given(MEMBERS.filter(bool))
def test_the_whole_is_what_tarfile_writes_but_for_padding_at_the_end(members: Members) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT, encoding="utf-8") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    data, _, _ = written(members)
    assert file.getvalue().rstrip(b"\0") == data.rstrip(b"\0")
    assert file.getvalue().startswith(data)


SAMPLES: Members = [("a.jpg", b"\xff\xd8" * 400), ("a.txt", "ein 🐕".encode()), ("b.jpg", b""), ("b.txt", b"two")]


@pytest.mark.skipif(shutil.which("tar") is None, reason="needs the tar program")
def test_gnu_tar_lists_and_extracts_it(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(written(SAMPLES)[0])
    listed = subprocess.run(["tar", "tvf", path, "--utc"], capture_output=True, text=True, check=True)
    assert listed.stderr == ""
    lines = [line.split() for line in listed.stdout.splitlines()]
    assert [(line[0], line[1], int(line[2]), line[3], line[-1]) for line in lines] == [
        ("-rw-r--r--", "0/0", len(data), "1970-01-01", name) for name, data in SAMPLES
    ]
    subprocess.run(["tar", "xf", path, "-C", tmp_path], check=True)
    assert [(tmp_path / name).read_bytes() for name, _ in SAMPLES] == [data for _, data in SAMPLES]


def test_webdataset_reads_its_samples(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="pip install gristmill[build]")
    path = tmp_path / "x.tar"
    path.write_bytes(written(SAMPLES)[0])
    samples = list(webdataset.WebDataset(str(path), shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == ["a", "b"]
    assert [(s["jpg"], s["txt"]) for s in samples] == [(b"\xff\xd8" * 400, "ein 🐕".encode()), (b"", b"two")]


# ---- bytes -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(MEMBERS)
def test_offsets_lead_to_payloads_and_the_digest_is_of_the_bytes(members: Members) -> None:
    data, places, digest = written(members)
    assert [(p.name, data[p.offset : p.offset + p.size]) for p in places] == members
    assert digest == hashlib.sha256(data).hexdigest()
    assert len(data) % BLOCK == 0
    assert data.endswith(b"\0" * (2 * BLOCK))


@given(MEMBERS)
def test_the_same_members_give_the_same_bytes(members: Members) -> None:
    assert written(members) == written([(name, bytearray(data)) for name, data in members])  # type: ignore[misc]


@given(st.binary(max_size=2000), st.integers(0, 100), st.integers(0, 2000))
def test_a_view_is_written_as_the_bytes_that_it_shows(data: bytes, start: int, stop: int) -> None:
    view = memoryview(data)[start:stop]
    file = io.BytesIO()
    tar = TarWriter(Sha256Writer(file))
    tar.add("x", view)
    tar.close()
    assert file.getvalue() == written([("x", bytes(view))])[0]


def test_the_offset_is_where_the_next_header_starts() -> None:
    file = io.BytesIO()
    tar = TarWriter(Sha256Writer(file))
    assert tar.offset == 0
    assert tar.add("a", b"x" * 513) == Member("a", BLOCK, 513)
    assert tar.offset == 3 * BLOCK
    assert tar.add("b", b"") == Member("b", 4 * BLOCK, 0)


# ---- what does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x" * NAME_MAX, "🐕" * 25])
def test_a_name_that_just_fits_is_written(name: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(written([(name, b"1")])[0])) as tar:
        assert tar.getnames() == [name]


@pytest.mark.parametrize("name", ["x" * (NAME_MAX + 1), "🐕" * 26])
def test_a_longer_name_is_refused_before_a_byte_is_written(name: str) -> None:
    file = io.BytesIO()
    with pytest.raises(ValueError, match="longer than 100"):
        TarWriter(Sha256Writer(file)).add(name, b"1")
    assert file.getvalue() == b""


def test_a_member_too_large_for_ustar_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        header(b"x", 8**11)
