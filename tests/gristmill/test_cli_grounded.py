"""`gristmill export` of grounded captions, over datasets that are put together by hand."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.builders.cards.speech_samples import built, exchange, tone
from tests.builders.grit_dataset import MEADOW, TWO, grit_dataset
from tests.gristmill.running import Cli, assert_one_line

FILES = {
    "grit": "grit_00000.parquet",
    "kosmos2": "kosmos2.jsonl",
    "qwen_vl": "qwen_vl.json",
    "coco": "coco.json",
    "llava": "llava.json",
}


@pytest.fixture
def grounded(tmp_path: Path) -> Path:
    photo = io.BytesIO()
    Image.new("RGB", (64, 48)).save(photo, "JPEG")
    pairs = [replace(pair, image=photo.getvalue(), size=(64, 48)) for pair in (MEADOW, TWO)]
    return grit_dataset(tmp_path / "made", pairs).root


def lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("shape", FILES)
def test_given_grounded_captions_when_exported_then_the_file_is_there_and_samples_are_counted(
    cli: Cli, grounded: Path, tmp_path: Path, shape: str
) -> None:
    said = cli("export", grounded, tmp_path / "out", "--to", shape)

    assert (said.code, said.err) == (0, "")
    named = tmp_path / "out" / (FILES[shape] if shape == "llava" else "")
    assert said.out == f"{named}: 2 samples\n"
    assert (tmp_path / "out" / FILES[shape]).is_file()


def test_given_grit_then_the_records_are_those_of_the_samples(cli: Cli, grounded: Path, tmp_path: Path) -> None:
    cli("export", grounded, tmp_path / "out", "--to", "grit")
    table = pq.read_table(tmp_path / "out/grit_00000.parquet").to_pylist()
    assert [(row["key"], row["caption"]) for row in table] == [(p.key, p.caption) for p in (MEADOW, TWO)]


@pytest.mark.parametrize(
    ("tokens", "there", "not_there"),
    [
        ((), "<phrase>", "<p>"),
        (("--tokens", "released"), "<phrase>", "<p>"),
        (("--tokens", "paper"), "<p>", "<phrase>"),
    ],
)
def test_given_tokens_then_kosmos2_gets_those(
    cli: Cli, grounded: Path, tmp_path: Path, tokens: tuple[str, ...], there: str, not_there: str
) -> None:
    assert cli("export", grounded, tmp_path / "out", "--to", "kosmos2", *tokens).code == 0

    found = lines(tmp_path / "out/kosmos2.jsonl")
    assert [one["key"] for one in found] == ["k1", "k2"]
    assert all(there in one["text"] and not_there not in one["text"] for one in found)


def test_given_tokens_that_nobody_has_then_exit_2_and_both_are_told(cli: Cli, grounded: Path, tmp_path: Path) -> None:
    said = cli("export", grounded, tmp_path / "out", "--to", "kosmos2", "--tokens", "mine")
    assert said.code == 2
    assert "released" in said.err and "paper" in said.err


@pytest.mark.parametrize("shape", [shape for shape in FILES if shape != "kosmos2"])
def test_given_tokens_for_what_has_none_then_one_line_says_so(
    cli: Cli, grounded: Path, tmp_path: Path, shape: str
) -> None:
    said = cli("export", grounded, tmp_path / "out", "--to", shape, "--tokens", "paper")
    assert_one_line(said, 2, f"--tokens: --to {shape} writes none", "--to kosmos2")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shape", [shape for shape in FILES if shape != "llava"])
def test_given_speech_for_grounded_captions_then_one_line_says_what_it_takes(
    cli: Cli, tmp_path: Path, shape: str
) -> None:
    speech = built(tmp_path / "speech", [exchange("q", "s2s", sounds=(tone(0.3), tone(0.3)))])
    assert_one_line(cli("export", speech, tmp_path / "out", "--to", shape), 2, "grit")


@pytest.mark.parametrize("shape", FILES)
def test_given_a_folder_that_is_not_empty_then_nothing_is_written(
    cli: Cli, grounded: Path, tmp_path: Path, shape: str
) -> None:
    mine = tmp_path / "out/mine"
    mine.parent.mkdir()
    mine.write_text("mine")
    assert_one_line(cli("export", grounded, tmp_path / "out", "--to", shape), 2, "out")
    assert [path.name for path in mine.parent.iterdir()] == ["mine"]
