"""Small models on a CLIP embedding: aesthetic, NSFW, watermark. A safetensors file with the layers of an MLP, in order.

LAION's aesthetic predictor V2 (github.com/christophschuhmann/improved-aesthetic-predictor) is five linear layers
without activations on L2-normalised ViT-L/14 embeddings; convert its checkpoint to safetensors and it is read as it is.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from builders.filters.clip_files import HeadFile
from schemas.errors import UserError

_MAX_BYTES = 100_000_000
_ACTIVATIONS = {"none": torch.nn.Identity, "relu": torch.nn.ReLU, "gelu": torch.nn.GELU}


def load_head(head: HeadFile, dim: int, device: torch.device) -> torch.nn.Module:
    """A module from N x `dim` float32 embeddings to N x 1. Raises UserError where the file is no such head."""
    path = Path(head.path).expanduser()
    if not path.is_file():
        raise UserError(f"{head.field}: {head.column}: there is no file {path}")
    if path.suffix != ".safetensors" or path.stat().st_size > _MAX_BYTES:
        raise UserError(f"{head.field}: {head.column}: {path} is no safetensors file of at most {_MAX_BYTES:,} bytes")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{head.field}: {head.column}: {path} cannot be read: {error}") from None
    layers: list[torch.nn.Module] = []
    width = dim
    names = sorted((n for n in tensors if n.endswith("weight")), key=_natural)
    for name in names:
        weight, bias = tensors.pop(name).float(), tensors.pop(name.removesuffix("weight") + "bias", None)
        if weight.ndim != 2 or weight.shape[1] != width or (bias is not None and bias.shape != weight.shape[:1]):
            raise UserError(
                f"{head.field}: {head.column}: {name} of {path} is {tuple(weight.shape)}, "
                f"but {width} values come in; is the head for another model?"
            )
        layers += [_linear(weight, bias), _ACTIVATIONS[head.activation]()]
        width = weight.shape[0]
    if not names or width != 1 or tensors:
        what = f"left over: {', '.join(sorted(tensors)[:3])}" if tensors else f"{len(names)} layers, {width} outputs"
        raise UserError(f"{head.field}: {head.column}: {path} is no linear or MLP head with one output: {what}")
    layers[-1] = torch.nn.Sigmoid() if head.output == "sigmoid" else torch.nn.Identity()
    return torch.nn.Sequential(*layers).to(device).eval().requires_grad_(False)


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> torch.nn.Linear:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = torch.nn.Parameter(weight)
    if bias is not None:
        layer.bias = torch.nn.Parameter(bias.float())
    return layer


def _natural(name: str) -> list[tuple[int, str]]:
    """Orders layers.2 before layers.10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
