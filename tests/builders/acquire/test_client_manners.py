"""What a fetch asks for and whom: no private address, its own name, and who opts out or asks to wait."""

from __future__ import annotations

import asyncio
import email.utils
import socket
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.acquire import address, client
from builders.acquire.answers import Again
from builders.acquire.client import fetch, open_session
from tests.builders.acquire.answers import WHOLE, page
from tests.builders.acquire.asking import MANNERS, PICTURE, PUBLIC_ONLY, Turns, got, told
from tests.builders.acquire.server import Site, serve, serve_tls

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


@pytest.mark.slow
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


@pytest.mark.slow
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
