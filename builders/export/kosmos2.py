"""Grounded captions as Kosmos-2's text: JSON lines of {key, url, text}, in the released tokens or in the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from builders.export.conversations import write_lines
from builders.export.folder import new_folder
from builders.export.grounded import grounded
from builders.shards.store import Store

Spelling = Literal["released", "paper"]
FILE = "kosmos2.jsonl"
_TEXTS = {"released": "grounded_caption", "paper": "grounded_caption_paper"}


def export(store: Store, folder: Path, spelling: Spelling = "released") -> int:
    """Write `folder/kosmos2.jsonl`. Returns how many samples. Raises UserError for a dataset of another kind.

    The images stay in the shards, each under its `key`.
    """
    told = (
        {"key": one.sample.key, "url": one.record["url"], "text": one.record[_TEXTS[spelling]]}
        for one in grounded(store, images=False)
    )
    with new_folder(folder) as place:
        return write_lines(place / FILE, told)
