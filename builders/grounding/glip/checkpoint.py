"""The released checkpoints, as they are: every tensor finds its place in the model, or is on the list of the unused."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from builders.grounding.glip.config import VARIANTS, GlipConfig, Variant
from builders.grounding.glip.files import SOURCE
from builders.grounding.glip.model import GlipModel
from schemas.errors import UserError, first_line

UNUSED = {
    r"rpn\.head\.cls_logits\.(weight|bias)": "a classifier whose place the alignment with tokens takes",
    r"rpn\.anchor_generator\.cell_anchors\.\d": "anchors.py computes them",
    r"backbone\.body\.layers\.\d\.blocks\.\d+\.attn\.relative_position_index": "Swin computes it",
    r"language_backbone\.body\.model\.embeddings\.position_ids": "BERT computes it",
    r"language_backbone\.body\.model\.pooler\.dense\.(weight|bias)": "GLIP reads tokens, not a pooled sentence",
}
"""What a checkpoint may hold beside the model, and why nobody misses it."""

_PARTS = (
    ("head.", "rpn.head."),
    ("language.", "language_backbone.body.model."),
    ("backbone.body.swin.embeddings.patch_embeddings.projection.", "backbone.body.patch_embed.proj."),
    ("backbone.body.swin.embeddings.", "backbone.body.patch_embed."),
    ("backbone.body.swin.encoder.", "backbone.body."),
    *((f"backbone.body.hidden_states_norms.stage{i + 1}.", f"backbone.body.norm{i}.") for i in (1, 2, 3)),
)
_SWIN_BLOCK = (
    (".layernorm_before.", ".norm1."),
    (".layernorm_after.", ".norm2."),
    (".attention.relative_position_bias.", ".attn."),
    (".attention.o_proj.", ".attn.proj."),
    (".attention.", ".attn."),
)
_QKV = re.compile(r"\.attn\.([qkv])_proj\.")
_AGAIN = f"download it again from {SOURCE}"
_NUMBERS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")
"""How a number of numpy is pickled. Where training evaluated before it saved, the score stands beside the model as one
(microsoft/GLIP, engine/trainer.py, eval_result)."""


class _Unread:
    """Stands for what a pickle made of numpy's numbers, which nobody reads: numpy itself is not called."""

    def __init__(self, *pickled: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def released_name(name: str) -> tuple[str, int | None]:
    """What a tensor of GlipModel is called in a checkpoint, and which third of it it is, if it is one: Swin's query,
    key and value are joined there.
    """
    start, theirs = next((part for part in _PARTS if name.startswith(part[0])), ("", ""))
    name = theirs + name.removeprefix(start)
    if not name.startswith("backbone.body.layers."):
        return name, None
    for ours, theirs in _SWIN_BLOCK:
        name = name.replace(ours, theirs)
    third = _QKV.search(name)
    return _QKV.sub(".attn.qkv.", name), "qkv".index(third[1]) if third else None


def load_model(
    path: Path, config: GlipConfig, where: str = "detector", dtype: torch.dtype = torch.float32
) -> GlipModel:
    """The model with the weights of a released checkpoint, or of one that `convert` wrote: float32, on the CPU.

    Raises UserError, which names the tensor, where one is missing, unknown or of another shape.
    """
    told = f"{where}.checkpoint: {path}"
    model = GlipModel(config, dtype)
    model.load_state_dict(placed(_tensors(path, told), model.state_dict(), told))
    return model.eval().requires_grad_(False)


def convert(checkpoint: Path, out: Path) -> Variant:
    """Writes what the model needs of a released checkpoint, under its own names, as safetensors. Says which GLIP it is.

    Raises UserError where the checkpoint is not whole; `out`, in a folder that is there, appears whole or not at all.
    """
    told = f"glip-convert: {checkpoint}"
    if out.suffix != ".safetensors" or not out.parent.is_dir():
        raise UserError(f"glip-convert: {out} is no .safetensors in a folder that is there; name one")
    tensors = _tensors(checkpoint, told)
    variant = _variant(tensors, told)
    with torch.device("meta"):
        expected = GlipModel(VARIANTS[variant]).state_dict()
    placed(tensors, expected, told)
    used = {released_name(name)[0] for name in expected}
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        whole = Path(folder) / out.name
        save_file({name: tensors[name].contiguous() for name in sorted(used)}, whole, {"format": "pt"})
        whole.replace(out)
    return variant


def placed(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], told: str) -> dict[str, Tensor]:
    """A checkpoint's tensors under the names of a model's, `expected`. `told` begins an error.

    Raises UserError unless all are there, in their shapes, and every other one is on the list of the unused.
    """
    found = {}
    left = dict(tensors)
    for name, wanted in expected.items():
        theirs, third = released_name(name)
        if theirs not in tensors:
            raise UserError(f"{told} lacks {theirs}; give the whole file, of the variant that the recipe names")
        tensor = left.pop(theirs, tensors[theirs])
        shape = list(wanted.shape) if third is None else [3 * wanted.shape[0], *wanted.shape[1:]]
        if list(tensor.shape) != shape or not tensor.is_floating_point():
            raise UserError(
                f"{told}: {theirs} is {tensor.dtype} {list(tensor.shape)}, not numbers of {shape}; give the variant of "
                "the recipe"
            )
        found[name] = tensor if third is None else tensor.chunk(3)[third]
    unknown = [name for name in left if not any(re.fullmatch(unused, name) for unused in UNUSED)]
    if unknown:
        raise UserError(
            f"{told} holds {len(unknown)} tensors that no GLIP has, {unknown[0]} first; give a .pth of GLIP's authors"
        )
    return found


def _tensors(path: Path, told: str) -> dict[str, Tensor]:
    """The file's tensors by name, mapped into memory and not read; pickled ones by torch's unpickler of weights."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with zipfile.ZipFile(path) as members:
            if any(member.compress_type != zipfile.ZIP_STORED for member in members.infolist()):
                raise ValueError("it is compressed, as torch writes none, and may unpack to any size")
        with torch.serialization.safe_globals([(_Unread, name) for name in _NUMBERS]):
            read = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch and safetensors raise whatever they run into
        mend = "write it again with `gristmill models glip-convert`" if path.suffix == ".safetensors" else _AGAIN
        raise UserError(f"{told} is no checkpoint: {_why(error)}; {mend}") from None
    tensors = read.get("model") if isinstance(read, dict) else None
    if not isinstance(tensors, Mapping) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise UserError(f"{told} holds no tensors under 'model'; give a .pth of GLIP's authors")
    return {str(name).removeprefix("module."): tensor for name, tensor in tensors.items()}


def _why(error: Exception) -> str:
    if isinstance(error, zipfile.BadZipFile):
        return "it is no zip file, so it is empty, cut short, or not of torch 1.6 or later"
    refused = re.search(r"GLOBAL (\S+)", str(error))  # torch's own words advise to run the pickle
    return f"it asks for {refused[1]}, which no weights need" if refused else first_line(error)


def _variant(tensors: Mapping[str, Tensor], told: str) -> Variant:
    name = "backbone.body.patch_embed.proj.bias"
    width = len(tensors[name]) if name in tensors else None
    for variant, config in VARIANTS.items():
        if config.embed_dim == width:
            return variant
    raise UserError(f"{told} is neither GLIP-T nor GLIP-L: {name} has {width} numbers, theirs 96 or 192")
