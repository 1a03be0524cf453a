"""A dataset on an object store, cleared and taken back: several requests at once, in an order that a kill may cut."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from builders.shards import dataset as module
from builders.shards.dataset import clear, committed, read_claim, read_markers, retire, retired
from builders.shards.store import Store
from tests.s3 import S3

pytestmark = pytest.mark.slow


@pytest.fixture
def store(s3: S3, dataset: Callable[[str], Store]) -> Store:
    """A finished dataset of three units."""
    return dataset(f"s3://{s3.bucket()}/d")


def test_clearing_deletes_the_manifest_first_and_the_claim_last(store: Store, s3: S3) -> None:
    store.put_bytes("notes.txt", b"mine")
    deleted: list[str] = []

    def watch(method: str, path: str) -> None:
        if method == "DELETE":
            deleted.append(path.partition("/d/")[2])

    s3.proxy.fault = watch
    clear(store)
    assert (deleted[0], deleted[-1]) == ("manifest.json", "build.json")
    folders = [path.partition("/")[0] for path in deleted if "/" in path]
    assert folders == sorted(folders, key=["data", "index", "rejects", "units"].index)
    assert store.list_below("") == ["notes.txt"]


def test_units_are_taken_back_several_at_once_and_each_is_on_record_before_its_marker_goes(
    store: Store, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(read_markers(store))
    all_here, take_back, seen = threading.Barrier(3, timeout=60), module._retire, list[tuple[str, str]]()

    def together(store: Store, unit: int) -> None:
        all_here.wait()
        take_back(store, unit)

    monkeypatch.setattr(module, "_retire", together)
    s3.proxy.fault = lambda method, path: seen.append((method, path.partition("/d/")[2]))  # type: ignore[func-returns-value]
    retire(store, [0, 1, 2])
    for unit in range(3):
        recorded = next(i for i, (method, path) in enumerate(seen) if path.startswith(f"retired/{unit:06d}-"))
        assert recorded < seen.index(("DELETE", f"units/{unit:06d}.json"))
    claim = read_claim(store)
    assert claim and committed(store) == [] and list(retired(store, claim)) == before
