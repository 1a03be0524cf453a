"""The test server does what its routes say, where that is not plain to see."""

from __future__ import annotations

import gzip
import http.client
import io
import socket
import ssl
import threading
import time
import urllib.request
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from email.utils import parsedate_to_datetime

import pytest
from PIL import Image

from tests.builders.acquire import bodies
from tests.builders.acquire.answers import WHOLE
from tests.builders.acquire.server import Site, serve, serve_tls
from tests.builders.acquire.streams import STREAMED

PNG = b"\x89PNG\r\n\x1a\n and more"


@pytest.fixture
def site() -> Iterator[Site]:
    with serve({"a b.png": PNG}) as found:
        yield found


def get(site: Site, target: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=5)) as client:
        client.request("GET", target)
        answer = client.getresponse()
        return answer.status, answer.headers, answer.read()


def ask(site: Site, target: str) -> socket.socket:
    """A connection with a request on its way."""
    client = socket.create_connection(("127.0.0.1", site.port), timeout=5)
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: mill.example\r\n\r\n".encode())
    return client


def until_the_end(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def wait_for(hits: int, site: Site) -> None:
    end = time.monotonic() + 5
    while len(site.hits) < hits:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_pictures_come_by_name_over_one_connection_and_hits_are_written_down(site: Site) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=5)) as client:
        for target, status, kind in [
            ("/picture/a%20b.png?x=1", 200, "image/png"),
            ("/picture/other", 404, "text/html; charset=utf-8"),
            ("/gzip", 200, "image/jpeg"),
            ("/status/999", 999, "text/html; charset=utf-8"),
            ("/status/204", 204, None),
            ("/nowhere", 404, "text/html; charset=utf-8"),
        ]:
            client.request("GET", target, headers={"X-Who": "me"})
            answer = client.getresponse()
            assert (answer.status, answer.getheader("Content-Type")) == (status, kind)
            body = answer.read()
            if target == "/gzip":
                assert gzip.decompress(body) == bodies.picture()
    assert [hit.path for hit in site.hits][:2] == ["/picture/a%20b.png?x=1", "/picture/other"]
    assert {(hit.host, hit.connection, hit.headers["x-who"]) for hit in site.hits} == {
        (f"127.0.0.1:{site.port}", 1, "me")
    }
    assert get(site, "/gone")[0] == 404
    assert site.hits[-1].connection == 2
    assert site.hits[-1].started >= site.hits[0].started
    assert (site.most_at_once, site.most_by_route["/picture"]) == (1, 1)


def test_busy_and_flaky_count_each_url_for_itself(site: Site) -> None:
    for target in ("/busy?times=1&after=7", "/busy?times=1&after=7&again"):
        status, headers, _ = get(site, target)
        assert (status, headers["Retry-After"]) == (429, "7")
        assert get(site, target)[::2] == (200, bodies.picture())
    ahead = parsedate_to_datetime(get(site, "/busy?after=date")[1]["Retry-After"]).timestamp() - time.time()
    assert 0 < ahead <= 2
    assert "Retry-After" not in get(site, "/busy?after=")[1]
    assert [get(site, "/flaky?times=2")[0] for _ in range(3)] == [500, 500, 200]


@pytest.mark.parametrize(
    "location", ["http://10.0.0.1/", "file:///etc/passwd", "../up", "", "http://ö.example/a b?c=d&e=f"]
)
def test_a_redirect_leads_wherever_it_is_told_to(site: Site, location: str) -> None:
    path = site.url("/to", url=location).removeprefix(site.base)
    status, headers, _ = get(site, path)
    assert status == 302
    assert headers["Location"].encode("latin-1").decode() == location


def test_a_loop_goes_on_and_hops_end(site: Site) -> None:
    assert [get(site, target)[1]["Location"] for target in ("/loop", "/loop?n=1")] == ["/loop?n=1", "/loop?n=2"]
    with urllib.request.urlopen(site.url("/hops", n=3), timeout=5) as answer:
        assert answer.read() == bodies.picture()
    assert [hit.path for hit in site.hits][2:] == ["/hops?n=3", "/hops?n=2", "/hops?n=1", "/hops?n=0"]


def test_each_opt_out_has_a_header_of_its_own(site: Site) -> None:
    headers = get(site, "/optout?value=noai%7Cbot%3A%20noimageai")[1]
    assert headers.get_all("X-Robots-Tag") == ["noai", "bot: noimageai"]


def test_the_second_request_of_a_connection_is_cut(site: Site) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=5)) as client:
        client.request("GET", "/cut")
        assert client.getresponse().read() == bodies.picture()
        client.request("GET", "/cut")
        with pytest.raises(http.client.RemoteDisconnected):
            client.getresponse()


def test_short_ends_early_and_long_leaves_rubbish_on_the_connection(site: Site) -> None:
    with pytest.raises(http.client.IncompleteRead):
        get(site, "/short")
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=5)) as client:
        client.request("GET", "/long")
        assert client.getresponse().read() == bodies.picture()[: len(bodies.picture()) // 2]
    with ask(site, "/long") as raw:
        received = b""
        while not received.endswith(bodies.picture()):
            received += raw.recv(1 << 16)


def test_a_reset_comes_in_the_middle_of_the_body(site: Site) -> None:
    with ask(site, "/reset") as client, pytest.raises(ConnectionResetError):
        until_the_end(client)
    with pytest.raises(ConnectionResetError):
        get(site, "/reset")


def test_bombs_are_small_and_open_to_what_they_say(site: Site) -> None:
    body = get(site, "/gzip-bomb?megabytes=50")[2]
    assert len(body) < 100_000
    assert len(gzip.decompress(body)) == 50_000_000
    whole = get(site, "/gzip-bomb")[2]
    assert len(whole) < 300_000
    assert int.from_bytes(whole[-4:], "little") == 200_000_000
    bomb = get(site, "/bomb")[2]
    assert len(bomb) < 200_000
    with pytest.raises(Image.DecompressionBombError, match="900000000 pixels"):
        Image.open(io.BytesIO(bomb))
    small = Image.open(io.BytesIO(bodies.png_bomb(800)))
    small.load()
    assert (small.size, small.getextrema()) == ((800, 800), (0, 0))
    pixels = zlib.decompressobj()
    left, size = bomb[41:-16], 0  # between the chunks' heads and IEND
    while left and not pixels.eof:
        size += len(pixels.decompress(left, 1 << 24))
        left = pixels.unconsumed_tail
    assert (pixels.eof, size) == (True, 3751 * 30_000)


def test_a_slow_picture_drips(site: Site) -> None:
    with ask(site, "/slow?rate=100") as client:
        started = time.monotonic()
        received = b""
        while len(received.partition(b"\r\n\r\n")[2]) < 20:
            received += client.recv(1)
        assert 0.15 < time.monotonic() - started < 3
    assert f"Content-Length: {len(bodies.picture())}".encode() in received


def test_an_endless_body_is_chunked_and_goes_on(site: Site) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=5)) as client:
        client.request("GET", "/endless")
        answer = client.getresponse()
        assert answer.read(len(bodies.picture())) == bodies.picture()
        assert len(answer.read(20_000_000)) == 20_000_000


def test_huge_is_sent_and_the_huge_lie_is_not(site: Site) -> None:
    assert len(get(site, "/huge?bytes=3000001")[2]) == 3_000_001
    with ask(site, "/huge-lie?bytes=5000000000") as client:
        client.settimeout(0.2)
        assert b"Content-Length: 5000000000\r\n\r\n" in client.recv(1 << 16)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_headers_may_be_too_long_too_many_or_none(site: Site) -> None:
    with pytest.raises(http.client.LineTooLong):
        get(site, "/header-bomb")
    with pytest.raises(http.client.HTTPException, match="more than 100 headers"):
        get(site, "/many-headers")
    with pytest.raises(http.client.BadStatusLine):
        get(site, "/garbage")


def test_requests_at_the_same_moment_are_counted_by_route_and_host_too(site: Site) -> None:
    targets = ["/html?delay=0.3", "/html?delay=0.3&b", "/empty?delay=0.3"]
    with ThreadPoolExecutor(3) as pool:
        assert [status for status, _, _ in pool.map(lambda target: get(site, target), targets)] == [200] * 3
    assert (site.most_at_once, site.most_by_route) == (3, {"/html": 2, "/empty": 1})
    assert site.most_by_host == {f"127.0.0.1:{site.port}": 3}
    for _ in range(30):
        get(site, "/cookie")
    assert site.most_by_route["/cookie"] == 1


def test_a_client_that_goes_away_ends_its_answer_at_once(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    for number, route in enumerate(["silent", "slow", "headers-slow", "endless", "huge-lie", "huge", "reset"] * 2, 1):
        ask(site, "/" + route).close()
        wait_for(number, site)
    get(site, "/html?delay=0.05")
    assert site.most_by_route["/html"] == 1
    assert site.most_at_once == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("secure", [False, True])
def test_leaving_ends_every_connection_soon(secure: bool, capfd: pytest.CaptureFixture[str]) -> None:
    with serve_tls() if secure else serve() as site:
        routes = ["silent", "slow", "headers-slow", "endless", "huge-lie", "html?delay=60"]
        clients = [socket.create_connection(("127.0.0.1", site.port), timeout=5)]  # says nothing, not even hello to TLS
        for route in routes:
            client = socket.create_connection(("127.0.0.1", site.port), timeout=5)
            if secure:
                client = ssl.create_default_context(cadata=site.certificate).wrap_socket(
                    client, server_hostname="127.0.0.1"
                )
            client.sendall(f"GET /{route} HTTP/1.1\r\n\r\n".encode())
            clients.append(client)
        wait_for(len(routes), site)
        assert site.most_at_once == len(routes)
        started = time.monotonic()
    assert time.monotonic() - started < 1
    assert "test web server" not in [thread.name for thread in threading.enumerate()]
    for client in clients:
        with client, suppress(ConnectionResetError, ssl.SSLEOFError):
            until_the_end(client)
    assert capfd.readouterr() == ("", "")


def test_tls_serves_the_same_to_those_who_trust_its_certificate(capfd: pytest.CaptureFixture[str]) -> None:
    with serve_tls(lambda name: name.encode() + PNG) as site:
        trusting = ssl.create_default_context(cadata=site.certificate)
        with urllib.request.urlopen(site.base + "/picture/x", timeout=5, context=trusting) as answer:
            assert answer.read() == b"x" + PNG
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(site.base + "/picture/x", timeout=5)
        assert len(site.hits) == 1
        with urllib.request.urlopen(site.base + "/endless", timeout=5, context=trusting) as answer:
            assert len(answer.read(1_000_000)) == 1_000_000
        with urllib.request.urlopen(site.url("/huge", bytes=3_000_001), timeout=5, context=trusting) as answer:
            assert len(answer.read()) == 3_000_001
        assert site.most_at_once == 1
    assert capfd.readouterr() == ("", "")


def test_a_query_that_a_route_cannot_read_is_told_when_the_server_ends() -> None:
    cut = pytest.raises(http.client.RemoteDisconnected)
    with pytest.raises(AssertionError, match="invalid literal for int"), serve() as site, cut:
        get(site, "/hops?n=three")


def test_no_route_hides_another() -> None:
    assert not set(WHOLE) & set(STREAMED)
