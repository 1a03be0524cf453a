"""Pairs from a list of URLs, whole: every URL has an outcome, and what failed is fetched again, alone."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from builders.shards.store import Store
from builders.shards.verify import verify
from tests.builders.acquire.server import Site, serve
from tests.pipelines.milling import data_files, losses, marker, mill, table

pytestmark = pytest.mark.ray

QUICK = {"allow_private": True, "timeout": 2, "max_seconds": 3, "retries": 0, "image_size": 64}


def picture(name: str) -> bytes:
    """Another one for each name."""
    out = io.BytesIO()
    Image.new("RGB", (120, 80), (len(name) * 7 % 256, sum(name.encode()) % 256, 90)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def site() -> Iterator[Site]:
    with serve(picture) as found:
        yield found


def recipe(folder: Path, urls: Sequence[str], unit: int = 4, **fields: Any) -> Path:
    """A recipe of a list of these URLs."""
    rows = [
        {"url": url, "caption": f"a photo of thing {i}", "license": "CC0", "width": i} for i, url in enumerate(urls)
    ]
    (folder / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = {"source": {"kind": "urls", "path": "list.jsonl"}, "fetch": QUICK, "output": {"unit": unit}}
    path = folder / "web.yaml"
    path.write_text(yaml.safe_dump({"kind": "pairs", **made, **fields}))
    return path


def asked(site: Site) -> Counter[str]:
    """How often each URL was asked for since the last time that this was called."""
    found = Counter(hit.path for hit in site.hits)
    site.hits.clear()
    return found


def test_given_a_list_of_urls_then_each_is_kept_rejected_or_failed_and_its_columns_travel(
    site: Site, tmp_path: Path, out: Path
) -> None:
    urls = [site.url("/picture/a"), site.url("/gone"), site.url("/optout", value="noai"), site.url("/status/503")]
    urls += [site.url("/not-a-picture"), site.url("/picture/b"), "no url", site.url("/picture/a")]

    manifest = mill(recipe(tmp_path, urls, max_failed=1), out)

    assert manifest["funnel"]["inputs"]["kept"] == 3
    assert losses(out) == {
        "000000001": ("rejected", "fetch", "http_404"),
        "000000002": ("rejected", "fetch", "opted_out"),
        "000000003": ("failed", "fetch", "http_503"),
        "000000004": ("rejected", "fetch", "not_an_image"),
        "000000006": ("rejected", "fetch", "bad_url"),
    }
    told = ("key", "url", "license", "source_width", "original_width", "original_height", "width", "height")
    assert table(out, "index", *told) == [
        ("000000000", urls[0], "CC0", 0, 120, 80, 64, 64),
        ("000000005", urls[5], "CC0", 5, 120, 80, 64, 64),
        ("000000007", urls[7], "CC0", 7, 120, 80, 64, 64),
    ]
    with tarfile.open(out / "data/000000.tar") as tar:
        data = tar.extractfile("000000000.jpg")
        assert data is not None
        assert Image.open(data).size == (64, 64)
    assert verify(Store(str(out))).problems == []


def test_given_rules_then_no_url_of_a_rejected_caption_is_asked_and_images_are_measured_as_they_came(
    site: Site, tmp_path: Path, out: Path
) -> None:
    urls = [site.url(f"/picture/{name}") for name in "abc"]
    path = recipe(tmp_path, urls, rules={"max_words": 5, "min_side": 80})
    lines = [json.loads(line) for line in (tmp_path / "list.jsonl").read_text().splitlines()]
    lines[1]["caption"] = "far too many words for a caption here"
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    mill(path, out)

    assert asked(site) == {"/picture/a": 1, "/picture/c": 1}
    assert losses(out) == {"000000001": ("rejected", "text_rules", "too_many_words")}
    assert table(out, "index", "side_min", "height") == [(80, 64), (80, 64)]

    mill(path, out, "rules.min_side=81", overwrite=True)

    assert losses(out)["000000000"] == ("rejected", "image_rules", "too_small")


def test_given_failed_urls_when_retried_then_they_alone_are_fetched_and_the_bytes_are_as_if_nothing_had_failed(
    site: Site, tmp_path: Path, out: Path
) -> None:
    urls = [site.url("/picture/a"), site.url("/flaky", times="2"), site.url("/gone"), site.url("/picture/b")]
    urls += [site.url("/picture/c"), site.url("/picture/d")]
    path = recipe(tmp_path, urls, max_failed=1)
    mill(path, out)
    assert losses(out)["000000001"] == ("failed", "fetch", "http_500")
    untouched = marker(out, 1)
    asked(site)

    mill(path, out, retry_failed=True)
    assert asked(site) == {"/flaky?times=2": 1}, "a URL that had not failed was fetched again"
    assert losses(out)["000000001"][0] == "failed"

    mill(path, out, retry_failed=True)
    assert asked(site) == {"/flaky?times=2": 1}
    assert losses(out) == {"000000002": ("rejected", "fetch", "http_404")}
    assert marker(out, 1) == untouched
    mill(path, tmp_path / "whole")  # by now nothing fails
    assert data_files(out) == data_files(tmp_path / "whole")


def test_given_one_host_then_its_limit_holds_over_all_workers(site: Site, tmp_path: Path, out: Path) -> None:
    urls = [site.url(f"/picture/{i}", delay="0.05") for i in range(40)]

    mill(recipe(tmp_path, urls, unit=10, fetch={**QUICK, "per_host": 3}), out)

    assert len(asked(site)) == 40
    assert site.most_at_once <= 3


def test_given_private_addresses_are_not_allowed_then_nothing_leaves(site: Site, tmp_path: Path, out: Path) -> None:
    fetch = {name: value for name, value in QUICK.items() if name != "allow_private"}

    mill(recipe(tmp_path, [site.url("/picture/a"), f"http://localhost:{site.port}/picture/b"], fetch=fetch), out)

    assert {why for *_, why in losses(out).values()} == {"private_address"}
    assert not site.hits


def test_given_keys_that_repeat_or_are_missing_when_retried_then_still_the_failed_alone_are_fetched(
    site: Site, tmp_path: Path, out: Path
) -> None:
    urls = [site.url("/picture/a"), site.url("/flaky", times="1"), site.url("/picture/b"), site.url("/picture/c")]
    path = recipe(tmp_path, urls, max_failed=1)
    lines = [json.loads(line) for line in (tmp_path / "list.jsonl").read_text().splitlines()]
    lines = [{**line, "key": key} for line, key in zip(lines, ("k", "f", "k", None), strict=True)]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    mill(path, out)
    assert sorted(why for *_, why in losses(out).values()) == ["bad_key", "duplicate_key", "http_500"]
    asked(site)

    manifest = mill(path, out, retry_failed=True)

    assert asked(site) == {"/flaky?times=1": 1}
    assert manifest["funnel"]["inputs"]["kept"] == 2
