"""Verify on an object store: an ill store is not a damaged dataset."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from builders.places import persist
from builders.shards import verify as module
from builders.shards.store import Store
from builders.shards.verify import verify
from schemas.errors import BuildError
from tests.s3 import S3

pytestmark = pytest.mark.slow


@pytest.fixture
def store(s3: S3, dataset: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch) -> Store:
    """A finished dataset on a store that each call asks once."""
    monkeypatch.setattr(persist, "TRIES", 1)
    return dataset(f"s3://{s3.bucket()}/d")


@pytest.mark.parametrize("path", ["units/000001.json", "data/000002.tar", "index/000000.parquet", "README.md"])
def test_given_a_file_that_the_store_does_not_answer_of_then_verify_ends_with_its_line(
    store: Store, s3: S3, path: str
) -> None:
    s3.proxy.fault = lambda method, asked: "500" if asked.endswith(path) else None
    with pytest.raises(BuildError, match=rf"^s3://.*/d/{path}: the store failed 1 times: [^\n]*$"):
        verify(store)


def test_given_a_damaged_file_there_then_it_is_a_problem_of_the_dataset(store: Store) -> None:
    assert verify(store).problems == []
    store.put_bytes("units/000001.json", b"{")
    store.put_bytes("data/000002.tar", b"x")
    found = verify(store).problems
    assert found[0].startswith("unit 1: marker not readable: ") and found[1].startswith(
        "unit 2: data/000002.tar has 1 "
    )


def test_units_there_are_looked_at_several_at_once_and_told_in_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("data/000002.tar", "index/000001.parquet", "data/000000.tar"):
        store.put_bytes(path, b"x")
    all_here, look = threading.Barrier(3, timeout=60), module._look

    def together(store: Store, unit: int) -> module._Looked:
        all_here.wait()
        return look(store, unit)

    monkeypatch.setattr(module, "_look", together)
    assert [problem.split(" has ")[0] for problem in verify(store).problems] == [
        "unit 0: data/000000.tar",
        "unit 1: index/000001.parquet",
        "unit 2: data/000002.tar",
    ]
