"""Verify: a good dataset passes, and whatever is done to it is found."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.shards.dataset import Claim, read_markers, write_claim
from builders.shards.finish import finish
from builders.shards.store import Store
from builders.shards.verify import MOST, verify
from schemas.errors import BuildError, UserError
from tests.toy_recipe import RECIPE

Dataset = Callable[[Path], Store]
SHARD, INDEX, REJECTS, MARKER = "data/000000.tar", "index/000000.parquet", "rejects/000000.parquet", "units/000000.json"


@pytest.fixture
def store(dataset: Dataset, tmp_path: Path) -> Store:
    return dataset(tmp_path / "d")


@pytest.fixture(scope="module")
def lasting(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A dataset that its tests put back in order."""
    return dataset(tmp_path_factory.mktemp("lasting"))


def problems(store: Store) -> str:
    return "\n".join(verify(store).problems)


def edit_json(store: Store, path: str, change: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(store.read_bytes(path))
    change(data)
    store.put_bytes(path, json.dumps(data).encode())


def edit_index(store: Store, change: Callable[[list[dict[str, Any]]], None], path: str = INDEX) -> None:
    """Change the index as somebody would who also makes its marker agree."""
    table = pq.read_table(io.BytesIO(store.read_bytes(path)))
    rows = table.to_pylist()
    change(rows)
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, table.schema), out)
    store.put_bytes(path, out.getvalue())
    name = path.split("/")[0]
    file = {"path": path, "size": len(out.getvalue()), "sha256": hashlib.sha256(out.getvalue()).hexdigest()}
    edit_json(store, f"units/{path[-14:-8]}.json", lambda marker: marker.update({name: file}))


# ---- a good one ------------------------------------------------------------------------------------------------------


def test_a_good_dataset_has_no_problem_and_is_told_with_its_digest(store: Store) -> None:
    report = verify(store)
    assert (report.problems, report.notes, report.units, report.samples) == ([], [], 3, 5)
    assert report.digest == json.loads(store.read_bytes("manifest.json"))["dataset_digest"]


def test_files_that_belong_to_no_unit_are_noted_and_a_tar_that_a_trainer_would_read_is_a_problem(store: Store) -> None:
    store.put_bytes("index/999999.parquet", b"stray")
    report = verify(store)
    assert report.problems == []
    assert report.notes == [
        "1 files in index/ belong to no unit; query, show and export ignore them: index/999999.parquet…"
    ]
    store.put_bytes("data/999999.tar", b"stray")
    assert verify(store).problems == [
        "1 tars belong to no unit, but a trainer would read them: data/999999.tar…",
    ]


def test_files_in_subfolders_belong_to_no_unit_either(store: Store) -> None:
    for folder in ("index", "rejects", "embeddings", "units"):
        store.put_bytes(f"{folder}/old/000001.parquet", b"stray")
    report = verify(store)
    assert report.problems == []
    assert report.notes == [
        f"1 files in {folder}/ belong to no unit; query, show and export ignore them: {folder}/old/000001.parquet…"
        for folder in ("index", "rejects", "embeddings", "units")
    ]
    store.put_bytes("data/old/000001.tar", b"stray")
    store.put_bytes("data/very/old/000000.tar", b"stray")
    assert verify(store).problems == [
        "2 tars belong to no unit, but a trainer would read them: data/old/000001.tar…",
    ]


def test_a_file_where_a_folder_should_be_is_a_problem_and_no_traceback(store: Store) -> None:
    (store.root / "embeddings").write_bytes(b"no folder")
    assert problems(store).startswith("embeddings/ not readable: ")


def test_a_parquet_file_that_is_none_is_a_problem_and_no_traceback(store: Store) -> None:
    (store.root / INDEX).unlink()
    (store.root / INDEX).mkdir()
    assert any("not readable" in problem for problem in verify(store).problems)


# ---- spoiled bytes ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.data())
@settings(max_examples=40)
def test_any_byte_that_is_flipped_in_any_file_is_found(lasting: Store, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([SHARD, INDEX, REJECTS, "index/000001.parquet", "data/000002.tar"]))
    good = lasting.read_bytes(path)
    at = data.draw(st.integers(0, len(good) - 1))
    flipped = good[at] ^ data.draw(st.integers(1, 255))
    lasting.put_bytes(path, good[:at] + bytes([flipped]) + good[at + 1 :])
    try:
        assert f"{path} has other bytes than its marker's SHA-256 says" in problems(lasting)
    finally:
        lasting.put_bytes(path, good)


@pytest.mark.parametrize("keep", [0, 100, 512, 5000])
def test_a_truncated_shard_is_found(store: Store, keep: int) -> None:
    store.put_bytes(SHARD, store.read_bytes(SHARD)[:keep])
    assert f"{SHARD} has {keep} bytes, its marker says" in problems(store)


def test_bytes_after_the_end_are_found(store: Store) -> None:
    store.put_bytes(SHARD, store.read_bytes(SHARD) + b"\0" * 512)
    assert "its marker says" in problems(store)


@pytest.mark.parametrize("path", [SHARD, INDEX, REJECTS])
def test_a_missing_file_is_found(store: Store, path: str) -> None:
    store.delete(path)
    assert problems(store) == f"unit 0: {path} is missing; the same build command builds its unit again"


def test_a_missing_marker_is_found(store: Store) -> None:
    store.delete("units/000001.json")
    found = problems(store)
    assert "1 of 3 units are not committed, the first is 1" in found
    assert "manifest.json says units 3, found 2" in found


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"unit": 0}', b"null", b'{"inputs": 5}'])
def test_a_marker_that_cannot_be_read_is_found(store: Store, content: bytes) -> None:
    store.put_bytes(MARKER, content)
    assert "unit 0: marker not readable" in problems(store)


def test_many_problems_are_told_up_to_a_limit(unit: Any, tmp_path: Path) -> None:
    store = Store(tmp_path)
    claim = Claim({}, (30, 30))
    write_claim(store, claim)
    first, twin = unit(0, [[None]] * 30), unit(1, [[None]] * 30)
    twin.table = twin.table.set_column(0, "key", first.table["key"])
    first.commit(store)
    twin.commit(store)
    finish(store, claim, read_markers(store), RECIPE, {}, {})
    found = verify(store).problems
    assert len(found) == MOST
    assert all("stands twice" in problem for problem in found)


# ---- an index that leads astray --------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 1, 511, 1024, 10**9])
def test_an_offset_that_does_not_lead_to_its_member_is_found(store: Store, offset: int) -> None:
    edit_index(store, lambda rows: rows[0]["members"][0].update(offset=offset))
    assert "000x000" in problems(store)


def test_a_member_that_the_index_leaves_out_is_found(store: Store) -> None:
    edit_index(store, lambda rows: rows[0]["members"].pop())
    assert "000x000: the index gives it" in problems(store)
    edit_index(store, lambda rows: rows[0]["members"].pop(0))
    assert "000x000: the index places 000x000.txt" in problems(store)


def test_a_size_that_is_not_its_members_is_found(store: Store) -> None:
    edit_index(store, lambda rows: rows[1]["members"][1].update(size=1))
    assert "the index says 000x002-0.txt of 1 bytes" in problems(store)


def test_a_name_that_is_not_its_members_is_found(store: Store) -> None:
    edit_index(store, lambda rows: rows[0]["members"][0].update(name="000x000.exe"))
    assert "the index says 000x000.exe" in problems(store)


def test_a_sample_that_is_placed_elsewhere_is_found(store: Store) -> None:
    edit_index(store, lambda rows: rows[1].update(shard="data/000002.tar"))
    assert "the index places it in data/000002.tar" in problems(store)


def test_two_rows_that_changed_places_are_found(store: Store) -> None:
    edit_index(store, lambda rows: rows.reverse())
    assert "the index places it in" in problems(store)


def test_a_row_that_is_gone_is_found(store: Store) -> None:
    edit_index(store, lambda rows: rows.pop())
    found = problems(store)
    assert "has 2 rows for 3 samples" in found
    assert "the index covers" in found


def test_a_reject_that_is_gone_is_found(store: Store) -> None:
    edit_index(store, lambda rows: rows.pop(), REJECTS)
    assert "has 1 rows for 2 losses" in problems(store)


def test_a_key_that_stands_in_two_units_is_found(store: Store, unit: Any) -> None:
    twin = unit(2, [[None], [None]])
    keys = pa.array(["000x000", "else"])
    twin.table = twin.table.set_column(twin.table.schema.get_field_index("key"), "key", keys)
    twin.commit(store)
    assert "units 0, 2: the key '000x000' stands twice in the dataset" in problems(store)


def test_members_of_another_sample_are_found(store: Store) -> None:
    edit_index(store, lambda rows: rows[0].update(key="stranger"))
    assert "stranger: has a member of another sample, 000x000.jpg" in problems(store)


def test_a_sample_whose_json_is_none_is_found(store: Store) -> None:
    shard = store.read_bytes(SHARD).replace(b'{"key": "000x000"}', b'{"key": "000x000",')
    store.put_bytes(SHARD, shard)
    edit_json(store, MARKER, lambda marker: marker["shard"].update(sha256=hashlib.sha256(shard).hexdigest()))
    assert "000x000.json: not JSON" in problems(store)


# ---- numbers that do not add up --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit",
    [
        {"samples": 6},
        {"dataset_digest": "0" * 64},
        {"content_hash": "0" * 64},
        {"units": 4},
        {"shards": 1},
        {"bytes": 1},
        {"funnel": {}},
        {"tallies": {"n_boxes": 1}},
        {"content": {"recipe": {"seed": 1}}},
        {"recipe": {**RECIPE, "nms_iou": 0.1}},
        {"recipe": None},
        {"inputs": {"inputs": 9}},
    ],
)
def test_a_manifest_that_was_edited_is_found(store: Store, edit: dict[str, Any]) -> None:
    edit_json(store, "manifest.json", lambda manifest: manifest.update(edit))
    assert "manifest.json" in problems(store)


def test_a_funnel_that_was_edited_is_found(store: Store) -> None:
    def hide_a_failure(manifest: dict[str, Any]) -> None:
        manifest["funnel"]["inputs"].update(failed=0, kept=6)

    edit_json(store, "manifest.json", hide_a_failure)
    assert "manifest.json says funnel" in problems(store)


def test_a_manifest_that_lacks_a_field_is_told_in_one_line(store: Store) -> None:
    edit_json(store, "manifest.json", lambda manifest: manifest.pop("funnel"))
    with pytest.raises(BuildError, match=r"manifest\.json: has no funnel; delete it and run"):
        verify(store)


def test_a_card_that_is_gone_is_a_problem_and_one_that_was_edited_is_noted(store: Store) -> None:
    assert verify(store).notes == []
    store.put_bytes("README.md", store.read_bytes("README.md") + b"\nMine.\n")
    report = verify(store)
    assert (report.problems, len(report.notes)) == ([], 1)
    store.delete("README.md")
    assert problems(store) == "README.md, the card, is missing"


def test_a_claim_that_is_gone_is_told_in_one_line(store: Store) -> None:
    store.delete("build.json")
    with pytest.raises(BuildError, match=r"build\.json is missing"):
        verify(store)


def test_losses_that_the_rejects_do_not_have_are_found(store: Store) -> None:
    def blame_a_failure(marker: dict[str, Any]) -> None:
        for name in ("inputs", "records"):
            marker[name]["reasons"] = {f"failed/{why}": n for why, n in marker[name]["reasons"].items()}

    edit_json(store, MARKER, blame_a_failure)
    assert f"unit 0: {REJECTS} has the losses" in problems(store)


@pytest.mark.parametrize(
    "edit",
    [{"samples": "3"}, {"tallies": None}, {"tallies": {"n_boxes": "x"}}, {"shard": 5}],
)
def test_a_marker_that_holds_what_is_no_count_is_told_in_one_line(store: Store, edit: dict[str, Any]) -> None:
    edit_json(store, MARKER, lambda marker: marker.update(edit))
    assert "unit 0: marker not readable: " in problems(store)


def test_a_card_that_is_a_folder_is_noted(store: Store) -> None:
    store.delete("README.md")
    (store.root / "README.md").mkdir()
    assert len(verify(store).notes) == 1


def test_a_marker_whose_outcomes_do_not_add_up_is_found(store: Store) -> None:
    edit_json(store, MARKER, lambda marker: marker["inputs"].update(kept=2))
    assert "unit 0: outcomes do not add up" in problems(store)


def test_a_unit_of_another_size_than_claimed_is_found(store: Store) -> None:
    edit_json(store, "build.json", lambda claim: claim.update(unit_sizes=[[5, 1], [2, 2]]))
    assert "unit 0: 4 inputs have an outcome, but it has 5" in problems(store)


# ---- what is no dataset ----------------------------------------------------------------------------------------------


def test_what_is_not_there_or_not_finished_is_told_in_one_line(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no gristmill dataset"):
        verify(Store(tmp_path / "nowhere"))
    store.delete("manifest.json")
    with pytest.raises(UserError, match="the build has not finished"):
        verify(store)
