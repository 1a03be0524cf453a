"""One URL to a body, or to the reason why there is none: every kind of answer that a server may give."""

from __future__ import annotations

import asyncio
import email.utils
import errno
import socket
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.acquire import address, client
from builders.acquire.answers import Again, Refused
from builders.acquire.client import Manners, fetch, open_session
from builders.acquire.img2dataset_parts import opted_out
from tests.builders.acquire import bodies
from tests.builders.acquire.answers import WHOLE, page
from tests.builders.acquire.server import Site, serve, serve_tls

MANNERS = Manners(
    agent="mill/1.0 (tests)",
    token="mill",
    opt_out=frozenset({"noai", "noindex"}),
    max_bytes=2_000_000,
    timeout=10.0,
    max_seconds=20.0,
    allow_private=True,
)
HURRIED = replace(MANNERS, timeout=0.3, max_seconds=0.5)
PUBLIC_ONLY = replace(MANNERS, allow_private=False)
PNG = b"\x89PNG\r\n\x1a\n and more"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    opted_out((), None, frozenset())  # whose import no request should wait for
    with serve({"a.png": PNG}) as found:
        yield found


@dataclass
class Turns:
    """What a fetch asks leave for; all of it is given."""

    hosts: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def __call__(self, host: str) -> AsyncIterator[None]:
        self.hosts.append(host)
        yield


def got(url: str, manners: Manners = MANNERS, turns: Turns | None = None) -> bytes | Refused | Again:
    async def main() -> bytes | Refused | Again:
        async with open_session(manners) as session:
            try:
                return await fetch(session, url, manners, turns or Turns())
            except (Refused, Again) as why:
                return why

    return asyncio.run(main())


def told(found: bytes | Refused | Again) -> str:
    """An outcome in words, as it counts after the last try."""
    if isinstance(found, bytes):
        return "the picture" if found == bodies.picture() else f"{len(found)} bytes"
    kind = "failed" if isinstance(found, Again) and found.failed else "rejected"
    return f"{kind}: {found.reason}" + (", try again" if isinstance(found, Again) else "")


# ---- answers ---------------------------------------------------------------------------------------------------------

PICTURE = "the picture"


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


@pytest.mark.parametrize("path", ["/silent", "/slow", "/headers-slow", "/huge-lie?bytes=1000", "/status/100"])
def test_an_answer_that_does_not_come_ends_in_time(site: Site, path: str) -> None:
    began = time.monotonic()
    assert told(got(site.base + path, HURRIED)) == "rejected: timeout, try again"
    assert time.monotonic() - began < HURRIED.max_seconds + 1


def test_the_time_is_that_of_all_redirects_together(site: Site) -> None:
    manners = replace(MANNERS, max_seconds=0.5)
    hops = site.url("/to", delay=0.2, url="/to?delay=0.2&url=/cookie?delay%3D0.2")
    assert told(got(hops, manners)) == "rejected: timeout, try again"
    assert told(got(hops, replace(MANNERS, max_seconds=10))) == PICTURE


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


# ---- addresses that are not public -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0x7f.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "１２７.0.0.1"]
)
def test_a_url_into_a_private_network_is_refused_and_nobody_is_asked(site: Site, host: str) -> None:
    before = len(site.hits)
    found = got(f"http://{host}:{site.port}/cookie?private", PUBLIC_ONLY)
    assert told(found) == "rejected: private_address"
    assert len(site.hits) == before


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "[::1]", "[fe80::1]"])
def test_an_address_in_the_url_itself_is_not_even_looked_up(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    def no(*_: object) -> None:
        raise AssertionError("it was")

    monkeypatch.setattr(socket, "getaddrinfo", no)
    monkeypatch.setattr(client, "open_public", no)
    assert told(got(f"http://{host}/", PUBLIC_ONLY)) == "rejected: private_address"


@pytest.mark.parametrize("host", ["127.0.0.2", "0x7f.0.0.2", "[::ffff:127.0.0.2]"])
def test_a_redirect_into_a_private_network_is_refused_before_it_is_followed(
    site: Site, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    for module in (address, client):
        monkeypatch.setattr(module, "is_public", lambda text: text == "127.0.0.1")
    with socket.create_server(("127.0.0.2", 0)) as private:
        private.setblocking(False)
        turns = Turns()
        url = f"http://{host}:{private.getsockname()[1]}/"
        assert told(got(site.url("/to", url=url), PUBLIC_ONLY, turns)) == "rejected: private_address"
        with pytest.raises(BlockingIOError):
            private.accept()
    assert len(turns.hosts) == 2


def test_a_name_that_leads_elsewhere_when_it_is_looked_up_again_is_looked_at_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: what is checked is what is connected to."""
    answers = iter(["127.0.0.1", "127.0.0.2"])

    def look_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (next(answers), port))]

    monkeypatch.setattr(address, "is_public", lambda text: text == "127.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = f"http://mill.example:{site.port}/cookie?rebound"
    assert [told(got(url, PUBLIC_ONLY)) for _ in range(2)] == [PICTURE, "rejected: private_address"]


def test_a_name_of_several_private_addresses_is_refused_for_what_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        kinds = [(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))]
        return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", at) for family, at in kinds]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    before = len(site.hits)
    found = got(f"http://mill.example:{site.port}/cookie?several", PUBLIC_ONLY)
    assert (told(found), len(site.hits)) == ("rejected: private_address", before)


def test_a_proxy_of_the_environment_is_not_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.base)
    before = len(site.hits)
    assert told(got("http://10.0.0.1/", PUBLIC_ONLY)) == "rejected: private_address"
    assert len(site.hits) == before


# ---- what is sent ----------------------------------------------------------------------------------------------------


def test_a_request_says_who_asks_and_takes_no_compression(site: Site) -> None:
    got(site.base + "/cookie?who")
    assert site.hits[-1].headers == {
        "host": f"127.0.0.1:{site.port}",
        "user-agent": "mill/1.0 (tests)",
        "accept": "image/*,*/*;q=0.1",
        "accept-encoding": "identity",
    }


def test_cookies_are_forgotten_and_credentials_stay_with_their_host(site: Site) -> None:
    async def main() -> None:
        async with open_session(MANNERS) as session:
            with serve() as other:
                for url in (site.base + "/cookie", site.base + "/cookie?again"):
                    await fetch(session, url, MANNERS, Turns())
                secret = site.url("/to", url=other.base + "/cookie").replace("://", "://user:word@")
                await fetch(session, secret, MANNERS, Turns())
            assert [hit.headers.keys() & {"cookie", "authorization", "referer"} for hit in other.hits] == [set()]

    asyncio.run(main())
    assert all("cookie" not in hit.headers for hit in site.hits)


def test_each_request_of_a_redirect_asks_leave_for_its_own_host(site: Site) -> None:
    turns = Turns()
    got(site.url("/to", url=f"http://localhost:{site.port}/cookie"), MANNERS, turns)
    assert turns.hosts == ["127.0.0.1", "localhost"]


def test_tls_without_a_certificate_that_somebody_signed() -> None:
    with serve_tls() as site:
        assert told(got(site.base + "/cookie")) == "rejected: tls_error"
        assert not site.hits


# ---- X-Robots-Tag ----------------------------------------------------------------------------------------------------

OUT = "rejected: opted_out"


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ("noai", OUT),
        ("NoAI", OUT),
        ("nofollow, noindex", OUT),
        ("nofollow", PICTURE),
        ("noimageai", PICTURE),  # none of those that the recipe names
        ("mill: noai", OUT),
        ("MILL: noai", OUT),
        ("other: noai", PICTURE),
        ("other: noai|mill: noai", OUT),
        ("other: noai|all", PICTURE),
        ("nofollow|noai", OUT),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST", PICTURE),
        ("", PICTURE),
    ],
)
def test_who_opts_out_is_left_out(site: Site, value: str, outcome: str) -> None:
    assert told(got(site.url("/optout", value=value))) == outcome


@pytest.mark.parametrize(
    ("status", "outcome"), [(404, "rejected: http_404"), (503, "failed: http_503, try again"), (200, OUT)]
)
def test_an_error_page_that_opts_out_is_an_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, status: int, outcome: str
) -> None:
    monkeypatch.setitem(WHOLE, "error-page", lambda asked: page(status, ("X-Robots-Tag", "noindex")))
    assert told(got(f"{site.base}/error-page?{status}")) == outcome


def test_who_has_no_name_is_meant_by_no_named_opt_out(site: Site) -> None:
    assert told(got(site.url("/optout", value="mill: noai", x=1), replace(MANNERS, token=None))) == PICTURE


def test_with_no_directives_the_header_is_not_looked_at(site: Site) -> None:
    assert told(got(site.url("/optout", value="noai", x=1), replace(MANNERS, opt_out=frozenset()))) == PICTURE


# ---- Retry-After -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "seconds"), [("7", 7.0), (" 0 ", 0.0), ("", None), ("-1", None), ("1.5", None), ("soon", None)]
)
def test_how_long_a_server_makes_us_wait(site: Site, after: str, seconds: float | None) -> None:
    found = got(site.url("/busy", after=after))
    assert isinstance(found, Again)
    assert (found.reason, found.after) == ("http_429", seconds)


def test_it_may_be_a_date(site: Site) -> None:
    found = got(site.url("/busy", after="date", d=1))
    assert isinstance(found, Again)
    assert found.after is not None
    assert 0 <= found.after <= 2
    assert client._seconds(email.utils.formatdate(0)) == 0.0


@given(
    st.one_of(
        st.text(max_size=30),
        st.from_regex(r"(Mon, )?[0-9]{1,4} (Jan|Feb) [0-9]{1,6} [0-9]{1,3}:[0-9]{1,3}:[0-9]{1,3} [+-][0-9]{1,25}"),
    )
)
def test_no_retry_after_is_more_than_seconds_or_nothing(text: str) -> None:
    found = client._seconds(text)
    assert found is None or found >= 0


def test_a_wild_offset_is_no_date() -> None:
    assert client._seconds("Mon, 1 Jan 2024 00:00:00 +99999999999999999999") is None
