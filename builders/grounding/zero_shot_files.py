"""Which of transformers' zero-shot detectors a recipe means, and where its files lie; found before a build starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from builders.hub import model_folder, read_config
from schemas.errors import UserError, first_line

_CONFIG = "config.json"
_PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json")
_TOKENIZER = (*_VOCABULARIES, "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
_LAYOUT = "give the folder that holds it beside weights and tokenizer, or the id of a model on the hub"


@dataclass(frozen=True)
class InputSize:
    """What a photo is resized to: height and width, or both sides such that the shorter has `shortest` pixels, but the
    longer at most `longest`."""

    height: int = 0
    width: int = 0
    shortest: int = 0
    longest: int = 0

    @property
    def fixed(self) -> bool:
        return self.height > 0

    @property
    def largest(self) -> int:
        """Pixels of the longest side that a photo can get."""
        return max(self.height, self.width, self.longest)

    def __str__(self) -> str:
        return f"{self.width} x {self.height}" if self.fixed else f"{self.shortest}..{self.longest}"


@dataclass(frozen=True)
class Family:
    """One architecture. `threshold`: boxes must score more, unless the recipe says otherwise.

    `phrases`: it reads the whole caption and scores its tokens; otherwise each chunk is a query.
    """

    name: str
    threshold: float
    phrases: bool
    size: InputSize


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "grounding-dino": Family("Grounding DINO", 0.25, True, InputSize(shortest=800, longest=1333)),
        "mm-grounding-dino": Family("MM-Grounding-DINO", 0.25, True, InputSize(shortest=800, longest=1333)),
        "owlv2": Family("OWLv2", 0.1, False, InputSize(960, 960)),
        "owlvit": Family("OWL-ViT", 0.1, False, InputSize(768, 768)),
        "omdet-turbo": Family("OmDet-Turbo", 0.3, False, InputSize(640, 640)),
    }
)
"""By `model_type`. Thresholds are the defaults of `post_process_grounded_object_detection` of each processor in
transformers 5.23, sizes those of its image processor where a folder's own file gives none."""


@dataclass(frozen=True)
class DetectorFiles:
    """A model on this machine. `decisive`: the files that identify it; `where`: what the recipe calls it."""

    model: str
    kind: str
    folder: Path
    size: InputSize
    decisive: tuple[Path, ...]
    where: str = "detector"

    @property
    def family(self) -> Family:
        return FAMILIES[self.kind]


def find_detector(model: str, where: str = "detector") -> DetectorFiles:
    """Finds, and fetches where need be, a model in transformers' layout: a folder, or `owner/name` on the hub.

    Raises UserError, one line that begins with the field (`where`.model), where it is not there, not whole, or no
    zero-shot detector that we know.
    """
    folder = _folder(model, where)
    if not (folder / _CONFIG).is_file():
        raise UserError(f"{where}.model: {folder} holds no {_CONFIG}, so it is no model; {_LAYOUT}")
    kind = str(read_config(folder / _CONFIG, f"{where}.model").get("model_type"))
    if kind not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise UserError(f"{where}.model: {folder} is a {kind!r} model, no zero-shot detector; give one of {known}")
    preprocessors = [folder / name for name in _PREPROCESSORS if (folder / name).is_file()]
    if not preprocessors:
        raise UserError(f"{where}.model: {folder} lacks {_PREPROCESSORS[0]}, which says how photos are resized; add it")
    told = read_config(preprocessors[0], f"{where}.model")
    size = _size(told.get("image_processor", told), FAMILIES[kind].size, f"{where}.model: {preprocessors[0]}")
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise UserError(f"{where}.model: {folder} holds no tokenizer; it needs tokenizer.json")
    tokenizer = [folder / name for name in _TOKENIZER if (folder / name).is_file()]
    weights = next((found for each in _WEIGHTS if (found := sorted(folder.glob(each)))), [])
    if not weights:
        raise UserError(f"{where}.model: {folder} holds no weights; it needs model.safetensors")
    decisive = (folder / _CONFIG, *preprocessors, *tokenizer, *weights)
    return DetectorFiles(model, kind, folder, size, decisive, where)


def _size(told: Any, default: InputSize, file: str) -> InputSize:
    """The size that an image processor's file gives, in any of the spellings of transformers' versions."""
    size = told.get("size") if isinstance(told, dict) else None
    try:
        if size is None:
            return default
        if isinstance(size, int):
            found = InputSize(size, size) if default.fixed else _edges(size, told.get("max_size", default.longest))
        elif isinstance(size, list):
            found = InputSize(int(size[0]), int(size[1]))
        elif "height" in size:
            found = InputSize(int(size["height"]), int(size["width"]))
        else:
            found = _edges(size["shortest_edge"], size["longest_edge"])
        if not 0 < found.largest <= 10_000 or min(found.height, found.width, found.shortest) < 0:
            raise ValueError(f"{found} pixels")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UserError(f"{file} gives no size of photos that can be used: {first_line(error)}") from None
    return found


def _edges(shortest: Any, longest: Any) -> InputSize:
    return InputSize(shortest=int(shortest), longest=int(longest))


def _folder(model: str, where: str) -> Path:
    for weights in _WEIGHTS:
        wanted = (_CONFIG, *_PREPROCESSORS, *_TOKENIZER, weights, f"{weights}.index.json")
        folder = model_folder(model, f"{where}.model", wanted)
        if any(folder.glob(weights)):
            break
    return folder
