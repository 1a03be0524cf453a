"""The Grafana dashboard asks for what builds tell: every metric and tag in its queries is one of ours. No Ray."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipelines.metrics import METERS, Meter

_ROOT = Path(__file__).parents[2]
GUIDE = (_ROOT / "docs/watching.md").read_text()
DASHBOARD: dict[str, Any] = json.loads((_ROOT / "deploy/grafana.json").read_text())
_METER = re.compile(r"\bray_\w+")
_WORDS = re.compile(r"\b(?:by|ignoring|on|group_left|group_right) *\(([^()]*)\)")


def panels() -> list[tuple[str, str]]:
    """The title and the query of each target of each panel."""
    return [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]


def plain(query: str) -> str:
    """A query as Grafana sends it, for all datasets, from a data source that is scraped every ten seconds."""
    return query.replace("$dataset", ".*").replace("$__rate_interval", "40s")


def meters(query: str) -> list[Meter]:
    exported = {meter.exported: meter for meter in METERS}
    return [exported[name] for name in _METER.findall(query)]


def tags(query: str) -> set[str]:
    """Every tag that a query names: in selectors, and by which it sums."""
    selectors = re.findall(r"\{([^{}]*)\}", query)
    found = {tag for one in selectors for tag in re.findall(r"(\w+) *(?:=~|!~|!=|=)", one)}
    return found | {word for words in _WORDS.findall(query) for word in re.findall(r"\w+", words)}


@pytest.mark.parametrize(("title", "query"), panels())
def test_a_query_names_metrics_and_tags_of_ours_alone(title: str, query: str) -> None:
    asked = meters(query)
    assert asked
    assert tags(query) <= {"dataset", *(tag for meter in asked for tag in meter.tags)}
    assert query.count('dataset=~"$dataset"') == len(asked), "the variable holds for each of them"


@pytest.mark.parametrize(("title", "query"), panels())
def test_counters_are_asked_for_their_rate_or_as_a_total_and_gauges_for_their_value(title: str, query: str) -> None:
    for meter in meters(query):
        rated = bool(re.search(rf"rate *\({meter.exported}\b", query))
        assert not (rated and meter.gauge)


def test_every_meter_is_shown() -> None:
    assert {meter.name for _, query in panels() for meter in meters(query)} == {meter.name for meter in METERS}


def test_every_meter_is_told_of_with_its_tags() -> None:
    rows = [line for line in GUIDE.splitlines() if line.startswith("| `ray_")]
    told = {name: set(re.findall(r"`(\w+)`", row.split("|")[2])) for row in rows for name in _METER.findall(row)}
    assert told == {meter.exported: set(meter.tags) for meter in METERS}


def test_legends_name_tags_by_which_the_query_sums() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            summed = re.findall(r"\w+", " ".join(re.findall(r"\bby *\(([^()]*)\)", target["expr"])))
            assert shown <= set(summed), panel["title"]


def test_the_datasource_is_asked_for_and_panels_lie_beside_each_other() -> None:
    names = {variable["name"]: variable["type"] for variable in DASHBOARD["templating"]["list"]}
    assert names == {"datasource": "datasource", "dataset": "query"}
    places = set()
    for panel in DASHBOARD["panels"]:
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, panel["title"]
        places |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
