"""`gristmill status`, run in this process on datasets that were committed by hand. No Ray."""

from __future__ import annotations

import dataclasses
import datetime
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from builders.llm.ledger import Ledger
from builders.shards import status
from builders.shards.dataset import Claim, read_marker, write_claim
from builders.shards.finish import finish
from builders.shards.store import Store
from builders.shards.unit import marker_path
from tests.builders.conftest import BROKEN, NO_BOX, Unit
from tests.builders.shards.test_status import entry
from tests.gristmill.running import Cli, assert_one_line
from tests.toy_recipe import CONTENT, RECIPE

CLAIM = Claim({"recipe": CONTENT, "inputs": {"a": "b"}, "models": {}}, (4,) * 3)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two of three units, the second one committed a minute after the first, five minutes ago."""
    store = Store(tmp_path / "out")
    write_claim(store, CLAIM)
    now = datetime.datetime.now(datetime.UTC)
    for unit, ago in ((0, 360), (1, 300)):
        commit(store, unit, now - datetime.timedelta(seconds=ago))
    return store


def commit(store: Store, unit: int, at: datetime.datetime) -> None:
    Unit(unit, [[None], [None], [NO_BOX], [BROKEN]]).commit(store)
    marker = dataclasses.replace(read_marker(store, unit), committed=at)
    store.put_bytes(marker_path(unit), json.dumps(marker.as_json()).encode())


def test_it_tells_what_is_done_left_lost_and_how_fast(cli: Cli, store: Store) -> None:
    said = cli("status", store)

    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[:4] == [
        f"{store}: grit, not finished",
        "units     2 of 3 done, 1 left",
        "inputs    8 of 12 done: 4 kept, 2 rejected, 2 failed",
        f"samples   4, {sum(file.stat().st_size for file in (store.root / 'data').iterdir()):,} bytes in shards",
    ]
    assert "speed     0.1 inputs/s, last unit committed 5 min ago; at that speed 60 s left" in said.out
    assert "failed    read_image/OSError 2\nrejected  select_boxes/no_box 2\n" in said.out
    assert "worker    parse 1 s" in said.out
    assert "cost" not in said.out and "note" not in said.out


def test_as_json_it_is_one_object(cli: Cli, store: Store) -> None:
    said = cli("status", store, "--json")

    told = json.loads(said.out)
    assert (told["units"], told["units_done"], told["failed"], told["finished"]) == (3, 2, 2, False)
    assert told["seconds_left"] == pytest.approx(60)


def test_when_all_units_have_markers_but_no_manifest_is_there_it_tells_what_a_build_will_do(
    cli: Cli, store: Store
) -> None:
    commit(store, 2, datetime.datetime.now(datetime.UTC))

    first, *_ = cli("status", store).out.splitlines()
    assert first == (
        f"{store}: grit, not finished, all units have markers: the same build command makes what is gone and closes it"
    )


def test_an_error_names_the_dataset_and_no_option_that_status_does_not_have(cli: Cli, store: Store) -> None:
    store.put_bytes("build.json", json.dumps({**CLAIM.as_json(), "format": 99}).encode())

    said = cli("status", store)

    assert_one_line(said, 2, f"gristmill: {store}/build.json: written in format 99", "use the gristmill that wrote it")
    assert "--out" not in said.err


def close(store: Store) -> None:
    """Commit the third unit, and finish the dataset, three days ago."""
    commit(store, 2, datetime.datetime.now(datetime.UTC))
    markers = [read_marker(store, unit) for unit in range(3)]
    finished = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
    finish(store, CLAIM, markers, RECIPE, {"seconds": 1.0, "finished": finished.isoformat()}, {"inputs": 12})


def test_of_a_finished_dataset_it_tells_the_same_counts(cli: Cli, store: Store) -> None:
    close(store)

    said = cli("status", store)

    assert said.out.startswith(f"{store}: grit, finished\nunits     3 of 3 done, 0 left\n")
    assert "6 kept, 3 rejected, 3 failed" in said.out
    assert "finished  3 days ago" in said.out and "speed" not in said.out


def test_the_money_is_told_from_the_ledger(cli: Cli, store: Store, tmp_path: Path) -> None:
    Ledger(Store(store.root / "ledger")).seal([entry(1, CLAIM.hash, 0.5), entry(2, CLAIM.hash, None)])
    cost = "cost      2 requests, 2 answers, 20 tokens in, 4 out, $0.5000, 1 answers at unknown cost"
    assert cost in cli("status", store).out

    store.put_bytes("ledger.json", json.dumps({"at": "/on/another/machine"}).encode())
    assert "nothing is at /on/another/machine, the ledger" in cli("status", store).out


def test_where_not_all_markers_were_read_it_says_so(cli: Cli, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "SAMPLED", 1)

    said = cli("status", store)

    assert "about 4 kept, 2 rejected, 2 failed" in said.out
    assert "note      1 of 2 markers were read" in said.out


def test_where_no_dataset_is_it_is_one_line_and_the_code_of_a_wrong_command(cli: Cli, tmp_path: Path) -> None:
    assert_one_line(cli("status", tmp_path / "none"), 2, "holds no gristmill dataset")


# -- damage: one line, and the code of a failed check

LLM = {"requests": 1, "answers": 1, "tokens_in": 1, "tokens_out": 1, "usd": 0.1, "unpriced": 0}


def change(store: Store, path: str, fields: dict[str, Any]) -> None:
    """Write other values for some fields of a JSON file."""
    store.put_bytes(path, json.dumps({**json.loads(store.read_bytes(path)), **fields}).encode())


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"unit_sizes": [["a", 3]]}, id="a size that is a text"),
        pytest.param({"unit_sizes": [[4, 0.5]]}, id="half a unit"),
        pytest.param({"unit_sizes": [[-4, 3]]}, id="a negative size"),
        pytest.param({"unit_sizes": 3}, id="no list of sizes"),
        pytest.param({"content": []}, id="no content"),
        pytest.param({"content": {"recipe": "grit"}}, id="no recipe"),
    ],
)
def test_a_claim_that_is_none_is_named(cli: Cli, store: Store, fields: dict[str, Any]) -> None:
    change(store, "build.json", fields)

    assert_one_line(cli("status", store), 1, f"{store}/build.json: is no claim of a build", "--overwrite")


@pytest.mark.parametrize("text", ["[]", "{}", "", "[" * 100_000], ids=["a list", "empty", "no text", "deep"])
def test_a_marker_that_is_none_is_named(cli: Cli, store: Store, text: str) -> None:
    store.put_bytes(marker_path(1), text.encode())

    assert_one_line(cli("status", store), 1, "units/000001.json", "delete it and build again")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"seconds": {"parse": "long"}}, id="seconds that are a text"),
        pytest.param({"seconds": 5}, id="no steps"),
        pytest.param({"shard": {"path": "x", "size": "large", "sha256": ""}}, id="a size that is a text"),
        pytest.param({"committed": "yesterday"}, id="no time"),
    ],
)
def test_a_marker_with_other_than_numbers_is_named(cli: Cli, store: Store, fields: dict[str, Any]) -> None:
    change(store, marker_path(1), fields)

    assert_one_line(cli("status", store), 1, "units/000001.json: is no marker of a unit", "delete it and build again")


@pytest.mark.parametrize("closed", [False, True])
def test_a_marker_beyond_the_claim_is_named(cli: Cli, store: Store, closed: bool) -> None:
    if closed:
        close(store)
    store.put_bytes(marker_path(9), store.read_bytes(marker_path(1)))

    assert_one_line(cli("status", store), 1, "units/000009.json: build.json has 3 units", "delete it")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"times": 5}, id="no times"),
        pytest.param({"times": {"finished": "yesterday"}}, id="no time"),
        pytest.param({"times": {"finished": "2026-11-22T12:00:00"}}, id="a time of no place"),
        pytest.param({"times": {"worker_seconds": {"parse": "long"}}}, id="seconds that are a text"),
        pytest.param({"llm": {"part": "llm"}}, id="no totals of the model"),
        pytest.param({"llm": {**LLM, "usd": "much"}}, id="money that is a text"),
        pytest.param({"llm": 5}, id="no model"),
        pytest.param({"samples": "many"}, id="samples that are a text"),
        pytest.param({"bytes": None}, id="no bytes"),
        pytest.param({"artefacts": [5]}, id="no artefact"),
        pytest.param({"funnel": {}}, id="no funnel of inputs"),
    ],
)
def test_a_manifest_that_is_none_is_named(cli: Cli, store: Store, fields: dict[str, Any]) -> None:
    close(store)
    change(store, "manifest.json", fields)

    assert_one_line(cli("status", store), 1, f"{store}/manifest.json: ", "delete it and run the same build command")


def test_a_file_in_the_place_of_the_markers_is_named(cli: Cli, store: Store) -> None:
    units = Path(str(store)) / "units"
    shutil.rmtree(units)
    units.write_bytes(b"")

    assert_one_line(cli("status", store), 1, f"{units}: cannot be read: Not a directory; mend that and ask again")


def test_a_claim_on_what_is_drawn_that_is_none_is_named(cli: Cli, store: Store) -> None:
    store.put_bytes("drawn/0123/build.json", b"{}")

    assert_one_line(cli("status", store), 2, "drawn/0123/build.json")
    store.put_bytes("drawn/0123/build.json", b'{"format": 2}')
    assert_one_line(cli("status", store), 1, "drawn/0123/build.json")
