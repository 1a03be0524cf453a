"""The step from URLs to images: each URL asked once, each record with its outcome, hashes compared."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PIL import Image

from builders.acquire.client import Manners
from builders.acquire.download import Pace
from builders.acquire.resize import Resizing
from builders.acquire.step import FetchImage
from builders.step import Failed, Record, Rejected, Result, Services
from tests.builders.acquire import bodies
from tests.builders.acquire.server import Site, serve

MANNERS = Manners("mill", None, frozenset(), 2_000_000, timeout=10, max_seconds=20, allow_private=True)
PACE = Pace(retries=0, connections=16, per_host=16)
RESIZING = Resizing(
    64, "keep_ratio_largest", False, "lanczos", "area", 95, "jpg", False, False, 0, None, None
)  # as in the recipe's order
PICTURE = hashlib.sha256(bodies.picture()).hexdigest()
HTML = {"sha256": hashlib.sha256(b"<html>").hexdigest(), "fetched_bytes": 6}


@pytest.fixture
def site() -> Iterator[Site]:
    with serve({"no.jpg": b"<html>"}) as found:
        yield found


def fetch(services: Services, extract_exif: bool = True) -> FetchImage:
    step = FetchImage(MANNERS, PACE, RESIZING, extract_exif)
    step.setup(services)
    return step


def records(*urls: str, sha256: str | None = None) -> list[Record]:
    return [{"url": url, "_sha256": sha256} for url in urls]


def told(results: list[Result]) -> list[str]:
    return [one.reason if isinstance(one, Rejected) else "kept" for one in results]


@pytest.mark.parametrize("extract_exif", [True, False])
def test_a_record_has_the_columns_that_the_step_promises(site: Site, services: Services, extract_exif: bool) -> None:
    step = fetch(services, extract_exif)
    (found,) = step(records(site.url("/cookie")))
    assert isinstance(found, dict)
    assert found.keys() == step.adds.keys()
    assert ("exif" in found) == extract_exif
    assert Image.open(io.BytesIO(found.pop("image"))).size == (64, 48)
    assert {name: found[name] for name in found if name != "exif"} == {
        "format": "jpg",
        "width": 64,
        "height": 48,
        "orientation": 1,
        "reencoded": "resized",
        "original_width": 320,
        "original_height": 240,
        "sha256": PICTURE,
        "fetched_bytes": len(bodies.picture()),
    }


def test_results_come_in_the_order_of_the_records_whatever_comes_first(site: Site, services: Services) -> None:
    urls = [site.url("/cookie", delay=0.3), site.url("/gone"), site.url("/cookie"), site.url("/status/503")]
    results = fetch(services)(records(*urls, *urls[::-1]))
    assert told(results) == ["kept", "http_404", "kept", "http_503", "http_503", "kept", "http_404", "kept"]
    assert [type(one) for one in results[1:4:2]] == [Rejected, Failed]


def test_a_url_that_stands_several_times_is_asked_once_and_each_record_has_its_own_hash(
    site: Site, services: Services
) -> None:
    url = site.url("/cookie")
    hashes = [None, PICTURE, "0" * 64, None]
    results = fetch(services)([{"url": url, "_sha256": sha256} for sha256 in hashes])
    assert told(results) == ["kept", "kept", "hash_mismatch", "kept"]
    assert len(site.hits) == 1


@pytest.mark.parametrize("sha256", [PICTURE, PICTURE.upper(), f" {PICTURE}\n", None, "", "  ", "\n"])
def test_bytes_that_the_list_means_are_kept(site: Site, services: Services, sha256: str | None) -> None:
    assert told(fetch(services)(records(site.url("/cookie"), sha256=sha256))) == ["kept"]


@pytest.mark.parametrize("sha256", ["0" * 64, PICTURE[:-1], "no hash"])
def test_other_bytes_are_not_and_what_came_is_told(site: Site, services: Services, sha256: str) -> None:
    (found,) = fetch(services)(records(site.url("/cookie"), sha256=sha256))
    known = {"sha256": PICTURE, "fetched_bytes": len(bodies.picture())}
    assert found == Rejected("hash_mismatch", f"the list says {sha256}", known)


def test_what_is_no_image_is_told_with_its_hash_and_a_wrong_hash_is_told_first(site: Site, services: Services) -> None:
    url = site.url("/picture/no.jpg")
    right, wrong = fetch(services)([{"url": url, "_sha256": one} for one in (HTML["sha256"], PICTURE)])
    assert isinstance(right, Rejected)
    assert (right.reason, right.known) == ("not_an_image", HTML)
    assert isinstance(wrong, Rejected)
    assert (wrong.reason, wrong.known) == ("hash_mismatch", HTML)


def test_what_never_came_has_no_hash_to_compare(site: Site, services: Services) -> None:
    (found,) = fetch(services)(records(site.url("/gone"), sha256=PICTURE))
    assert found == Rejected("http_404", "Not Found")


def test_what_is_known_of_a_rejected_record_are_columns_of_the_step(site: Site, services: Services) -> None:
    step = fetch(services)
    results = step(records(*(site.url(path) for path in ("/not-a-picture", "/broken-picture", "/bomb", "/html"))))
    assert told(results) == ["not_an_image", "broken_image", "too_many_pixels", "not_an_image"]
    assert all(isinstance(one, Rejected) and one.known.keys() <= step.adds.keys() for one in results)


def test_what_requests_need_is_imported_before_the_first(monkeypatch: pytest.MonkeyPatch, services: Services) -> None:
    called: list[object] = []
    monkeypatch.setattr("builders.acquire.step.opted_out", lambda *told: called.append(told))
    FetchImage(replace(MANNERS, opt_out=frozenset({"noai"})), PACE, RESIZING, True).setup(services)
    assert len(called) == 1


def test_no_record_is_no_work(services: Services) -> None:
    assert fetch(services)([]) == []
