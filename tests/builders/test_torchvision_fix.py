"""torchvision beside a torch that its library was not built for, each time in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from builders.torchvision_fix import nms


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_torchvision_can_be_imported_afterwards() -> None:
    code = (
        "from builders.torchvision_fix import complete_torchvision as complete\n"
        "complete(); import torch, torchvision; again = complete()\n"
        "boxes = torch.tensor([[0., 0, 2, 2], [0, 0, 2, 1.9], [5, 5, 6, 6]])\n"
        "print(torch.ops.torchvision.nms(boxes, torch.tensor([.5, .9, .1]), .5).tolist(), again)"
    )
    assert run(code) == "[1, 2] False"


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False])
def test_it_does_nothing_where_torchvision_is_whole_or_absent(whole: bool) -> None:
    """Whole: its library loads."""
    change = "fix._loads = lambda library: True" if whole else "fix.importlib.util.find_spec = lambda name: None"
    code = f"import builders.torchvision_fix as fix, torch; {change}; print(fix.complete_torchvision(), fix._library)"
    assert run(code) == "False None"


def test_boxes_that_a_better_one_overlaps_go() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30], [0, 0, 10, 5]])
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.2, 0.8]), 0.6).tolist() == [1, 3, 2]
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []
