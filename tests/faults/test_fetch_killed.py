"""A build that fetches, killed in the middle: the server's log tells what was asked for again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from builders.shards.store import Store
from builders.shards.verify import verify
from tests.builders.acquire.server import Site, serve
from tests.faults.processes import Build
from tests.pipelines.milling import data_files
from tests.pipelines.test_pairs_web import picture

pytestmark = [pytest.mark.faults, pytest.mark.consumers, pytest.mark.timeout(600)]  # minutes: in make test-all

UNITS, UNIT = 30, 10


def committed(out: Path) -> set[int]:
    return {int(path.stem) for path in (out / "units").glob("*.json")}


def asked(site: Site) -> Counter[int]:
    """How often each URL was asked for since the last time."""
    found = Counter(int(hit.path.split("?")[0].rpartition("/")[2]) for hit in site.hits)
    site.hits.clear()
    return found


def test_given_a_build_killed_twice_when_resumed_then_no_url_of_a_committed_unit_is_asked_again(tmp_path: Path) -> None:
    with serve(picture) as site:
        rows = [
            {"url": site.url(f"/picture/{i}", delay="0.1"), "caption": f"thing number {i}"} for i in range(UNITS * UNIT)
        ]
        (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        recipe = tmp_path / "web.yaml"
        made = {"source": {"kind": "urls", "path": "list.jsonl"}, "output": {"unit": UNIT}}
        fetch = {"allow_private": True, "per_host": 4, "image_size": 64}
        recipe.write_text(yaml.safe_dump({"kind": "pairs", **made, "fetch": fetch}))
        out = tmp_path / "out"
        before, in_flight = set[int](), set[int]()
        for units in (5, 15, None):
            with Build(recipe, out) as build:
                if units:
                    build.wait_until(units)
                    build.kill_driver()
                else:
                    assert build.ends() == 0, build.said()
            seen, now = asked(site), committed(out)
            of_units = {url // UNIT for url in seen}
            assert not of_units & before, "a URL of a committed unit was fetched again"
            assert max(seen.values()) == 1, "a URL was fetched twice in one run"
            assert in_flight <= of_units, "a unit that a kill had cut was not taken up again"
            before, in_flight = now, of_units - now
            print(f"{len(now)} of {UNITS} units committed, {len(in_flight)} were in flight")
        assert len(before) == UNITS
        with Build(recipe, tmp_path / "whole") as build:
            assert build.ends() == 0, build.said()
    assert data_files(out) == data_files(tmp_path / "whole")
    assert verify(Store(str(out))).problems == []
