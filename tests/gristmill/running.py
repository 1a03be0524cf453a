"""The command, run in this process; and the one Ray of the run, for the commands that build."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gristmill.__main__ import main
from tests.pipelines.coco import Coco, good_pairs


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs the command with some arguments."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["gristmill", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0 if code is None else 1, said.out, said.err)

    return run


@pytest.fixture
def coco(tmp_path: Path) -> Coco:
    coco = good_pairs(tmp_path / "coco", 6)
    coco.save()
    return coco


@pytest.fixture
def recipe(coco: Coco) -> Path:
    return coco.folder / "recipe.yaml"


def assert_one_line(said: Said, code: int, *parts: str) -> None:
    """The command ended with `code` and one line for people, which holds `parts`. A build told its inputs."""
    assert said.code == code, said
    ours = [line for line in said.err.splitlines() if line.startswith("gristmill: ")]
    assert [said.err.splitlines()[-1]] == ours, said.err
    assert "Traceback" not in said.err + said.out
    for part in parts:
        assert part in ours[0]
