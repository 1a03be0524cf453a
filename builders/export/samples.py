"""The samples of a dataset, read back from its shards in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.parquet as pq

from builders.shards.dataset import read_manifest, read_markers
from builders.shards.store import Store
from builders.shards.tar import read_members
from schemas.errors import BuildError, UserError


@dataclass(frozen=True)
class Sample:
    """`parts`: the members' bytes by extension. `parent`: the key of the input that it came from."""

    key: str
    parent: str
    parts: dict[str, bytes]


def samples(store: Store) -> Iterator[Sample]:
    """Every sample of a finished dataset. Raises UserError where it is none, BuildError where a shard is cut."""
    if read_manifest(store).get("artefacts"):
        raise UserError(f"{store}: holds an artefact, and no samples; give a dataset")
    for marker in sorted(read_markers(store), key=lambda marker: marker.unit):
        if marker.shard is None:
            continue
        with store.open(marker.index.path) as file:
            rows = pq.read_table(file, columns=["key", "parent", "members"]).to_pylist()
        with store.open(marker.shard.path) as tar:
            for row in rows:
                parts = read_members(tar, row["key"], row["members"])
                for member, data in zip(row["members"], parts.values(), strict=True):
                    if len(data) < member["size"]:
                        raise BuildError(f"{store}/{marker.shard.path}: ends before {member['name']}; run verify")
                yield Sample(row["key"], row["parent"], parts)
