"""Many URLs at once: each ends once, none holds another, and nothing is left when it is over."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from builders.acquire import download as module
from builders.acquire import gate
from builders.acquire.client import Manners
from builders.acquire.download import Outcome, Pace, download
from builders.acquire.hosts import Claim, Grant, HostLimits, Hosts
from builders.step import Failed, Rejected
from tests.builders.acquire import bodies
from tests.builders.acquire.server import Site, serve

MANNERS = Manners("mill (tests)", None, frozenset(), 2_000_000, timeout=10, max_seconds=20, allow_private=True)
HURRIED = replace(MANNERS, timeout=0.4, max_seconds=0.8)
PACE = Pace(retries=0, connections=64, per_host=64)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF", 0.01)
    monkeypatch.setattr(gate, "POLL", 0.01)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as found:
        yield found


def fetched(
    urls: list[str], manners: Manners = MANNERS, pace: Pace = PACE, hosts: Hosts | None = None
) -> dict[str, Outcome]:
    """What became of each URL, which is told once."""
    ended = list(download(urls, manners, pace, hosts or HostLimits()))
    assert Counter(url for url, _ in ended) == Counter(urls)
    return dict(ended)


def reasons(outcomes: Mapping[str, Outcome]) -> Counter[str]:
    return Counter(
        "a picture" if isinstance(one, bytes) else f"{type(one).__name__} {one.reason}".lower()
        for one in outcomes.values()
    )


def same(site: Site, path: str, count: int, **query: object) -> list[str]:
    return [site.url(path, **query, n=number) for number in range(count)]


def elsewhere(url: str) -> str:
    """The same under another host's name."""
    return url.replace("127.0.0.1", "localhost")


def threads() -> set[str]:
    return {thread.name.partition("_")[0] for thread in threading.enumerate() if thread.is_alive()}


# ---- each ends once --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_each_url_ends_once_whatever_becomes_of_it(site: Site) -> None:
    urls = [
        *same(site, "/cookie", 20),
        *same(site, "/gone", 20),
        *same(site, "/short", 5),
        *same(site, "/silent", 5),
        *same(site, "/garbage", 5),
        "http://x..y/",
        "nothing",
    ]
    assert reasons(fetched(urls, HURRIED, replace(PACE, retries=1))) == {
        "a picture": 20,
        "rejected http_404": 20,
        "failed connection_cut": 5,
        "rejected timeout": 5,
        "rejected bad_answer": 5,
        "rejected bad_url": 2,
    }


def test_no_url_is_no_work() -> None:
    assert fetched([]) == {}


def test_bodies_are_those_of_their_urls() -> None:
    pictures = {str(number): bytes([number]) * 1000 for number in range(40)}
    with serve(pictures) as site:
        found = fetched([f"{site.base}/picture/{name}" for name in pictures], pace=replace(PACE, per_host=4))
    assert found == {f"{site.base}/picture/{name}": data for name, data in pictures.items()}


def test_a_dead_host_does_not_hold_the_others(site: Site) -> None:
    """Ten URLs that never answer would take 8 seconds; sixty beside them do not wait for one."""
    dead = [elsewhere(url) for url in same(site, "/silent", 10)]
    began, at = time.monotonic(), 0.0
    left = set(fast := same(site, "/cookie", 60))
    for url, _ in download([*dead, *fast], replace(MANNERS, timeout=4), replace(PACE, connections=16), HostLimits()):
        left.discard(url)
        if not left:
            at = time.monotonic() - began
            break
    assert at < 2.5


# ---- how many at once ------------------------------------------------------------------------------------------------


def test_requests_at_once_are_bounded(site: Site) -> None:
    urls = same(site, "/cookie", 30, delay=0.02)
    assert reasons(fetched(urls, pace=replace(PACE, connections=5))) == {"a picture": 30}
    assert site.most_at_once == 5


def test_requests_at_one_host_are_bounded_and_another_has_a_bound_of_its_own(site: Site) -> None:
    urls = [*same(site, "/cookie", 20, delay=0.03), *map(elsewhere, same(site, "/cookie", 20, delay=0.03))]
    assert reasons(fetched(urls, pace=replace(PACE, per_host=3))) == {"a picture": 40}
    assert set(site.most_by_host.values()) == {3}
    assert site.most_at_once > 3


def test_two_downloads_share_a_hosts_bound(site: Site) -> None:
    class Locked(HostLimits):
        lock = threading.Lock()

        def renew(self, *args: Any) -> dict[str, Grant]:
            with self.lock:
                return super().renew(*args)

    limits, pace = Locked(), replace(PACE, per_host=3)
    found: list[Outcome] = []

    def one(name: str) -> None:
        found.extend(fetched(same(site, "/cookie", 20, delay=0.01, who=name), pace=pace, hosts=limits).values())

    both = [threading.Thread(target=one, args=(name,)) for name in "xy"]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert found == [bodies.picture()] * 40
    assert site.most_at_once == 3


@pytest.mark.slow
def test_a_slow_consumer_stops_the_requests(site: Site) -> None:
    outcomes = download(same(site, "/cookie", 40), MANNERS, replace(PACE, connections=4), HostLimits())
    next(outcomes)  # is being dealt with
    time.sleep(0.5)
    assert len(site.hits) == 4
    next(outcomes)
    time.sleep(0.3)
    assert len(site.hits) == 5
    assert len(list(outcomes)) == 38
    assert site.most_at_once <= 4


def test_what_is_no_body_takes_no_room(site: Site) -> None:
    outcomes = download(same(site, "/gone", 40), MANNERS, replace(PACE, connections=4), HostLimits())
    next(outcomes)
    end = time.monotonic() + 5
    while len(site.hits) < 40:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert len(list(outcomes)) == 39


# ---- further tries ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "retries", "hits", "outcome"),
    [
        ("/flaky?times=2", 2, 3, "a picture"),
        ("/flaky?times=2", 1, 2, "failed http_500"),
        ("/flaky?times=2", 0, 1, "failed http_500"),
        ("/flaky?times=1&status=503", 1, 2, "a picture"),
        ("/busy?times=2&after=0", 2, 3, "a picture"),
        ("/busy?times=2&after=", 2, 3, "a picture"),
        ("/short", 2, 3, "failed connection_cut"),
        ("/silent", 1, 2, "rejected timeout"),
        ("/gone", 2, 1, "rejected http_404"),
        ("/empty", 2, 1, "rejected empty_answer"),
        ("/garbage", 2, 1, "rejected bad_answer"),
        ("/loop", 2, 11, "rejected too_many_redirects"),
    ],
)
def test_what_may_succeed_later_is_tried_again(site: Site, path: str, retries: int, hits: int, outcome: str) -> None:
    found = fetched([site.base + path], HURRIED, replace(PACE, retries=retries))
    assert (reasons(found), len(site.hits)) == ({outcome: 1}, hits)


def test_a_further_try_has_a_connection_of_its_own(site: Site) -> None:
    fetched([site.url("/flaky", times=2)], pace=replace(PACE, retries=2))
    assert len({hit.connection for hit in site.hits}) == 3


def test_requests_use_a_connection_again(site: Site) -> None:
    fetched(same(site, "/cookie", 10), pace=replace(PACE, per_host=1))
    assert {hit.connection for hit in site.hits} == {1}


@pytest.mark.slow
def test_the_wait_grows(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF", 0.2)
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    fetched([site.url("/flaky", times=2)], pace=replace(PACE, retries=2))
    first, second, third = (hit.started for hit in site.hits)
    assert second - first >= 0.2
    assert third - second >= 0.4


@pytest.mark.slow
def test_the_time_that_a_server_asks_for_is_kept_for_the_url_and_for_its_host(site: Site) -> None:
    asked = site.url("/busy", times=1, after=1)
    pace = replace(PACE, retries=1, per_host=1)
    assert reasons(fetched([asked, *same(site, "/cookie", 3)], pace=pace)) == {"a picture": 4}
    first, *others = (hit.started for hit in site.hits)
    assert len(others) == 4
    assert min(others) - first >= 0.99


def test_a_server_that_asks_for_too_much_is_left_for_a_later_run(site: Site) -> None:
    began = time.monotonic()
    found = fetched([site.url("/busy", times=9, after=61)], pace=replace(PACE, retries=5))
    assert reasons(found) == {"failed http_429": 1}
    assert len(site.hits) == 1
    assert time.monotonic() - began < 2


@pytest.mark.slow
def test_a_host_that_always_asks_to_wait_is_left_for_a_later_run_and_others_go_on(site: Site) -> None:
    busy = same(site, "/busy", 10, times=99, after=1)
    others = [elsewhere(url) for url in same(site, "/cookie", 30)]
    began = time.monotonic()
    found: dict[str, Outcome] = {}
    ended: dict[str, float] = {}
    for url, outcome in download([*busy, *others], MANNERS, replace(PACE, per_host=1), HostLimits()):
        found[url], ended[url] = outcome, time.monotonic() - began
    assert max(ended[url] for url in others) < 1.0
    assert gate.PATIENCE - 1 <= max(ended[url] for url in busy) < gate.PATIENCE + 3
    assert reasons({url: found[url] for url in others}) == {"a picture": 30}
    told = {"failed http_429": gate.PATIENCE, "failed host_busy": 10 - gate.PATIENCE}
    assert reasons({url: found[url] for url in busy}) == told
    assert sum(hit.route == "/busy" for hit in site.hits) == gate.PATIENCE


# ---- the end ---------------------------------------------------------------------------------------------------------


def test_many_silent_hosts_do_not_hold_a_good_one(site: Site) -> None:
    silent = [url.replace("127.0.0.1", f"127.0.0.{host}") for host in range(2, 10) for url in same(site, "/silent", 16)]
    good = same(site, "/cookie", 40)
    began, ended = time.monotonic(), dict[str, float]()
    for url, _ in download([*silent, *good], replace(MANNERS, timeout=1, max_seconds=1), PACE, HostLimits()):
        ended[url] = time.monotonic() - began
        if ended.keys() >= set(good):
            break
    assert max(ended[url] for url in good) < 1.0


def test_a_host_that_asks_for_an_hour_is_left_at_once_by_all_its_urls(site: Site) -> None:
    began = time.monotonic()
    found = fetched(same(site, "/busy", 30, times=99, after=3600), pace=replace(PACE, per_host=2))
    assert {type(one) for one in found.values()} == {Failed}
    assert {one.reason for one in found.values() if isinstance(one, Rejected)} == {"http_429", "host_busy"}
    assert len(site.hits) <= 4
    assert time.monotonic() - began < 2


def test_leaving_early_ends_the_thread_and_its_requests_at_once(site: Site) -> None:
    outcomes = download([site.url("/cookie"), *same(site, "/silent", 20)], MANNERS, PACE, limits := HostLimits())
    assert next(outcomes)[1] == bodies.picture()
    began = time.monotonic()
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 1
    assert not threads() & {"download", "hosts"}
    assert limits.renew("next", 64, {"127.0.0.1": Claim(0, 64)}, {})["127.0.0.1"].allowed == 64
    with socket.create_connection(("127.0.0.1", site.port)) as last:  # whoever is still there is answered before
        last.sendall(b"GET /gone HTTP/1.0\r\n\r\n")
        assert last.recv(12) == b"HTTP/1.1 404"


def test_nothing_is_left_behind_and_a_host_is_free_for_the_next(site: Site) -> None:
    limits = HostLimits()
    for number in range(5):
        fetched(same(site, "/busy", 3, times=1, after=0, number=number), hosts=limits, pace=replace(PACE, retries=1))
        assert limits._shares == {}
    assert not threads() & {"download", "hosts", "lookup"}


def test_a_pause_that_is_told_last_does_not_hold_the_end(site: Site) -> None:
    began = time.monotonic()
    for number in range(30):
        fetched([site.url("/busy", times=9, after=30, number=number)], hosts=HostLimits())
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("after", [0, 1, 5])
@pytest.mark.timeout(20)
def test_an_error_of_the_account_reaches_whoever_takes_the_outcomes(site: Site, after: int) -> None:
    class Broken(HostLimits):
        calls = 0

        def renew(self, worker: str, per_host: int, *args: Any) -> dict[str, Grant]:
            self.calls += 1
            if self.calls > after:
                raise ValueError("the account is lost")
            return super().renew(worker, per_host, *args)

    with pytest.raises(ValueError, match="the account is lost"):
        fetched(same(site, "/cookie", 200, delay=0.05), pace=replace(PACE, per_host=2), hosts=Broken())
    assert "download" not in threads()


def test_outcomes_are_rejected_for_the_urls_own_state_and_failed_for_what_may_be_had_later(site: Site) -> None:
    found = fetched([site.url("/gone"), site.url("/status/503")])
    assert found == {
        site.url("/gone"): Rejected("http_404", "Not Found"),
        site.url("/status/503"): Failed("http_503", "Service Unavailable"),
    }
