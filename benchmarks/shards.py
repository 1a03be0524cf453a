"""(c) The shard writer with index and SHA-256, against raw bytes with SHA-256 and against `webdataset.TarWriter`.

1,000 samples of a 100 KB JPEG, a caption and 1.4 KB of JSON, to disk and to memory (/dev/shm). "Raw" writes the
payloads one after the other to one file, hashes them as it goes, and flushes the file to disk; so does
`webdataset.TarWriter` here, whose output is hashed as it is written. "Shard and index" are ours, each through the
store: temporary file, flush to disk, rename, flush of the folder. "Unit" is the whole commit: shard, index, rejects and
marker, each flushed like that. The targets are asked on disk, where datasets are written; memory shows what the code
itself costs.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa
import webdataset

from benchmarks.measure import Row, compare, interleave
from builders import rows
from builders.shards.store import Store
from builders.shards.tar import Sha256Writer
from builders.shards.unit import Layout, Member, commit_unit, write_samples

SAMPLES = 1_000
PHOTO = 100_000
ROUNDS = 9
LAYOUT = Layout((Member("image", "jpg"), Member("caption", "txt"), Member("json", "json")), ("n_boxes",))


def main() -> list[Row]:
    """The rows of this benchmark."""
    unit = _unit()
    found = []
    for place, parent in (("disk", None), ("memory", "/dev/shm")):
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            seconds = interleave(_contenders(Path(folder), unit), ROUNDS)
        for other, target in (("raw", 0.85), ("webdataset", 1.5)):
            for ours, aim in (("shard and index", target if place == "disk" else None), ("unit", None)):
                title = f"{place}: {ours} / {other}"
                found.append(compare(title, seconds[ours], seconds[other], SAMPLES, "samples/s", aim))
    return found


def _unit() -> pa.Table:
    """A unit as it reaches the sink, none of its photos alike."""
    draw = random.Random(0)
    names = [f"{i:012d}-{i}" for i in range(SAMPLES)]
    columns = {
        "key": pa.array(names),
        "caption": pa.array([f"A man riding a brown horse on a beach at sunset, number {i}." for i in range(SAMPLES)]),
        "json": pa.array([(b'{"number": %06d}' % i) * 80 for i in range(SAMPLES)], pa.large_binary()),
        "image": pa.array([draw.randbytes(PHOTO) for _ in range(SAMPLES)], pa.large_binary()),
        "url": pa.array([f"http://images.example.org/{name}.jpg" for name in names]),
        **{name: pa.array([i % 7 for i in range(SAMPLES)], pa.int32()) for name in ("width", "height", "n_boxes")},
    }
    return rows.begin(pa.table(columns), 0)


def _contenders(folder: Path, unit: pa.Table) -> dict[str, Callable[[int], object]]:
    store = Store(folder / "ours")
    columns = [unit[name].to_pylist() for name in ("key", "image", "caption", "json")]
    samples = [(key, photo, text.encode(), facts) for key, photo, text, facts in zip(*columns, strict=True)]

    def raw(_: int) -> None:
        with _flushed(folder / "raw") as file:
            out = Sha256Writer(file)
            for _, *payloads in samples:
                for payload in payloads:
                    out.write(payload)

    def other(_: int) -> None:
        with _flushed(folder / "other.tar") as file, webdataset.TarWriter(Sha256Writer(file)) as tar:
            for key, photo, text, facts in samples:
                tar.write({"__key__": key, "jpg": photo, "txt": text, "json": facts})

    return {
        "raw": raw,
        "shard and index": lambda _: write_samples(store, 1, unit, LAYOUT),
        "unit": lambda _: commit_unit(store, 0, SAMPLES, unit, LAYOUT, {}, content_hash=""),
        "webdataset": other,
    }


@contextmanager
def _flushed(path: Path) -> Iterator[IO[bytes]]:
    """A file that is on disk when the block ends, as the store's are."""
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
