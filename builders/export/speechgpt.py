"""Speech samples in the file that SpeechGPT's trainer reads: a line {prefix, plain_text} each, as it was released."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from builders.export.samples import samples
from builders.shards.store import Store
from schemas.errors import UserError

PREFIX = (
    "This is a conversation between a human and SpeechGPT, an assistant that hears and speaks as well as it reads and "
    "writes.\nEither of them may use speech, which stands here as units, or text.\n"
)
"""What the trainer puts in front of every sample and takes no loss on. The wording is ours."""


def export(store: Store, file: Path, prefix: str = PREFIX) -> int:
    """Write the samples of a dataset of chains or cross-modal turns to `file`, which must not be there yet.

    Returns how many. The file appears whole. Raises UserError for a dataset whose samples are none of these.
    """
    if file.exists():
        raise UserError(f"export: {file} is there already; give another name")
    if not file.parent.is_dir():
        raise UserError(f"export: the folder {file.parent} is not there; make it, or give another")
    unfinished = file.with_name(f"{file.name}.part")
    count = 0
    try:
        with unfinished.open("w", encoding="utf-8") as lines:
            for text in _texts(store):
                lines.write(json.dumps({"prefix": prefix, "plain_text": text}, ensure_ascii=False) + "\n")
                count += 1
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def _texts(store: Store) -> Iterator[str]:
    for sample in samples(store):
        text = json.loads(sample.parts.get("json", b"{}")).get("text")
        if not isinstance(text, str) or "[SpeechGPT]:" not in text:
            told = f"{store} holds no chain or cross-modal turn (sample {sample.key})"
            raise UserError(f"export: {told}; build one of kind speech")
        yield text
