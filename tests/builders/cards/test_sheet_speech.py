"""Datasets of speech: what is picked of them, told, and drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from builders.cards.bands import WIDTH
from builders.cards.sheet import Shown, describe, draw_sheet, pick
from builders.shards.store import Store
from builders.speech.templates import FORMS, Form
from tests.builders.cards.speech_samples import built, exchange, packed, sweep, tone, turn

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def chain(tmp_path: Path) -> Store:
    """An exchange of each form of each of 40 inputs."""
    sounds = (tone(0.2), tone(0.3))
    samples = [exchange(f"q{i:02d}-{form}", form, sounds=sounds) for i in range(40) for form in FORMS]
    return built(tmp_path / "chain", samples, {one.key: one.key[:3] for one in samples})


@pytest.fixture
def packs(tmp_path: Path) -> Store:
    """Ten samples of two turns each."""
    return built(tmp_path / "packs", [packed(turn(f"a{i}"), turn(f"b{i}", "tts")) for i in range(10)])


def test_a_picked_exchange_is_read_back_with_both_sounds(tmp_path: Path) -> None:
    made = exchange("q1", sounds=(tone(0.2), sweep(1.0)))

    assert pick(built(tmp_path / "d", [made]), 5) == [made]


def test_a_picked_pack_is_read_back_without_media(packs: Store) -> None:
    picked = pick(packs, 100)

    assert [one.key for one in picked] == [f"a{i}" for i in range(10)]
    assert picked[0] == packed(turn("a0"), turn("b0", "tts"))


def test_exchanges_are_picked_one_an_input_first_evenly_and_of_every_form(chain: Store) -> None:
    picked = pick(chain, 20)

    inputs = [one.key[:3] for one in picked]
    assert len(set(inputs)) == 20
    assert (inputs[0], inputs[-1]) == ("q00", "q38")
    assert {one.record["form"] for one in picked} == set(get_args(Form))
    assert [one.key for one in pick(chain, 20)] == [one.key for one in picked]
    assert len({one.key for one in pick(chain, 1000)}) == 160


def test_packs_are_picked_evenly(packs: Store) -> None:
    assert [one.key for one in pick(packs, 5)] == ["a0", "a2", "a4", "a6", "a8"]


def test_each_kind_is_told_in_its_own_words() -> None:
    assert describe(exchange("q1")).startswith("q1  s2s\n  instruction (en-us")
    assert describe(packed(turn("a"))).startswith("a  1 turn\n  asr (a")
    assert "more…" in describe(exchange("q1"))
    assert "more…" not in describe(exchange("q1"), whole=True).partition("  text: ")[0]


@pytest.mark.parametrize("count", [1, 2, 5, 9])
@pytest.mark.parametrize("kind", ["exchanges", "packs"])
def test_a_sheet_has_up_to_three_tiles_a_row(tmp_path: Path, count: int, kind: str) -> None:
    one: Shown = exchange() if kind == "exchanges" else packed(turn("a"))

    draw_sheet([one] * count, tmp_path / "sheet.png")

    sheet = Image.open(tmp_path / "sheet.png")
    draw_sheet([one], tmp_path / "one.png")
    tile = Image.open(tmp_path / "one.png").height - 24
    assert sheet.size == (min(count, 3) * (WIDTH + 12) + 12, -(-count // 3) * (tile + 12) + 12)


# ---- where only the reader is installed ------------------------------------------------------------------------------


def with_reader_alone(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """As after a plain `pip install gristmill`: modules that cannot be imported stand before the real ones."""
    for missing in ("numpy", "soundfile", "soxr", "aiohttp", "torch", "ray"):
        (folder / f"{missing}.py").write_text(f"raise ModuleNotFoundError(name={missing!r})")
    return subprocess.run(
        [sys.executable, "-m", "gristmill", *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_a_reader_prints_exchanges_and_draws_packs(tmp_path: Path, chain: Store, packs: Store) -> None:
    told = with_reader_alone(tmp_path, "show", chain)
    drawn = with_reader_alone(tmp_path, "show", packs, "--sheet", tmp_path / "sheet.png")

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.count("  response (en-gb+f3, 0.30 s)") == 5
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_reader_that_shall_draw_sound_is_told_what_it_lacks(tmp_path: Path, chain: Store) -> None:
    said = with_reader_alone(tmp_path, "show", chain, "--sheet", tmp_path / "sheet.png")

    assert said.returncode == 2
    assert said.stderr == "gristmill: numpy is not installed; pip install 'gristmill[build]'\n"
    assert not (tmp_path / "sheet.png").exists()
