"""Grounded captions as Qwen-VL's chat JSON (its README's format): `DIR/qwen_vl.json` and `DIR/images/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builders.dice import Dice
from builders.export.conversations import write_list
from builders.export.folder import Images, new_folder
from builders.export.grounded import grounded
from builders.grounding.qwen_tags import render
from builders.grounding.record import most_chunks
from builders.grounding.tasks.wording import QWEN_CAPTION
from builders.shards.store import Store

FILE = "qwen_vl.json"


def export(store: Store, folder: Path, seed: int = 0) -> int:
    """Write a list of conversations, each a question for a grounded caption and the caption. Returns how many.

    The phrases are the most noun chunks that do not overlap, as Qwen-VL reads GrIT; the question is drawn by
    (seed, key). Paths of images are relative to `folder`. Raises UserError for a dataset of another kind.
    """
    with new_folder(folder) as place:
        return write_list(place / FILE, _conversations(store, Images(place / "images"), seed))


def _conversations(store: Store, images: Images, seed: int) -> Iterator[dict[str, Any]]:
    for one in grounded(store):
        key = one.sample.key
        asked = Dice(seed, "qwen_vl", key).pick(QWEN_CAPTION)
        yield {
            "id": key,
            "conversations": [
                {"from": "user", "value": f"Picture 1: <img>images/{images.add(one.sample)}</img>\n{asked}"},
                {"from": "assistant", "value": render(one.record["caption"], most_chunks(one.record))},
            ],
        }
