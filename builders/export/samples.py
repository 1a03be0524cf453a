"""The samples of a dataset, read back from its shards in order."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from builders.shards.dataset import read_manifest, read_markers
from builders.shards.store import Store
from builders.shards.tar import read_members
from schemas.errors import BuildError, UserError


@dataclass(frozen=True)
class Sample:
    """`parts`: the members' bytes by extension. `parent`: the key of the input that it came from. `told`: what the
    index tells of it, of the columns that were asked for."""

    key: str
    parent: str
    parts: dict[str, bytes]
    told: dict[str, Any] = field(default_factory=dict)


def samples(store: Store, columns: Sequence[str] = (), only: Container[str] | None = None) -> Iterator[Sample]:
    """Every sample of a finished dataset, with those of `columns` that its index has.

    `only`: the extensions of the members that are read, all where it is None.

    Raises UserError where it is none, BuildError where a shard is cut.
    """
    if read_manifest(store).get("artefacts"):
        raise UserError(f"{store}: holds an artefact, and no samples; give a dataset")
    for marker in read_markers(store):
        if marker.shard is None:
            continue
        with store.open(marker.index.path) as file:
            index = pq.ParquetFile(file)
            known = [name for name in columns if name in index.schema_arrow.names]
            rows = index.read(columns=["key", "parent", "members", *known]).to_pylist()
        with store.open(marker.shard.path) as tar:
            for row in rows:
                members = [m for m in row["members"] if only is None or m["name"].rpartition(".")[2] in only]
                parts = read_members(tar, row["key"], members)
                for member, data in zip(members, parts.values(), strict=True):
                    if len(data) < member["size"]:
                        raise BuildError(f"{store}/{marker.shard.path}: ends before {member['name']}; run verify")
                yield Sample(row["key"], row["parent"], parts, {name: row[name] for name in known})
