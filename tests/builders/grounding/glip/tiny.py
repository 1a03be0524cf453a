"""A GLIP of the true architecture that is small enough for tests: its sizes, words, checkpoint and files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from builders.grounding.glip.config import GlipConfig
from builders.grounding.glip.files import GlipFiles, find_glip
from tests.builders.grounding.glip.released import released
from tests.builders.grounding.glip.seeded import seeded

WORDS = "[PAD] [UNK] [CLS] [SEP] a the and dog cat ##s ##nip cafe sleep ##ing ##less red ball , . ' s - ! ( )".split()
TINY = GlipConfig(
    embed_dim=8,
    depths=(1, 1, 2, 1),
    heads=(1, 2, 2, 4),
    window=3,
    layers=2,
    channels=32,
    fusion_width=64,
    fusion_heads=4,
    text_width=24,
    text_layers=2,
    text_heads=2,
    vocabulary=len(WORDS),
)
INTEGERS = ("position_ids", "relative_position_index")


def weights(config: GlipConfig = TINY) -> dict[str, Tensor]:
    """All tensors of a checkpoint, seeded by their names."""
    shapes = released(config)
    drawn = {name: seeded(name, shape) for name, shape in shapes.items() if not name.endswith(INTEGERS)}
    drawn |= {name: torch.zeros(shape) for name, shape in shapes.items() if name.endswith(INTEGERS)}
    return {name: tensor.long() if name.endswith(INTEGERS) else tensor.float() for name, tensor in drawn.items()}


def write_checkpoint(path: Path, tensors: dict[str, Tensor]) -> Path:
    """As training writes it: beside the model lies what only training reads."""
    named = {f"module.{name}": tensor for name, tensor in tensors.items()}
    torch.save({"model": named, "optimizer": {"state": {0: torch.zeros(3)}}, "iteration": 7}, path)
    return path


def write_files(folder: Path) -> GlipFiles:
    """A checkpoint and a vocabulary. `VARIANTS["T"]` must be TINY where they are loaded."""
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    checkpoint = write_checkpoint(folder / "glip.pth", weights())
    return find_glip("T", str(checkpoint), str(folder))


def drawn_module(module: torch.nn.Module) -> torch.nn.Module:
    """In float64, every parameter of it drawn from its name: nothing is left at 0 or 1."""
    drawn = {name: seeded(name, tensor.shape) for name, tensor in module.state_dict().items()}
    module.double().load_state_dict({name: values * (10 if values.ndim > 1 else 1) for name, values in drawn.items()})
    return module.eval().requires_grad_(False)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
