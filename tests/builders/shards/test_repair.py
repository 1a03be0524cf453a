"""Repair: what dead builds left goes, whatever is committed stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.shards import lease_steps
from builders.shards import repair as repair_module
from builders.shards.dataset import read_markers
from builders.shards.lease import Lost
from builders.shards.repair import repair
from builders.shards.store import Store
from builders.shards.verify import verify
from schemas.errors import BuildError, UserError
from schemas.manifest import UnitMarker
from tests.leases import left_by, signed_by
from tests.s3 import S3

Dataset = Callable[[str | Path], Store]


@pytest.fixture(params=["disk", pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, dataset: Dataset, tmp_path: Path) -> Store:
    """A finished dataset."""
    if request.param == "disk":
        return dataset(tmp_path / "d")
    s3: S3 = request.getfixturevalue("s3")
    return dataset(f"s3://{s3.bucket()}/d")


def test_orphans_are_ignored_by_readers_and_removed_and_told(store: Store) -> None:
    whole = store.list_below("")
    for path in ("data/000999.tar", "index/000999.parquet", "rejects/000999.parquet", "drawn/ab/data/000000.tar"):
        store.put_bytes(path, b"of a dead attempt")
    assert any("belong to no unit" in line for line in [*verify(store).problems, *verify(store).notes])
    told = repair(store)
    assert told == [
        "removed 1 file in data/",
        "removed 1 file in index/",
        "removed 1 file in rejects/",
        "removed 1 file in drawn/",
    ]
    assert verify(store).problems == verify(store).notes == []
    assert [path for path in store.list_below("") if not path.startswith("drawn")] == whole


def test_what_is_whole_is_left_alone(store: Store) -> None:
    store.put_bytes("notes.txt", b"mine")
    before = store.list_below("")
    assert repair(store) == []
    assert store.list_below("") == before


@pytest.mark.slow
def test_a_lease_that_has_expired_is_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_steps, "LASTS", 2.0)
    monkeypatch.setattr(lease_steps, "SPARE", 0.5)
    monkeypatch.setattr(lease_steps, "LOOK", 0.4)
    left_by(store)
    assert repair(store) == ["removed 1 file in leases/"]
    assert store.list("leases") == []


@pytest.mark.slow
def test_nothing_is_removed_while_somebody_builds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_steps, "LOOK", 1.1)
    store.put_bytes("data/000999.tar", b"being written")
    told: list[str] = []

    class Refreshed(Store):
        def times(self, folder: str) -> dict[str, float]:
            left_by(self)
            return super().times(folder)

    with pytest.raises(UserError, match="rosa on elsewhere, process 7"):
        told += repair(Refreshed(store.root))
    assert store.exists("data/000999.tar") and not told


def test_a_folder_without_a_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.tar").write_bytes(b"mine")
    with pytest.raises(UserError, match="holds no gristmill dataset"):
        repair(Store(tmp_path))
    assert (tmp_path / "data" / "mine.tar").exists()


@pytest.mark.parametrize("claim", [b'{"scripts": {}}', b"{"], ids=["of_another_program", "damaged"])
def test_a_folder_that_is_none_of_ours_is_left_alone(tmp_path: Path, claim: bytes) -> None:
    store = Store(tmp_path / "d")
    store.put_bytes("build.json", claim)
    store.put_bytes("data/mine.tar", b"mine")
    with pytest.raises((UserError, BuildError)):
        repair(store)
    assert store.read_bytes("data/mine.tar") == b"mine"


def test_a_repair_that_has_lost_its_lease_deletes_nothing_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put_bytes("data/000999.tar", b"of a dead attempt")

    def overtaken(guarded: Store) -> Iterator[UnitMarker]:
        signed_by(store)
        return read_markers(guarded)

    monkeypatch.setattr(repair_module, "read_markers", overtaken)
    with pytest.raises(Lost, match="rosa on elsewhere"):
        repair(store)
    assert store.exists("data/000999.tar")
