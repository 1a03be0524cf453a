"""Which open_clip model a recipe means, and where its files lie; found before a build starts.

Nothing is swapped in: a model is named whole (architecture and weights), or there is an error that says what to give.
"""

from __future__ import annotations

import difflib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from builders.filters.clip_image import Preprocess
from builders.hub import read_config, revision_of
from builders.need import Need, cached
from schemas.errors import UserError, first_line

HUB = "hf-hub:"
CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_CONFIG_KEYS = {"embed_dim", "vision_cfg", "text_cfg"}
_PICKLED = "open_clip_pytorch_model.bin"
"""What a repository's weights are called where it has none as WEIGHTS."""
_SIZES = {
    "timm/vit_base_patch32_clip_224.openai": 605_000_000,
    "timm/vit_large_patch14_clip_224.openai": 1_710_000_000,
}
"""Bytes of the weights of OpenAI's, four a number; the hub lists the first."""

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class ClipSpec:
    """Which model, as the recipe names it.

    model: an architecture of open_clip (`ViT-B-32`), `hf-hub:owner/name`, or a folder that holds one open_clip JSON
        config (with `model_cfg`, or a bare one) and one safetensors file.
    pretrained: beside an architecture, a tag (`laion2b_s34b_b79k`) or a file of weights.
    random_seed: weights drawn at random instead, for tests and benchmarks.
    """

    model: str
    pretrained: str | None = None
    precision: Precision = "fp32"
    channels_last: bool = True
    random_seed: int | None = None
    field: str = "clip"
    """What the recipe calls it, for errors."""
    revision: str | None = None
    """Of the hub's repository, as the driver found it."""


@dataclass(frozen=True)
class HeadFile:
    """A head's file and the float32 column that its output becomes.

    `activation` stands between its layers, `output` after the last: weights do not tell either.
    """

    column: str
    path: str
    activation: Literal["none", "relu", "gelu"] = "none"
    output: Literal["none", "sigmoid"] = "none"
    field: str = "clip.heads"
    """What the recipe calls it, for errors."""


_TOKENIZER = ("tokenizer", "vocab", "merges", "special_tokens", "added_tokens", "spiece", "sentencepiece")
"""How the files of a tokenizer that a folder brings begin."""


@dataclass(frozen=True)
class ClipFiles:
    """What a spec comes to on this machine. `decisive`: the files that identify the model; none where weights are
    drawn at random for an architecture of open_clip's own."""

    name: str
    preprocess: Preprocess
    dim: int
    weights: str | None
    decisive: tuple[Path, ...]

    @property
    def revision(self) -> str | None:
        """Of the hub's repository that the model was fetched from."""
        return revision_of(self.decisive[-1]) if self.decisive else None


def open_clip() -> Any:
    """The open_clip module, imported here alone: torchvision, which it imports, may have to be completed first."""
    from builders.torchvision_fix import complete_torchvision

    complete_torchvision()
    import open_clip as module

    return module


def find_clip(spec: ClipSpec) -> ClipFiles:
    """Finds, and fetches where need be, what the spec names. Raises UserError where it is not there or is not whole, or
    is of another revision than the spec has."""
    files = _found(spec)
    if spec.revision and files.revision != spec.revision:
        raise UserError(
            f"{spec.field}.model: {spec.model} has changed on the hub: the node {platform.node()} has its revision "
            f"{files.revision}, the build began with {spec.revision}; put that one in a folder that every node sees"
        )
    return files


def _found(spec: ClipSpec) -> ClipFiles:
    random, field = spec.random_seed is not None, spec.field
    if random and spec.pretrained:
        raise UserError(f"{field}.random_seed: {field}.pretrained names weights already; leave one of them out")
    if spec.model.startswith(HUB) or Path(spec.model).expanduser().is_dir():
        if spec.pretrained:
            raise UserError(f"{field}.pretrained: {spec.model} brings its own weights; leave the field out")
        return _on_hub(spec) if spec.model.startswith(HUB) else _in_folder(spec, Path(spec.model).expanduser())
    oc = open_clip()
    config = oc.get_model_config(spec.model)
    if config is None:
        near = difflib.get_close_matches(spec.model, oc.list_models(), 3, 0.4)
        like = f"; close to it: {', '.join(near)}" if near else ""
        raise UserError(f"{field}.model: {spec.model!r} is no folder, hub id or architecture of open_clip{like}")
    if random:
        return ClipFiles(spec.model, preprocess_of(config, {}), config["embed_dim"], None, ())
    if not spec.pretrained:
        tags = ", ".join(oc.list_pretrained_tags_by_model(spec.model)[:5]) or "none known"
        raise UserError(f"{field}.pretrained: {spec.model} needs weights: a file, or a tag ({tags})")
    tag = oc.get_pretrained_cfg(spec.model, spec.pretrained)
    if not tag:
        path = _weights_file(spec, Path(spec.pretrained).expanduser())
        return ClipFiles(spec.model, preprocess_of(config, {}), config["embed_dim"], str(path), (path,))
    if bool(tag.get("quick_gelu")) != bool(config.get("quick_gelu")):
        other = f"{spec.model}-quickgelu" if tag.get("quick_gelu") else spec.model.removesuffix("-quickgelu")
        raise UserError(f"{field}.model: {spec.pretrained} was trained with another GELU; name {other}")
    path = Path(_fetched(spec, "pretrained", lambda: oc.download_pretrained(tag)))
    return ClipFiles(spec.model, preprocess_of(config, tag), config["embed_dim"], spec.pretrained, (path,))


def clip_need(spec: ClipSpec) -> Need | None:
    """The weights of others that `find_clip` fetches, or has; None where a spec names what lies on this machine, or
    nothing that is known. Fetches nothing."""
    if spec.random_seed is not None or Path(spec.model).expanduser().is_dir():
        return None
    name = spec.model if spec.pretrained is None else f"{spec.model} {spec.pretrained}"
    if spec.model.startswith(HUB):
        repository, file = spec.model.removeprefix(HUB), ""
    else:
        tag = open_clip().get_pretrained_cfg(spec.model, spec.pretrained or "") or {}
        repository, _, file = tag.get("hf_hub", "").rpartition("/")
    if not repository:
        return None
    there = cached(repository, [file, str(Path(file).with_suffix(".safetensors"))] if file else [WEIGHTS, _PICKLED])
    return Need(spec.field, name, f"https://huggingface.co/{repository}", _SIZES.get(repository), there)


def _fetched(spec: ClipSpec, part: str, fetch: Callable[[], str]) -> str:
    try:
        return fetch()
    except Exception as error:  # the hub's client, urllib and open_clip raise whatever they like
        what = spec.model if part == "model" else f"{spec.model} {spec.pretrained}"
        raise UserError(
            f"{spec.field}.{part}: {what} could not be fetched ({first_line(error)}); "
            "check its name and the network, or fetch it elsewhere and give a local folder or file"
        ) from None


def _on_hub(spec: ClipSpec) -> ClipFiles:
    open_clip()
    from open_clip.pretrained import download_pretrained_from_hf

    repo = spec.model.removeprefix(HUB)
    path = Path(_fetched(spec, "model", lambda: download_pretrained_from_hf(repo, filename=CONFIG)))
    config, preprocess = _read_config(spec, path)
    if spec.random_seed is not None:
        raise UserError(f"{spec.field}.random_seed: needs an architecture or a folder, not {spec.model}")
    weights = Path(_fetched(spec, "model", lambda: download_pretrained_from_hf(repo)))
    return ClipFiles(spec.model, preprocess_of(config, preprocess), config["embed_dim"], None, (path, weights))


def _in_folder(spec: ClipSpec, folder: Path) -> ClipFiles:
    configs = [folder / CONFIG] if (folder / CONFIG).is_file() else sorted(folder.glob("*.json"))
    configs = [
        path
        for path in configs
        if path.name == CONFIG or read_config(path, f"{spec.field}.model").keys() >= _CONFIG_KEYS
    ]
    if len(configs) != 1:
        raise UserError(f"{spec.field}.model: {folder} holds {len(configs)} open_clip configs; it needs one, {CONFIG}")
    config, preprocess = _read_config(spec, configs[0])
    weights = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    chosen = [p for p in weights if p.name == WEIGHTS] or [p for p in weights if p.suffix == ".safetensors"]
    if spec.random_seed is None and (not chosen or (len(weights) > 1 and chosen[0].name != WEIGHTS)):
        found = ", ".join(path.name for path in weights) or "none"
        raise UserError(f"{spec.field}.model: {folder} needs one safetensors file of weights, {WEIGHTS}; found {found}")
    facts = preprocess_of(config, preprocess), config["embed_dim"]
    drawn = spec.random_seed is not None
    beside = [path for path in sorted(folder.iterdir()) if path.name.startswith(_TOKENIZER) and path.is_file()]
    decisive = (configs[0], *beside, *([] if drawn else chosen[:1]))
    if "model_cfg" in read_config(configs[0], f"{spec.field}.model"):
        return ClipFiles(f"local-dir:{folder}", *facts, None, decisive)
    oc = open_clip()
    name = configs[0].stem
    if oc.get_model_config(name) not in (None, config):
        raise UserError(f"{spec.field}.model: {configs[0]} has the name of another architecture; rename the file")
    oc.add_model_config(configs[0])
    return ClipFiles(name, *facts, None if drawn else str(chosen[0]), decisive)


def _read_config(spec: ClipSpec, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    read = read_config(path, f"{spec.field}.model")
    config = read.get("model_cfg", read)
    if not isinstance(config, dict) or not config.keys() >= _CONFIG_KEYS:
        raise UserError(f"{spec.field}.model: {path} lacks one of {', '.join(sorted(_CONFIG_KEYS))}")
    return config, read.get("preprocess_cfg", {})


def preprocess_of(config: dict[str, Any], overlay: dict[str, Any]) -> Preprocess:
    """As open_clip puts it together: the tag's or config's fields, but always the size that the model has."""
    size = config["vision_cfg"].get("image_size", 224)
    high, wide = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    known = {name: overlay.get(name) for name in ("mean", "std", "interpolation", "resize_mode", "fill_color")}
    given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in known.items() if v is not None}
    return Preprocess(size=(high, wide), **given)


def _weights_file(spec: ClipSpec, path: Path) -> Path:
    if not path.is_file():
        tags = ", ".join(open_clip().list_pretrained_tags_by_model(spec.model)) or "none"
        raise UserError(f"{spec.field}.pretrained: {spec.pretrained!r} is neither a file nor a tag; tags: {tags}")
    if path.suffix not in SUFFIXES:
        raise UserError(f"{spec.field}.pretrained: {path.name} is none of {', '.join(SUFFIXES)}")
    return path
