"""The command over datasets on an object store, on a bad day."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders.places import persist
from builders.speech.templates import FORMS
from tests.builders.cards.speech_samples import built, exchange, sweep, tone
from tests.gristmill.running import Cli, assert_one_line
from tests.s3 import S3, sometimes

pytestmark = pytest.mark.slow


@pytest.fixture
def dataset(s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a finished dataset; from now on, some requests go wrong."""
    monkeypatch.setattr(persist, "_FIRST_WAIT", 0.01)
    where = f"s3://{s3.bucket()}/sets/chain"
    built(where, [exchange(f"q{i}", FORMS[0], sounds=(tone(0.3), sweep(1.0))) for i in range(3)])  # type: ignore[arg-type]
    s3.proxy.fault = sometimes(0.25, seed=5, kinds=("500", "503", "reset", "truncate"))
    return where


def test_given_a_dataset_there_when_shown_asked_and_exported_then_all_is_as_on_the_disk(
    cli: Cli, dataset: str, tmp_path: Path
) -> None:
    shown = cli("show", dataset, "--count", 1, "--sheet", tmp_path / "sheet.png")
    assert (shown.code, shown.err) == (0, "") and (tmp_path / "sheet.png").stat().st_size > 1000
    asked = cli("query", dataset, "select count(*) as n, max(samples) as m from samples, units where n_x is null")
    assert asked.code == 2 and "n_x" in asked.err, "DuckDB's own words"
    asked = cli("query", dataset, "select key, (select sum(samples) from units) as n from samples order by key")
    assert asked.code == 0 and "q0" in asked.out and "3" in asked.out
    assert cli("query", dataset, "select count(*) from ledger").code == 0
    exported = cli("export", dataset, tmp_path / "out.jsonl", "--to", "speechgpt")
    assert exported.code == 0
    assert len([json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]) == 3


def test_given_orphans_when_repaired_then_they_are_told_and_gone(cli: Cli, dataset: str) -> None:
    from builders.shards.store import Store

    Store(dataset).put_bytes("index/000007.parquet", b"of a dead attempt")
    said = cli("verify", dataset, "--repair")
    assert said.out.splitlines()[0] == "removed 1 file in index/"
    assert cli("verify", dataset, "--repair").out.splitlines()[0] == "nothing to remove"


@pytest.mark.parametrize("command", [("verify",), ("show",), ("query", "select 1"), ("verify", "--repair")])
def test_given_no_bucket_or_no_dataset_there_then_one_line_says_so(cli: Cli, s3: S3, command: tuple[str, ...]) -> None:
    name, *more = command
    assert_one_line(cli(name, "s3://no-such-bucket-at-all/x", *more), 2, "there is no such bucket")
    assert_one_line(cli(name, f"s3://{s3.bucket()}/nothing", *more), 2, "no gristmill dataset")


def test_given_a_place_to_write_to_that_must_be_on_the_disk_then_an_address_is_refused(cli: Cli) -> None:
    assert_one_line(cli("export", "/d", "s3://bucket/x", "--to", "chat"), 2, "target: s3://bucket/x: must be on the")
    assert_one_line(cli("show", "/d", "--sheet", "s3://bucket/x.png"), 2, "--sheet: s3://bucket/x.png: must be on the")


def test_given_an_address_with_a_password_then_it_is_refused_untold(cli: Cli) -> None:
    said = cli("verify", "s3://key:hidden@bucket/x")
    assert_one_line(said, 2, "credentials come from the environment")
    assert "hidden" not in said.err + said.out
