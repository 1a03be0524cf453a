"""Where a GLIP lies on this machine, found before a build starts. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builders.digest import digest_of
from builders.grounding.glip.config import VARIANTS, Variant
from builders.hub import is_id, model_folder
from builders.need import Need, cached, size_of
from schemas.errors import UserError

RELEASED = {"T": "glip_tiny_model_o365_goldg_cc_sbu.pth", "L": "glip_large_model.pth"}
"""The checkpoints that the paper's tables name; at SOURCE."""
SIZES = {"T": 3_710_104_213, "L": 6_896_153_761}
"""Bytes of these files, as the hub tells."""
CONVERTED = {"T": 927_038_648, "L": 1_721_607_296}
"""Bytes of the weights alone: four a number."""
REPOSITORY = "GLIPModel/GLIP"
SOURCE = f"https://huggingface.co/{REPOSITORY}"
TOKENIZER = "google-bert/bert-base-uncased"
"""The words that both variants were trained with."""
TOKENIZER_SIZE = 700_000
"""Bytes of its two files that are fetched, about."""
_SUFFIXES = (".pth", ".safetensors")
_WORDS = ("tokenizer.json", "vocab.txt")


@dataclass(frozen=True)
class GlipFiles:
    """A GLIP on this machine: the file of its weights, and that of BERT's words. `where` is the recipe's field."""

    variant: Variant
    checkpoint: Path
    vocabulary: Path
    where: str = "detector"

    def digests(self) -> dict[str, str]:
        """SHA-256 of what decides its boxes. Reads all weights."""
        return {"checkpoint": digest_of(self.checkpoint), "tokenizer": digest_of(self.vocabulary)}


def glip_needs(variant: Variant, checkpoint: str | None, tokenizer: str, where: str = "detector") -> list[Need]:
    """The checkpoint, and BERT's tokenizer where a recipe names one on the hub. Fetches nothing."""
    name, small = RELEASED[variant], RELEASED[variant].partition("_model")[0] + ".safetensors"
    get = (
        f"hf download {REPOSITORY} {name} --local-dir . && gristmill models glip-convert {name} {small} "
        f"({size_of(CONVERTED[variant])}), then --set {where}.checkpoint={small}"
    )
    there = checkpoint is not None and Path(checkpoint).expanduser().is_file()
    needs = [Need(f"{where}.checkpoint", name, SOURCE, SIZES[variant], there, get)]
    if not Path(tokenizer).expanduser().is_dir() and is_id(tokenizer):
        size = TOKENIZER_SIZE if tokenizer == TOKENIZER else None
        source = f"https://huggingface.co/{tokenizer}"
        needs.append(Need(f"{where}.tokenizer", tokenizer, source, size, cached(tokenizer, _WORDS)))
    return needs


def find_glip(
    variant: Variant, checkpoint: str | None, tokenizer: str = TOKENIZER, where: str = "detector"
) -> GlipFiles:
    """Finds a checkpoint's file, and BERT's tokenizer: a folder, or `owner/name` on the hub, fetched where need be.

    Raises UserError, one line that begins with the field (`where`.variant, .checkpoint or .tokenizer).
    """
    if variant not in VARIANTS:
        raise UserError(f"{where}.variant: {variant!r} is no GLIP; give one of {', '.join(VARIANTS)}")
    fetch = f"fetch {RELEASED[variant]} ({size_of(SIZES[variant])}) from {SOURCE}"
    if checkpoint is None:
        raise UserError(f"{where}.checkpoint is not given; {fetch}, and name it with --set {where}.checkpoint=…")
    path = Path(checkpoint).expanduser()
    if not path.is_file():
        raise UserError(f"{where}.checkpoint: there is no file {path}; {fetch}")
    if path.suffix not in _SUFFIXES:
        raise UserError(f"{where}.checkpoint: {path} is neither {' nor '.join(_SUFFIXES)}; give {RELEASED[variant]}")
    folder = model_folder(tokenizer, f"{where}.tokenizer", _WORDS)
    words = next((folder / name for name in _WORDS if (folder / name).is_file()), None)
    if words is None:
        raise UserError(f"{where}.tokenizer: {folder} has neither {' nor '.join(_WORDS)}; give {TOKENIZER}")
    return GlipFiles(variant, path, words, where)
