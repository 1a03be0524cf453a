"""Models by the path of a folder, or by their id on the Hugging Face hub.

The hub's client keeps what it fetches in a cache that all processes of a node share (HF_HOME), under a lock for each
file: of the workers of a node that want one at once, one fetches it. HF_HUB_OFFLINE=1 takes the cache alone.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.errors import UserError, first_line

_CONFIG_MAX = 1_000_000
_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)


def is_id(model: str) -> bool:
    """Whether it may be a model's id on the hub: owner/name."""
    return _ID.fullmatch(model) is not None


def model_folder(model: str, field: str, files: Sequence[str]) -> Path:
    """The folder `model`; or, of one on the hub, where its `files` (patterns) lie or are fetched to.

    Raises UserError, one line that begins with `field`.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if not is_id(model):
        raise UserError(f"{field}: {model!r} is neither a folder nor the id of a model on the hub (owner/name)")
    return _fetched(model, field, files)


def on_this_node(folder: Path, files: Sequence[Path], field: str) -> Path:
    """A model's `folder` that another node found: here, or where the same revision of its `files` is fetched to.

    Raises UserError, one line that begins with `field`, where it lies on that node alone.
    """
    names = [file.name for file in files]
    names += ["*.index.json"] if any("-of-" in name for name in names) else []
    if all(any(folder.glob(name)) for name in names):  # while another worker fetches them, some are not there
        return folder
    revision = revision_of(folder / names[0])
    if revision is None:
        raise UserError(
            f"{field}: the node {platform.node()} has no {folder}, or not all of it; put it where every node sees it, "
            "or name a model on the hub (owner/name)"
        )
    repository = folder.parent.parent.name  # models--owner--name/snapshots/REVISION
    return _fetched("/".join(repository.split("--")[1:]), field, names, revision)


def revision_of(file: Path) -> str | None:
    """The revision of a file in the hub's cache (models--owner--name/snapshots/REVISION/file); None of any other."""
    snapshots = file.parent.parent
    return file.parent.name if snapshots.name == "snapshots" and snapshots.parent.name.startswith("models--") else None


def _fetched(model: str, field: str, files: Sequence[str], revision: str | None = None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=list(files), revision=revision))
    except Exception as error:  # the hub's client raises whatever it likes
        raise UserError(
            f"{field}: {model} could not be fetched ({first_line(error)}); "
            "check its name and the network, or fetch it elsewhere and give a local folder"
        ) from None


def read_config(path: Path, field: str) -> dict[str, Any]:
    """A model's JSON file; empty where it is no object. Raises UserError, one line that begins with `field`."""
    try:
        if path.stat().st_size > _CONFIG_MAX:
            raise ValueError(f"over {_CONFIG_MAX:,} bytes")
        read = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{field}: {path} is no JSON config: {first_line(error)}") from None
    return read if isinstance(read, dict) else {}
