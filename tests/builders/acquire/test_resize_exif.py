"""What resizing leaves as it is, and EXIF beside it, which comes from strangers."""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from builders.acquire.resize import Resize, Resizing, exif_json
from tests.builders.acquire.photos import PLAIN, encoded, photo

# ---- beside it -------------------------------------------------------------------------------------------------------


def test_the_process_can_still_speak(capfd: pytest.CaptureFixture[str]) -> None:
    resize = Resize(Resizing(**PLAIN))
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for body in (encoded(photo()), encoded(photo(), "PNG")[:500], b"no photo") * 5:
        resize(body)
    print("out")
    print("error", file=sys.stderr)
    os.write(1, b"1\n")
    os.write(2, b"2\n")
    sys.stdout.flush()
    assert capfd.readouterr() == ("out\n1\n", "error\n2\n")
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_exif_is_told_as_text() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera" + "x" * 2000
    told = json.loads(exif_json(encoded(photo(), exif=exif)) or "")
    assert told["Image Make"] == ("Camera" + "x" * 2000)[:1000]
    assert exif_json(encoded(photo())) == "{}"


@pytest.mark.parametrize("body", [b"", b"\xff\xd8\xff\xe1\xff\xffExif\0\0II*\0\xff\xff\xff\xff", b"RIFF", b"x" * 100])
def test_exif_of_whatever_it_is_does_no_harm(body: bytes) -> None:
    found = exif_json(body)
    assert found is None or json.loads(found) == {}


def with_exif(tiff: bytes) -> bytes:
    """A photo with these bytes as its EXIF."""
    body, app = encoded(photo()), b"Exif\0\0" + tiff
    return body[:2] + b"\xff\xe1" + struct.pack(">H", len(app) + 2) + app + body[2:]


def table(*entries: bytes) -> bytes:
    return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)


def entry(tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, count, value)


def test_exif_whose_entries_all_lead_to_one_large_table_is_left_out() -> None:
    """Read to its end it took exifread an hour and a half."""
    many = 2700
    gps = 8 + len(table(*[bytes(12)] * many))
    leads, longs = [entry(0x8825, 4, 1, gps)] * many, [entry(0x0100, 1, 999, 8)] * many
    body = with_exif(b"II*\0" + struct.pack("<I", 8) + table(*leads) + table(*longs))
    began = time.monotonic()
    assert exif_json(body) is None
    assert time.monotonic() - began < 2


def test_exif_that_tells_one_long_text_again_and_again_is_left_out() -> None:
    texts = [entry(0x010F, 2, 40_000, 8)] * 1500
    body = with_exif((b"II*\0" + struct.pack("<I", 8) + table(*texts)).ljust(60_000, b"x"))
    began = time.monotonic()
    assert exif_json(body) is None
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(("many", "kind"), [(999, str), (1001, type(None))])
def test_exif_of_more_tags_than_a_camera_writes_is_left_out(many: int, kind: type) -> None:
    entries = [entry(0xC000 + number, 4, 1, 5) for number in range(many)]
    found = exif_json(with_exif(b"II*\0" + struct.pack("<I", 8) + table(*entries)))
    assert type(found) is kind


def test_exif_of_more_text_than_a_camera_writes_is_left_out() -> None:
    for many, kind in ((50, str), (70, type(None))):
        texts = [entry(0xD000 + number, 2, 1000, 2000) for number in range(many)]
        body = with_exif((b"II*\0" + struct.pack("<I", 8) + table(*texts)).ljust(4000, b"x"))
        assert type(exif_json(body)) is kind


def test_exif_of_good_photos_needs_far_fewer_reads_than_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Camera", "Model", 6
    exif.get_ifd(0x8769).update({0x829A: 0.01, 0x829D: 2.8, 0x9003: "2020:01:01 00:00:00"})
    monkeypatch.setattr("builders.acquire.resize._EXIF_READS", 500)
    monkeypatch.setattr("builders.acquire.resize._EXIF_BYTES", 50_000)
    assert json.loads(exif_json(encoded(photo(), exif=exif)) or "")["EXIF FNumber"]
