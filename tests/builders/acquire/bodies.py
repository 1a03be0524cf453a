"""What the test server puts into its answers: a picture, and files that are small to send and enormous to open."""

from __future__ import annotations

import io
import random
import struct
import zlib
from functools import cache

from PIL import Image

MEGABYTE = 1_000_000

_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)


def content_type(data: bytes) -> str:
    """What a careful web server says of a file: told by its first bytes."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    return next((kind for start, kind in _SIGNATURES if data.startswith(start)), "application/octet-stream")


@cache
def picture() -> bytes:
    """The picture of all routes that need no other: a JPEG of 320 x 240, the same in every process."""
    colours = random.Random(0).randbytes(20 * 15 * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (20, 15), colours).resize((320, 240)).save(out, "JPEG", quality=90)
    return out.getvalue()


def _deflated_zeros(block: int, times: int) -> bytes:
    """`block * times` zeros as one raw deflate stream. A block that ends in a full flush refers to nothing before it,
    so one is compressed and repeated: even gigabytes take no time to make."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = deflate.compress(bytes(block)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return one * times + b"\x03\x00"


@cache
def gzip_bomb(megabytes: int) -> bytes:
    """So many million zeros as a single gzip member, a thousandth of that in size."""
    check = 0
    for _ in range(megabytes):
        check = zlib.crc32(bytes(MEGABYTE), check)
    head = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    return head + _deflated_zeros(MEGABYTE, megabytes) + struct.pack("<II", check, megabytes * MEGABYTE % 2**32)


@cache
def png_bomb(side: int = 30_000) -> bytes:
    """A valid black PNG, one bit a pixel: by default 0.1 MB that decode to 900 million pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = 100
    row = 1 + -(-side // 8)
    adler = (row * side % 65521) << 16 | 1  # of that many zeros
    pixels = b"\x78\xda" + _deflated_zeros(row * rows, side // rows) + struct.pack(">I", adler)
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
