"""Conversations about images in the files that trainers read: LLaVA's JSON list, or JSON lines of chat messages.

LLaVA: `DIR/llava.json`, a list of {id, image, conversations} (its `--data_path`), and `DIR/images/` (`--image_folder`).
Chat: `DIR/chat.jsonl`, a line {messages, images} each, and `DIR/images/`. Samples of one photo share its file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from builders.export.samples import Sample, samples
from builders.shards.store import Store
from schemas.errors import UserError

Shape = Literal["llava", "chat"]
FILES = {"llava": "llava.json", "chat": "chat.jsonl"}


def export(store: Store, shape: Shape, folder: Path) -> int:
    """Write a dataset of conversations into `folder`, which must be empty or not there. Returns how many samples.

    The list is written last and appears whole. Raises UserError for a dataset without conversations.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"export: {folder} is not an empty folder; give another")
    images = folder / "images"
    images.mkdir(parents=True)
    unfinished = folder / f"{FILES[shape]}.part"
    count = 0
    with unfinished.open("w", encoding="utf-8") as file:
        file.write("[\n" if shape == "llava" else "")
        for item in _items(store, shape, images):
            file.write((",\n" if count and shape == "llava" else "") + json.dumps(item, ensure_ascii=False))
            file.write("\n" if shape == "chat" else "")
            count += 1
        file.write("\n]\n" if shape == "llava" else "")
    unfinished.replace(folder / FILES[shape])
    return count


def _items(store: Store, shape: Shape, images: Path) -> Iterator[dict[str, Any]]:
    last: tuple[str, bytes] | None = None
    for sample in samples(store):
        told = _told(store, sample)
        (extension,) = sample.parts.keys() - {"json", "txt"}
        name, image = f"{sample.parent}.{extension}", sample.parts[extension]
        if last and last[0] == name and last[1] != image:
            name = f"{sample.key}.{extension}"
        if last != (name, image):  # the responses to one photo stand side by side, and share its file
            (images / name).write_bytes(image)
            last = name, image
        if shape == "llava":
            yield {"id": told["id"], "image": name, "conversations": told["conversations"]}
        else:
            yield {"messages": told["messages"], "images": [f"images/{name}"]}


def _told(store: Store, sample: Sample) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(sample.parts["json"])
    if "conversations" not in told:
        raise UserError(f"export: {store} holds no conversations (sample {sample.key}); build one of kind llava")
    return told
