"""`gristmill models`: checkpoints of others are converted once."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.grounding.glip.config import VARIANTS
from tests.builders.grounding.glip.tiny import TINY, weights, write_checkpoint
from tests.gristmill.running import Cli, assert_one_line

pytestmark = pytest.mark.slow


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(VARIANTS, "T", TINY)
    return write_checkpoint(tmp_path / "glip.pth", weights())


def test_given_a_checkpoint_when_converted_then_it_is_told_which_glip_and_how_large(
    cli: Cli, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "glip.safetensors"

    said = cli("models", "glip-convert", checkpoint, out)

    assert (said.code, said.err) == (0, "")
    assert said.out == f"{out}: GLIP-T, {out.stat().st_size:,} bytes\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["glip.pth", "glip.safetensors"]


def test_given_what_is_no_checkpoint_then_one_line_says_so(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "other.pth").write_bytes(b"no checkpoint")
    out = tmp_path / "glip.safetensors"

    assert_one_line(cli("models", "glip-convert", tmp_path / "other.pth", out), 2, "is no checkpoint", "other.pth")
    assert_one_line(cli("models", "glip-convert", tmp_path / "none.pth", out), 2, "there is no file", "none.pth")
    assert not out.exists()


def test_given_a_file_that_is_there_then_it_is_not_written_over(cli: Cli, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    out.write_text("mine")

    assert_one_line(cli("models", "glip-convert", checkpoint, out), 2, "is there already", "name a new file")
    assert out.read_text() == "mine"


def test_given_a_name_of_another_kind_then_one_line_names_the_right_one(
    cli: Cli, checkpoint: Path, tmp_path: Path
) -> None:
    assert_one_line(cli("models", "glip-convert", checkpoint, tmp_path / "glip.pt"), 2, "is no .safetensors")
