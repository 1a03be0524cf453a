"""Models by the path of a folder, or by their id on the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from builders.filters.clip_files import first_line
from schemas.errors import UserError

_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)


def model_folder(model: str, field: str, files: Sequence[str]) -> Path:
    """The folder `model`; or, of one on the hub, where its `files` (patterns) lie or are fetched to.

    Raises UserError, one line that begins with `field`.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if not _ID.fullmatch(model):
        raise UserError(f"{field}: {model!r} is neither a folder nor the id of a model on the hub (owner/name)")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=list(files)))
    except Exception as error:  # the hub's client raises whatever it likes
        raise UserError(
            f"{field}: {model} could not be fetched ({first_line(error)}); "
            "check its name and the network, or fetch it elsewhere and give a local folder"
        ) from None
