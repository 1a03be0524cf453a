"""What exports of grounded captions share: the samples of a grit dataset, each with its record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from builders.export.samples import Sample, samples
from builders.shards.store import Store
from schemas.errors import UserError


@dataclass(frozen=True)
class Grounded:
    """A sample and its `key.json`."""

    sample: Sample
    record: dict[str, Any]


def grounded(store: Store, columns: Sequence[str] = (), images: bool = True) -> Iterator[Grounded]:
    """Every grounded caption of a finished dataset; task samples, which stand beside them, are passed over.

    `images`: whether their bytes are read, too. Raises UserError for a dataset of another kind, and for a caption with
    "<", which readers would take for a token.
    """
    for sample in samples(store, columns, None if images else {"json"}):
        record = json.loads(sample.parts.get("json", b"{}"))
        if "task" in record:
            continue
        if not {"caption", "noun_chunks", "ref_exps", "grounded_caption"} <= record.keys():
            raise UserError(f"export: {store} holds no grounded captions (sample {sample.key}); build one of kind grit")
        if "<" in record["caption"]:
            raise UserError(
                f"export: the caption of sample {sample.key} holds '<', which readers would take for a token; "
                f"build the dataset again, which rejects it"
            )
        yield Grounded(sample, record)
