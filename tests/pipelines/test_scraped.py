"""At the end of a build, what Prometheus would scrape is what the manifest says.

Ray sums up over its whole life, and here it lives as long as the test run: these names are no other tests' datasets'.
"""

from __future__ import annotations

import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import ray
from prometheus_client.parser import text_string_to_metric_families

from builders.llm import batch
from builders.step import Child, Record, Rejected
from pipelines.dag import Stage
from pipelines.metrics import METERS
from tests.builders.llm import batch_server, replies
from tests.builders.llm.server import Seen, serve
from tests.pipelines.coco import good_pairs
from tests.pipelines.milling import mill
from tests.pipelines.test_llava_asked import SCENE, TALK, recipe_for
from tests.pipelines.test_llava_batch import recipe_for as batch_recipe
from tests.pipelines.test_llava_batch import talks
from tests.pipelines.toys import INT, Numbers, Toy, dag, number

pytestmark = pytest.mark.ray

Scraped = dict[str, Counter[tuple[str, ...]]]
"""By meter, the sums over all processes by the values of its tags."""

UNITS, ANSWERS = "ray_gristmill_units_total", "ray_gristmill_llm_answers_total"
PRICES = {replies.MODEL: {"input": 2.0, "output": 8.0}}


def scrape(dataset: str) -> Scraped:
    """What the nodes of the cluster tell of a dataset."""
    found: Scraped = {meter.exported: Counter() for meter in METERS}
    tags = {meter.exported: meter.tags for meter in METERS}
    for node in ray.nodes():
        url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in found and sample.labels["dataset"] == dataset:
                    found[sample.name][tuple(sample.labels[tag] for tag in tags[sample.name])] += sample.value  # type: ignore[assignment]
    return found


def scraped(dataset: str, meter: str, total: float) -> Scraped:
    """What is told when a meter has come to `total`: a process that counts hands its numbers on when it ends."""
    end = time.monotonic() + 30
    while (found := scrape(dataset))[meter].total() < total and time.monotonic() < end:
        time.sleep(0.2)
    return found


def fates(record: Record) -> Any:
    n = number(record)
    if n % 5 == 1:
        return Rejected("dull")
    if n % 5 == 2:
        raise ValueError(f"about record {n}")
    return [Child("a", {"n": n}), Child("b", {"n": -n})]


def check(record: Record) -> Any:
    return Rejected("negative") if record["n"] < -6 else {"m": 0}


def test_the_counters_of_a_build_are_the_sums_of_its_manifest(tmp_path: Path, out: Path) -> None:
    stages = (
        Stage("split", (Toy(fates, name="fates"),)),
        Stage("look", (Toy(check, name="check", reads=("n",), adds={"m": INT["n"]}),)),
    )
    recipe = good_pairs(tmp_path / "coco", 1).save()
    toys = dag(*stages, source=Numbers((6, 6, 5)))

    manifest = mill(recipe, out, "name=scraped-counted", "max_failed=1", dag=toys)

    found, records = scraped("scraped-counted", UNITS, 3), manifest["funnel"]["records"]
    inputs = {(name,): manifest["funnel"]["inputs"][name] for name in ("kept", "rejected", "failed")}
    stage = {"fates": "split", "check": "look"}
    lost = {tuple(why.split("/")): count for why, count in records["reasons"].items()}
    assert len(lost) == 3
    assert found["ray_gristmill_inputs_total"] == inputs
    assert found["ray_gristmill_records_total"] == {
        ("kept", "", "", ""): records["kept"],
        **{(outcome, stage[step], step, reason): count for (outcome, step, reason), count in lost.items()},
    }
    assert found["ray_gristmill_units_total"][()] == manifest["units"]
    assert found["ray_gristmill_samples_total"][()] == manifest["samples"]
    sizes = {
        (name,): sum(file.stat().st_size for file in (out / name).iterdir()) for name in ("data", "index", "rejects")
    }
    assert found["ray_gristmill_bytes_total"] == sizes
    assert sizes["data",] == manifest["bytes"]
    seconds = {(stage[step], step): told for step, told in manifest["times"]["worker_seconds"].items() if told}
    assert found["ray_gristmill_step_seconds_total"] == pytest.approx(seconds)
    assert set(found["ray_gristmill_units_left"].values()) <= {0}


def test_a_build_that_goes_on_counts_what_it_commits_itself(tmp_path: Path, out: Path) -> None:
    recipe = good_pairs(tmp_path / "coco", 1).save()
    toys = dag(Stage("all", (Toy(lambda record: {"n": 0}),)), source=Numbers((4, 4, 4)))
    mill(recipe, out, "name=scraped-first", dag=toys)
    (out / "units/000001.json").unlink()
    (out / "manifest.json").unlink()

    mill(recipe, out, "name=scraped-second", dag=toys)

    assert scraped("scraped-first", UNITS, 3)["ray_gristmill_inputs_total"]["kept",] == 12
    assert scraped("scraped-second", UNITS, 1)["ray_gristmill_inputs_total"]["kept",] == 4


def test_the_counters_of_a_model_are_those_of_the_ledger(tmp_path: Path, out: Path) -> None:
    def reply(seen: Seen) -> replies.Reply:
        return replies.answer(SCENE if "\n\n" in seen.prompt else TALK)

    with serve(reply) as api:
        recipe = recipe_for(tmp_path, api, count=12, prices=PRICES)
        first = mill(recipe, out, "name=scraped-asked")["llm"]["last_run"]
        ledger = f"llm.ledger={out / 'ledger'}"
        again = mill(recipe, tmp_path / "again", "name=scraped-known", ledger)["llm"]["last_run"]

    who = ("llm", replies.MODEL)
    found = scraped("scraped-asked", ANSWERS, first["answers"])
    assert first["usd"] > 0
    assert found["ray_gristmill_llm_requests_total"] == {who: first["requests"]}
    assert found["ray_gristmill_llm_answers_total"] == {(*who, "asked"): first["answers"]}
    tokens = {(*who, "in"): first["tokens_in"], (*who, "out"): first["tokens_out"]}
    assert found["ray_gristmill_llm_tokens_total"] == tokens
    assert found["ray_gristmill_llm_usd_total"] == pytest.approx({who: first["usd"]})
    known = scraped("scraped-known", ANSWERS, again["from_ledger"])
    assert known["ray_gristmill_llm_requests_total"] == {}
    assert known["ray_gristmill_llm_answers_total"] == {(*who, "ledger"): again["from_ledger"]}
    assert known["ray_gristmill_llm_saved_usd_total"] == pytest.approx({who: again["saved_usd"]})


def test_the_answers_of_a_batch_are_counted_when_its_pass_ends(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", batch_server.KEY)
    monkeypatch.setattr(batch, "FIRST_POLL", 0.01)
    with batch_server.serve() as site:
        site.row = talks
        recipe = batch_recipe(tmp_path, site.base_url)
        last = mill(recipe, out, "name=scraped-batched", "source.limit=8")["llm"]["last_run"]

    found = scraped("scraped-batched", ANSWERS, last["answers"])
    assert found["ray_gristmill_llm_requests_total"] == {("llm", "mill-1"): last["requests"]}
    assert found["ray_gristmill_llm_usd_total"] == pytest.approx({("llm", "mill-1"): last["usd"]})
