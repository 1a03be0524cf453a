"""img2dataset's rule of X-Robots-Tag, whatever bytes a server sends in it."""

from __future__ import annotations

import pytest

from builders.acquire.img2dataset_parts import opted_out

NO = frozenset({"noai", "noimageai"})


def as_aiohttp_decodes(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("value", "out"),
    [
        (b"noai", True),
        (b"noindex, NoImageAI", True),
        (b"mill: noai", True),
        (b"other: noai", False),
        (b"noindex", False),
        (b"", False),
        (b"noai, caf\xe9", True),
        (b"caf\xe9, noai", True),
        ("noai, caf\u00e9".encode(), True),
        (b"\xa0noai", True),
        ("\u00a0noai".encode(), True),
        (b"noai\xff", True),
        (b"mill: noai, caf\xe9", True),
        (b"other: noai, caf\xe9", False),
        (b"caf\xe9", False),
        (b"\xed\xa0\x80, noai", True),
    ],
)
def test_a_directive_is_found_beside_whatever_bytes(
    value: bytes, out: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert opted_out([as_aiohttp_decodes(value)], "mill", NO) is out
    assert opted_out(["all", as_aiohttp_decodes(value)], "mill", NO) is out
    assert capsys.readouterr() == ("", "")
