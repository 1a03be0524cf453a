"""A dataset as a whole: its claim, its manifest, units taken back, and clearing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.shards.dataset import (
    Claim,
    clear,
    committed,
    differences,
    is_claimed,
    read_claim,
    read_manifest,
    read_markers,
    reopen,
    retire,
    retired,
    write_claim,
)
from builders.shards.finish import finish
from builders.shards.store import Store
from builders.shards.totals import total
from builders.shards.verify import verify
from schemas.errors import BuildError, UserError
from schemas.manifest import FORMAT, summed
from tests.toy_recipe import RECIPE

Dataset = Callable[[Path], Store]
CLAIM = Claim({"recipe": {"seed": 0, "nms_iou": 0.5}, "inputs": {"source.captions": "abc"}}, (3, 3, 1))


# ---- the claim -------------------------------------------------------------------------------------------------------


def test_a_claim_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert read_claim(store) is None
    write_claim(store, CLAIM)
    assert read_claim(store) == CLAIM


@given(st.lists(st.integers(1, 1000), max_size=30))
def test_whatever_the_cut_a_claim_keeps_it(sizes: list[int]) -> None:
    claim = Claim({}, tuple(sizes))
    assert Claim.from_json(json.loads(json.dumps(claim.as_json()))) == claim


def test_many_equal_units_are_written_short() -> None:
    assert Claim({}, (1000,) * 9999 + (17,)).as_json()["unit_sizes"] == [[1000, 9999], [17, 1]]


def test_the_hash_is_of_the_content_whatever_its_order() -> None:
    assert Claim({"a": 1, "b": 2}, ()).hash == Claim({"b": 2, "a": 1}, (5,)).hash
    assert Claim({"a": 1}, ()).hash != Claim({"a": 2}, ()).hash


def test_differences_name_the_fields_with_what_they_were_and_are() -> None:
    old = {"recipe": {"seed": 0, "tokens": {"lower_right": "unilm"}}, "inputs": {"x": "1"}}
    new = {"recipe": {"seed": 1, "tokens": {"lower_right": "unilm"}, "new": []}, "inputs": {}}
    assert differences(old, new) == ['inputs.x: "1" -> null', "recipe.new: null -> []", "recipe.seed: 0 -> 1"]
    assert differences(old, old) == []


def test_long_values_are_told_short() -> None:
    (line,) = differences({"a": "x" * 1000}, {"a": 1})
    assert len(line) < 80 and line.endswith("… -> 1")


def test_a_folder_of_something_else_is_never_built_into(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=rf"\A{tmp_path}: the folder is not empty and holds no gristmill dataset"):
        read_claim(Store(tmp_path))


def test_a_file_is_no_folder_to_build_into(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(UserError, match=rf"\A{tmp_path}/out: is a file; give a folder"):
        read_claim(Store(tmp_path / "out"))


def test_a_dataset_of_another_format_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_bytes("build.json", json.dumps({**CLAIM.as_json(), "format": FORMAT + 1}).encode())
    with pytest.raises(
        UserError, match=f"/build.json: written in format {FORMAT + 1}, this gristmill reads {FORMAT}; "
    ):
        read_claim(store)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_claim_that_is_no_json_is_one_line(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    store.put_bytes("build.json", content)
    with pytest.raises(BuildError, match=r"build\.json: "):
        read_claim(store)


def test_a_claim_on_more_units_than_there_can_be_is_one_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_bytes("build.json", json.dumps({**CLAIM.as_json(), "unit_sizes": [[1, 10**12]]}).encode())
    with pytest.raises(BuildError, match=r"build\.json: is no claim .*more than 100,000,000 units.*overwrite"):
        read_claim(store)


# ---- the manifest ----------------------------------------------------------------------------------------------------


def test_the_manifest_sums_up_all_units(dataset: Dataset, tmp_path: Path) -> None:
    store = dataset(tmp_path / "d")
    manifest = read_manifest(store)
    markers = list(read_markers(store))
    shards = [m.shard for m in markers if m.shard]
    assert (manifest["units"], manifest["shards"], manifest["samples"]) == (3, 2, 5)
    assert manifest["bytes"] == sum(shard.size for shard in shards)
    assert manifest["funnel"]["inputs"] == {
        "total": 8,
        "kept": 5,
        "rejected": 2,
        "failed": 1,
        "reasons": {"rejected/select_boxes/no_box": 2, "failed/read_image/OSError": 1},
    }
    assert manifest["funnel"]["records"] == summed(m.records for m in markers).as_json()
    assert manifest["tallies"] == {"n_boxes": sum(m.tallies["n_boxes"] for m in markers)}
    claim = read_claim(store)
    assert claim is not None
    assert manifest["dataset_digest"] == total(claim, markers).digest()
    assert manifest["content_hash"] == claim.hash
    assert manifest["times"]["worker_seconds"] == {"parse": 1.5}
    assert manifest["exceptions"] == []
    assert {"python", "gristmill", "pyarrow"} <= manifest["versions"].keys()


def test_a_dataset_with_a_unit_missing_is_not_finished(unit: Any, tmp_path: Path) -> None:
    store = Store(tmp_path)
    claim = Claim({}, (1, 1))
    write_claim(store, claim)
    unit(0, [[None]]).commit(store)
    with pytest.raises(BuildError, match="1 of 2 units are not committed, the first is 1"):
        finish(store, claim, read_markers(store), RECIPE, {}, {})
    with pytest.raises(UserError, match="has not finished"):
        read_manifest(store)


def test_what_is_no_dataset_has_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no gristmill dataset"):
        read_manifest(Store(tmp_path / "nowhere"))


def test_a_reopened_dataset_is_an_unfinished_one_and_keeps_its_units(dataset: Dataset, tmp_path: Path) -> None:
    store = dataset(tmp_path / "d")

    reopen(store)

    assert committed(store) == [0, 1, 2] and not store.exists("README.md")
    with pytest.raises(UserError, match="has not finished"):
        read_manifest(store)


# ---- units taken back ------------------------------------------------------------------------------------------------


def test_units_taken_back_leave_their_digests_on_record_and_the_rest_in_place(
    dataset: Dataset, unit: Any, tmp_path: Path
) -> None:
    store = dataset(tmp_path / "d")
    before = {marker.unit: marker for marker in read_markers(store)}
    retire(store, [0])
    assert committed(store) == [1, 2]
    claim = read_claim(store)
    assert claim is not None
    assert list(retired(store, claim)) == [before[0]]
    assert list(retired(store, Claim({"recipe": "another"}, claim.unit_sizes))) == [], "of another build"
    assert list(retired(store, Claim(claim.content, ()))) == [], "of units that it has not"
    assert not store.exists("manifest.json") and not store.exists("README.md")
    unit(0, [[None], [None], [None], [None]]).commit(store)
    manifest = finish(store, claim, read_markers(store), RECIPE, {}, {})
    old = before[0].shard
    assert old is not None
    assert [(e["unit"], e["old_shard"]) for e in manifest["exceptions"]] == [(0, old.sha256)]
    assert verify(store).problems == []


def test_clearing_takes_the_datasets_own_files_and_nothing_else(dataset: Dataset, tmp_path: Path) -> None:
    store = dataset(tmp_path / "d")
    (store.root / "notes.txt").write_text("mine")
    clear(store)
    assert [path.name for path in store.root.rglob("*") if path.is_file()] == ["notes.txt"]


# ---- what was paid for -----------------------------------------------------------------------------------------------

PAID = {"ledger/0001.parquet": b"paid", "ledger/0002.parquet": b"too", "ledger.json": b'{"at": "/shared/ledger"}'}


def pay(store: Store) -> None:
    for path, data in PAID.items():
        store.put_bytes(path, data)


def test_answers_that_were_paid_for_outlive_the_clearing_of_their_dataset(dataset: Dataset, tmp_path: Path) -> None:
    store = dataset(tmp_path / "d")
    pay(store)
    clear(store)
    assert {path: store.read_bytes(path) for path in store.list_below(".")} == PAID


def test_a_cleared_dataset_can_be_claimed_anew_beside_its_answers(dataset: Dataset, tmp_path: Path) -> None:
    store = dataset(tmp_path / "d")
    pay(store)
    clear(store)
    write_claim(store, CLAIM)
    assert is_claimed(store)
    assert read_claim(store) == CLAIM
    assert committed(store) == []


def test_an_emptied_folder_that_holds_only_answers_can_be_built_into(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pay(store)
    store.sweep()
    assert not is_claimed(store)
    assert read_claim(store) is None
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no gristmill dataset"):
        is_claimed(store)
