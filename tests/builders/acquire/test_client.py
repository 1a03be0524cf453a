"""One URL to a body, or to the reason why there is none: every kind of answer that a server may give."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.acquire import client
from builders.acquire.answers import Refused
from builders.acquire.client import fetch
from tests.builders.acquire import bodies
from tests.builders.acquire.asking import HURRIED, MANNERS, PICTURE, PNG, PUBLIC_ONLY, Turns, got, told
from tests.builders.acquire.server import Site

# ---- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/cookie", PICTURE),
        ("/picture/a.png", f"{len(PNG)} bytes"),
        ("/gone", "rejected: http_404"),
        ("/status/204", "rejected: http_204"),
        ("/status/206", "rejected: http_206"),
        ("/status/300", "rejected: http_300"),
        ("/status/304", "rejected: http_304"),
        ("/status/401", "rejected: http_401"),
        ("/auth", "rejected: http_401"),
        ("/status/403", "rejected: http_403"),
        ("/status/410", "rejected: http_410"),
        ("/status/451", "rejected: http_451"),
        ("/status/501", "rejected: http_501"),
        ("/status/999", "rejected: http_999"),
        ("/status/408", "failed: http_408, try again"),
        ("/status/425", "failed: http_425, try again"),
        ("/status/429", "failed: http_429, try again"),
        ("/status/500", "failed: http_500, try again"),
        ("/status/502", "failed: http_502, try again"),
        ("/status/503", "failed: http_503, try again"),
        ("/status/504", "failed: http_504, try again"),
        ("/status/520", "failed: http_520, try again"),
        ("/status/524", "failed: http_524, try again"),
        ("/html", "71 bytes"),  # whether it is a picture is not asked here
        ("/wrong-type", PICTURE),
        ("/not-a-picture", "55 bytes"),
        ("/empty", "rejected: empty_answer"),
        ("/loop", "rejected: too_many_redirects"),
        ("/hops?n=10", PICTURE),
        ("/hops?n=11", "rejected: too_many_redirects"),
        ("/to?url=", "rejected: bad_redirect"),
        ("/status/301", "rejected: bad_redirect"),
        ("/to?url=ftp%3A%2F%2Fx%2Fy", "rejected: bad_redirect"),
        ("/to?url=file%3A%2F%2F%2Fetc%2Fpasswd", "rejected: bad_redirect"),
        ("/to?url=data%3Aimage%2Fpng%3Bbase64%2CAAAA", "rejected: bad_redirect"),
        ("/to?url=http%3A%2F%2F%5B%3A%3A1", "rejected: bad_redirect"),
        ("/to?url=http%3A%2F%2Fa%3A99999%2F", "rejected: bad_redirect"),
        ("/to?url=http%3A%2F%2Fx..y%2F", "rejected: bad_url"),
        ("/to?url=picture%2Fa.png", f"{len(PNG)} bytes"),
        ("/to?url=%2Fcookie%23fragment", PICTURE),
        ("/to?url=%2Fcookie&status=301", PICTURE),
        ("/to?url=%2Fcookie&status=303", PICTURE),
        ("/to?url=%2Fcookie&status=307", PICTURE),
        ("/to?url=%2Fcookie&status=308", PICTURE),
        ("/to?url=%2Fgone", "rejected: http_404"),
        ("/gzip", PICTURE),
        ("/deflate", PICTURE),
        ("/gzip-bomb", "rejected: too_large"),
        ("/encoding?name=identity", PICTURE),
        ("/encoding?name=br", "rejected: bad_answer"),
        ("/encoding?name=gzip", "rejected: bad_answer"),
        ("/encoding?name=gzip%2C+gzip", "rejected: bad_answer"),
        ("/endless", "rejected: too_large"),
        ("/huge", "rejected: too_large"),
        ("/huge?bytes=2000001", "rejected: too_large"),
        ("/huge?bytes=2000000", "2000000 bytes"),
        ("/huge-lie?bytes=5000000000", "rejected: too_large"),
        ("/cut", PICTURE),
        ("/short", "failed: connection_cut, try again"),
        ("/reset", "failed: connection_cut, try again"),
        ("/garbage", "rejected: bad_answer"),
        ("/header-bomb", "rejected: bad_answer"),
        ("/many-headers", "rejected: bad_answer"),
    ],
)
def test_what_becomes_of_an_answer(site: Site, path: str, outcome: str) -> None:
    assert told(got(site.base + path)) == outcome


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/silent", "/slow", "/headers-slow", "/huge-lie?bytes=1000", "/status/100"])
def test_an_answer_that_does_not_come_ends_in_time(site: Site, path: str) -> None:
    began = time.monotonic()
    assert told(got(site.base + path, HURRIED)) == "rejected: timeout, try again"
    assert time.monotonic() - began < HURRIED.max_seconds + 1


@pytest.mark.slow
def test_the_time_is_that_of_all_redirects_together(site: Site) -> None:
    manners = replace(MANNERS, max_seconds=0.5)
    hops = site.url("/to", delay=0.2, url="/to?delay=0.2&url=/cookie?delay%3D0.2")
    assert told(got(hops, manners)) == "rejected: timeout, try again"
    assert told(got(hops, replace(MANNERS, max_seconds=10))) == PICTURE


@pytest.mark.slow
def test_the_time_that_a_host_makes_us_wait_does_not_count(site: Site) -> None:
    class Late(Turns):
        @asynccontextmanager
        async def __call__(self, host: str) -> AsyncIterator[None]:
            await asyncio.sleep(0.6)
            yield

    assert told(got(site.base + "/cookie?late", replace(MANNERS, max_seconds=0.5), Late())) == PICTURE


def test_a_body_that_says_that_more_is_compressed_than_comes_is_no_answer(site: Site) -> None:
    """A gzip stream without its end: what has come of it may look like a picture."""
    with pytest.MonkeyPatch.context() as patch:
        whole = bodies.picture()
        patch.setattr("tests.builders.acquire.answers.gzip.compress", lambda data, mtime: _gzip(whole)[:-2000])
        assert told(got(site.base + "/gzip?cut")) == "rejected: bad_answer"


def test_what_a_bomb_would_fill_is_never_taken(site: Site) -> None:
    got(site.base + "/gzip-bomb")  # which the server keeps
    tracemalloc.start()
    try:
        assert told(got(site.base + "/gzip-bomb")) == "rejected: too_large"
        assert tracemalloc.get_traced_memory()[1] < 5 * MANNERS.max_bytes
    finally:
        tracemalloc.stop()


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


# ---- URLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "x",
        "//127.0.0.1/x",
        "http://",
        "http:///a",
        "http://[::1",
        "ftp://127.0.0.1/b",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "http://127.0.0.1:99999/",
        "http://999.999.999.999/",
        "http://\ud800/",
        "http://xn--a/",
        "http://x..y/",
        f"http://{'a' * 64}.example/",
        "http://.../",
        "http://127.0.0.1/" + "a" * 8000,
    ],
    ids=lambda url: ascii(url)[:50],
)
def test_what_is_no_url_is_told_and_asks_nobody(url: str) -> None:
    assert told(got(url)) == "rejected: bad_url"


@pytest.mark.parametrize(
    "path", ["  {base}/cookie?1 ", "{base}/cookie?2#part", "{base}/cookie?q=a b\r\nX-Evil: yes"], ids=["1", "2", "3"]
)
def test_a_url_may_be_written_badly(site: Site, path: str) -> None:
    assert told(got(path.format(base=site.base))) == PICTURE
    assert "x-evil" not in site.hits[-1].headers
    assert "#" not in site.hits[-1].path


@pytest.mark.parametrize(
    "path",
    [
        "/picture/a%2Cb%3Bc%28%29%7E?sig=a%2Bb%2Fc%3D%3D&x=%20&y=%2c&z=a,b;c",
        "/picture/%41//x?u=http://a/b?c",
        "/?a=+",
    ],
    ids=["1", "2", "3"],
)
def test_a_url_that_is_written_well_is_asked_as_it_is_in_a_redirect_too(site: Site, path: str) -> None:
    got(site.base + path)
    got(site.url("/to", url=path))
    got(site.url("/to", url=site.base + path))
    asked = [hit.path for hit in site.hits[-5:]]
    assert [asked[0], asked[2], asked[4]] == [path] * 3


@pytest.mark.parametrize(
    ("path", "asked"),
    [("/gone/a b/é", "/gone/a%20b/%C3%A9"), ("/gone/100%?q=%zz|", "/gone/100%25?q=%25zz%7C"), ("/gone#%zz", "/gone")],
    ids=["1", "2", "3"],
)
def test_what_a_url_cannot_hold_is_escaped(site: Site, path: str, asked: str) -> None:
    got(site.base + path)
    assert site.hits[-1].path == asked


def test_a_host_is_the_same_in_whatever_case(site: Site) -> None:
    turns = Turns()
    got(f"HTTP://LocalHost:{site.port}/gone", MANNERS, turns)
    assert turns.hosts == ["localhost"]


@pytest.mark.slow
@given(st.one_of(st.text(max_size=40), st.text(max_size=20).map(lambda text: f"http://{text}")))
def test_no_text_makes_more_of_a_fuss_than_a_bad_url(text: str) -> None:
    @asynccontextmanager
    async def stop(host: str) -> AsyncIterator[None]:
        raise Refused("asked", host)
        yield

    async def main() -> str:
        with pytest.raises(Refused) as why:
            await fetch(None, text, MANNERS, stop)  # type: ignore[arg-type]
        return why.value.reason

    assert asyncio.run(main()) in ("asked", "bad_url")


def test_a_port_where_nobody_listens_and_a_name_that_nobody_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert told(got(f"http://127.0.0.1:{port}/")) == "failed: cannot_connect, try again"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "rejected: no_such_host"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "failed: no_name_server, try again"),
    ],
)
def test_a_name_that_cannot_be_looked_up(monkeypatch: pytest.MonkeyPatch, error: OSError, outcome: str) -> None:
    def look_up(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert told(got("http://mill.example/")) == outcome


@pytest.mark.parametrize("number", ["ENETUNREACH", "EMFILE"])
def test_what_is_wrong_with_us_is_not_laid_at_the_urls_door(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    def no(*_: object) -> None:
        raise OSError(getattr(errno, number), number)

    monkeypatch.setattr(client, "open_public", no)
    assert told(got("http://8.8.8.8/", PUBLIC_ONLY)) == "failed: no_network, try again"
