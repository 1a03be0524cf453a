"""Conversations about images in the files that trainers read: LLaVA's JSON list, or JSON lines of chat messages.

LLaVA: `DIR/llava.json`, a list of {id, image, conversations} (its `--data_path`), and `DIR/images/` (`--image_folder`).
Chat: `DIR/chat.jsonl`, a line {messages, images} each, and `DIR/images/`. Samples of one photo share its file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from builders.export.folder import Images, new_folder
from builders.export.samples import Sample, samples
from builders.shards.store import Store
from schemas.errors import UserError

Shape = Literal["llava", "chat"]
FILES = {"llava": "llava.json", "chat": "chat.jsonl"}


def export(store: Store, shape: Shape, folder: Path) -> int:
    """Write a dataset of conversations into `folder`, which must be empty or not there. Returns how many samples.

    All of it appears together. Raises UserError for a dataset without conversations; of grounded captions, the task
    samples are written.
    """
    with new_folder(folder) as place:
        items = _items(store, shape, Images(place / "images"))
        count = (write_list if shape == "llava" else write_lines)(place / FILES[shape], items)
        if not count:
            raise UserError(f"export: {store} holds no conversations; build one of kind llava, or grit with tasks")
    return count


def write_list(file: Path, items: Iterable[Any]) -> int:
    """Write a JSON list, an item a line. Returns how many."""
    count = 0
    with file.open("w", encoding="utf-8") as out:
        out.write("[\n")
        for item in items:
            out.write((",\n" if count else "") + json.dumps(item, ensure_ascii=False))
            count += 1
        out.write("\n]\n")
    return count


def write_lines(file: Path, items: Iterable[Any]) -> int:
    """Write JSON lines. Returns how many."""
    count = 0
    with file.open("w", encoding="utf-8") as out:
        for item in items:
            out.write(json.dumps(item, ensure_ascii=False) + "\n")
            count += 1
    return count


def _items(store: Store, shape: Shape, images: Images) -> Iterator[dict[str, Any]]:
    for sample in samples(store):
        told = _told(store, sample)
        if told is None:
            continue
        name = images.add(sample)
        if shape == "llava":
            yield {"id": told["id"], "image": name, "conversations": told["conversations"]}
        else:
            yield {"messages": told["messages"], "images": [f"images/{name}"]}


def _told(store: Store, sample: Sample) -> dict[str, Any] | None:
    """A sample's conversation; None for a grounded caption, beside which its tasks stand."""
    told: dict[str, Any] = json.loads(sample.parts["json"])
    if "conversations" in told:
        return told
    if "grounded_caption" in told:
        return None
    raise UserError(f"export: {store} holds no conversations (sample {sample.key}); build one of kind llava")
