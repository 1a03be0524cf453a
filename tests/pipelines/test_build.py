"""A build from photos on disk to a dataset on disk, on Ray."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from builders.shards.query import query
from builders.shards.store import Store
from builders.shards.verify import verify
from builders.step import Child, Record, Rejected
from pipelines.dag import Stage
from schemas.errors import BuildError, UserError
from tests.pipelines.coco import Coco, good_pairs
from tests.pipelines.milling import data_files, marker, mill, table, times
from tests.pipelines.toys import Grouped, Numbers, Toy, dag, number

pytestmark = pytest.mark.ray


# -- a good build


def test_given_good_pairs_when_built_then_every_one_is_a_sample_and_the_dataset_verifies(
    tmp_path: Path, out: Path
) -> None:
    coco = Coco(tmp_path)
    keys = [coco.pair() for _ in range(10)]

    manifest = mill(coco.save(), out)

    assert [key for (key,) in table(out, "index", "key")] == keys
    assert manifest["funnel"]["inputs"] == {"total": 10, "kept": 10, "rejected": 0, "failed": 0, "reasons": {}}
    assert (manifest["units"], manifest["shards"], manifest["samples"]) == (3, 3, 10)
    assert json.loads((out / "manifest.json").read_text()) == manifest
    report = verify(Store(str(out)))
    assert (report.problems, report.notes, report.samples) == ([], [], 10)
    assert report.digest == manifest["dataset_digest"]


def test_given_a_dataset_when_asked_in_sql_then_samples_rejects_and_units_answer(tmp_path: Path, out: Path) -> None:
    coco = good_pairs(tmp_path, 5)
    lost = coco.caption(1, "   ")
    mill(coco.save(), out)

    assert "5" in query(Store(str(out)), "select count(*) from samples where n_boxes >= 2")
    assert lost in query(Store(str(out)), "select key from rejects where reason = 'empty_caption'")
    assert "6" in query(Store(str(out)), "select sum(inputs.total) from units")


def test_given_the_source_bytes_of_a_photo_then_the_shard_holds_them_untouched_where_the_index_says(
    tmp_path: Path, out: Path
) -> None:
    coco = good_pairs(tmp_path, 3)
    mill(coco.save(), out)

    found = {}
    for file, shard, members in table(out, "index", "image_file", "shard", "members"):
        place = next(member for member in members if member["name"].endswith(".jpg"))
        found[file] = (out / shard).read_bytes()[place["offset"] : place["offset"] + place["size"]]
    assert found == coco.files


def test_given_one_recipe_when_built_twice_then_shards_index_and_rejects_are_equal_bytes(tmp_path: Path) -> None:
    coco = good_pairs(tmp_path, 9)
    coco.caption(2, "")
    coco.caption(3, "Nothing that the boxes show.")
    recipe = coco.save()

    first, second = (mill(recipe, tmp_path / name) for name in ("first", "second"))

    files = data_files(tmp_path / "first")
    assert {path.split("/")[0] for path in files} == {"data", "index", "rejects"}
    assert data_files(tmp_path / "second") == files
    assert first["dataset_digest"] == second["dataset_digest"]


def test_given_a_unit_that_keeps_nothing_then_it_is_committed_without_a_tar(tmp_path: Path, out: Path) -> None:
    coco = good_pairs(tmp_path, 4)
    for _ in range(4):
        coco.caption(4, "")
    coco.captions.sort(key=lambda item: item["id"])

    manifest = mill(coco.save(), out)

    assert [path.name for path in sorted((out / "data").iterdir())] == ["000000.tar"]
    assert marker(out, 1)["shard"] is None
    assert marker(out, 1)["inputs"]["rejected"] == 4
    assert manifest["shards"] == 1
    assert verify(Store(str(out))).problems == []


# -- run again


def test_given_a_finished_dataset_when_built_again_then_nothing_is_built_and_nothing_changes(
    tmp_path: Path, out: Path
) -> None:
    recipe = good_pairs(tmp_path, 6).save()
    first = mill(recipe, out)
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*")}

    assert mill(recipe, out) == first
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == before


def test_given_a_dataset_that_lost_a_unit_when_built_again_then_only_that_unit_is_built(
    tmp_path: Path, out: Path
) -> None:
    recipe = good_pairs(tmp_path, 12).save()
    first, files, before = mill(recipe, out), data_files(out), times(out)
    for path in ("units/000001.json", "data/000001.tar", "manifest.json"):
        (out / path).unlink()

    again = mill(recipe, out)

    changed = {name for name, when in times(out).items() if when != before[name]}
    assert changed == {"000001.json"}
    assert data_files(out) == files
    assert again["dataset_digest"] == first["dataset_digest"]
    assert again["times"]["units_built"] == 1


def test_given_a_limit_then_only_the_first_inputs_are_taken_and_it_counts_as_content(tmp_path: Path, out: Path) -> None:
    recipe = good_pairs(tmp_path, 9).save()

    manifest = mill(recipe, out, "source.limit=5")

    assert (manifest["funnel"]["inputs"]["total"], manifest["units"]) == (5, 2)
    with pytest.raises(UserError, match=r"recipe\.source\.limit: 5 -> null"):
        mill(recipe, out)


def test_given_other_content_when_built_over_a_dataset_then_it_is_refused_unless_overwritten(
    tmp_path: Path, out: Path
) -> None:
    recipe = good_pairs(tmp_path, 6).save()
    mill(recipe, out)
    (out / "mine.txt").write_text("not of the dataset")
    files = data_files(out)

    with pytest.raises(UserError, match=r"recipe\.output\.unit: 4 -> 2.*--overwrite"):
        mill(recipe, out, "output.unit=2")
    assert data_files(out) == files

    manifest = mill(recipe, out, "output.unit=2", overwrite=True)
    assert manifest["units"] == 3
    assert (out / "mine.txt").exists()
    assert verify(Store(str(out))).problems == []


def test_given_a_folder_that_is_no_dataset_then_neither_build_nor_overwrite_touches_it(
    tmp_path: Path, out: Path
) -> None:
    recipe = good_pairs(tmp_path, 2).save()
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")

    for overwrite in (False, True):
        with pytest.raises(UserError, match=f"{out}.*not empty.*no gristmill dataset"):
            mill(recipe, out, overwrite=overwrite)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


# -- failed records


def with_missing_files(folder: Path) -> tuple[Coco, list[str]]:
    """16 good pairs in 4 units; the photos of two, in units 1 and 3, are not there yet."""
    coco = good_pairs(folder, 16)
    missing = ["000006.jpg", "000016.jpg"]
    coco.save()
    for name in missing:
        (folder / "photos" / name).unlink()
    return coco, missing


def test_given_photos_that_appear_later_when_failed_ones_are_retried_then_exactly_their_units_are_rewritten(
    tmp_path: Path, out: Path
) -> None:
    coco, missing = with_missing_files(tmp_path)
    recipe = tmp_path / "recipe.yaml"
    first = mill(recipe, out, "max_failed=0.5")
    files, before = data_files(out), times(out)
    old = {unit: marker(out, unit)["shard"]["sha256"] for unit in (1, 3)}
    assert first["funnel"]["inputs"]["reasons"] == {"failed/read_image/FileNotFoundError": 2}
    assert first["exceptions"] == []

    assert mill(recipe, out, "max_failed=0.5")["samples"] == 14, "a plain rerun retries nothing"
    coco.save()
    again = mill(recipe, out, "max_failed=0.5", retry_failed=True)

    assert again["funnel"]["inputs"] == {"total": 16, "kept": 16, "rejected": 0, "failed": 0, "reasons": {}}
    assert {name for name, when in times(out).items() if when != before[name]} == {"000001.json", "000003.json"}
    changed = {path for path, digest in data_files(out).items() if digest != files[path]}
    assert {path.split("/")[1].split(".")[0] for path in changed} == {"000001", "000003"}
    assert {(e["unit"], e["old_shard"]) for e in again["exceptions"]} == set(old.items())
    assert again["dataset_digest"] != first["dataset_digest"]
    assert verify(Store(str(out))).problems == []

    fresh = mill(recipe, tmp_path / "fresh")
    assert again["dataset_digest"] == fresh["dataset_digest"]
    assert len(missing) == first["funnel"]["inputs"]["failed"]


def test_given_no_failed_record_when_retried_then_nothing_is_built(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = good_pairs(tmp_path, 4).save()
    first, before = mill(recipe, out), times(out)

    assert mill(recipe, out, retry_failed=True) == first
    assert "nothing to do, all 1 units are committed" in capsys.readouterr().err
    assert times(out) == before


def test_given_another_name_when_nothing_is_left_then_the_manifest_takes_it(tmp_path: Path, out: Path) -> None:
    recipe = good_pairs(tmp_path, 4).save()
    first = mill(recipe, out)

    assert mill(recipe, out, "name=other") | {"times": {}} == first | {"times": {}, "name": "other"} | {
        "recipe": {**first["recipe"], "name": "other"}
    }


def test_given_more_failures_than_allowed_then_the_build_stops_with_the_commonest_and_raising_the_limit_finishes(
    tmp_path: Path, out: Path
) -> None:
    with_missing_files(tmp_path)
    recipe = tmp_path / "recipe.yaml"

    with pytest.raises(BuildError) as stopped:
        mill(recipe, out, "max_failed=0.05")

    told = str(stopped.value)
    assert "read_image/FileNotFoundError" in told
    assert "max_failed is 5.0%" in told
    assert "--retry-failed" in told
    assert "\n" not in told
    assert not (out / "manifest.json").exists()
    with pytest.raises(UserError, match="has not finished"):
        verify(Store(str(out)))
    before = times(out)

    manifest = mill(recipe, out, "max_failed=0.5")

    assert manifest["funnel"]["inputs"]["failed"] == 2
    assert times(out).items() >= before.items()
    assert verify(Store(str(out))).problems == []


def test_given_failures_on_the_limit_exactly_then_the_build_ends_well(tmp_path: Path, out: Path) -> None:
    with_missing_files(tmp_path)

    assert mill(tmp_path / "recipe.yaml", out, "max_failed=0.125")["funnel"]["inputs"]["failed"] == 2


# -- DAGs of other shapes


def plain_recipe(folder: Path) -> Path:
    """Any recipe: these builds bring their own DAG."""
    return good_pairs(folder, 1).save()


def test_given_a_fan_out_and_losses_then_both_funnels_add_up_in_every_marker_and_in_the_manifest(
    tmp_path: Path, out: Path
) -> None:
    def split(record: Record) -> Any:
        if number(record) == 5:
            return Rejected("five")
        if number(record) == 6:
            raise ValueError("six")
        return [Child(suffix, {"n": i}) for i, suffix in enumerate("ab")]

    def picky(record: Record) -> Any:
        return Rejected("second", record["key"]) if record["n"] and number(record) < 4 else {"m": record["n"]}

    steps = (Toy(split, name="split"), Toy(picky, name="picky", reads=("key", "n"), adds={"m": pa.int64()}))

    manifest = mill(plain_recipe(tmp_path), out, "max_failed=0.1", dag=dag(Stage("all", steps, batch=3)))

    assert manifest["funnel"]["inputs"] == {
        "total": 11,
        "kept": 9,
        "rejected": 1,
        "failed": 1,
        "reasons": {"failed/split/ValueError": 1, "rejected/split/five": 1},
    }
    records = manifest["funnel"]["records"]
    assert (records["total"], records["kept"], records["rejected"], records["failed"]) == (20, 14, 5, 1)
    for unit in range(3):
        told = marker(out, unit)["records"]
        assert told["total"] == told["kept"] + told["rejected"] + told["failed"]
    assert ("k000-a", "k000") in table(out, "index", "key", "parent")
    assert ("k000-b", "k000", "second", "k000-b") in table(out, "rejects", "key", "parent", "reason", "detail")
    assert verify(Store(str(out))).problems == []


def test_given_a_pack_then_a_sample_lists_the_records_that_it_was_made_of(tmp_path: Path, out: Path) -> None:
    from builders.shards.unit import Member

    packed = dag(pack=Grouped(lambda n: [tuple(range(n))]), members=(Member("joined", "txt"),))

    manifest = mill(plain_recipe(tmp_path), out, dag=packed)

    assert manifest["samples"] == 3
    assert manifest["funnel"]["inputs"]["kept"] == 11
    assert ("k008", ["k008", "k009", "k010"]) in table(out, "index", "key", "parents")
    assert verify(Store(str(out))).problems == []


def test_given_a_step_with_a_bug_then_the_build_stops_with_one_line_that_names_it(tmp_path: Path, out: Path) -> None:
    crooked = Toy(lambda record: {"other": 1}, name="crooked")

    with pytest.raises(BuildError) as stopped:
        mill(plain_recipe(tmp_path), out, dag=dag(Stage("all", (crooked,))))

    assert str(stopped.value) == "step 'crooked' returned columns ['other'], but adds ['n']"
    assert not (out / "manifest.json").exists()


def test_given_a_pack_that_loses_a_record_then_the_build_stops_with_one_line(tmp_path: Path, out: Path) -> None:
    with pytest.raises(BuildError, match="'grouped' placed 1 of [34] records"):
        mill(plain_recipe(tmp_path), out, dag=dag(pack=Grouped(lambda n: [(0,)])))


def test_given_a_step_that_cannot_start_then_the_build_stops_with_one_line(tmp_path: Path, out: Path) -> None:
    class NoModel(Toy):
        def setup(self, services: Any) -> None:
            raise FileNotFoundError("weights.bin")

    with pytest.raises(BuildError, match="'toy' could not start: FileNotFoundError: weights.bin"):
        mill(plain_recipe(tmp_path), out, dag=dag(Stage("all", (NoModel(lambda record: {"n": 0}),))))


@pytest.mark.parametrize(("start", "count"), [(4, 3), (4, 5), (8, 0)])
def test_given_a_source_that_lies_about_its_units_then_nothing_of_them_is_committed(
    tmp_path: Path, out: Path, start: int, count: int
) -> None:
    liar = Numbers((4, 4, 3), given={start: count})

    with pytest.raises(BuildError, match=f"unit {start // 4}.*{count} of {4 if start == 4 else 3} inputs"):
        mill(plain_recipe(tmp_path), out, dag=dag(source=liar))

    assert f"{start // 4:06d}.json" not in times(out)


def test_given_a_stage_that_loses_rows_then_the_sink_refuses_the_unit(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sink does not trust the stages: here one is swapped for a thief between the read and the write."""
    from pipelines import wave

    def thief(block: pa.Table, handle: Any, index: int) -> pa.Table:
        return block.slice(1)

    monkeypatch.setattr(wave, "run_stage", thief)

    with pytest.raises(BuildError, match=r"arrived with [32] of its [43] inputs \(missing rows \[0\]"):
        mill(plain_recipe(tmp_path), out, dag=dag(Stage("all", (Toy(lambda record: {"n": 0}),))))

    assert times(out) == {}


def test_given_two_builds_in_one_session_then_the_second_does_not_use_the_steps_of_the_first(tmp_path: Path) -> None:
    recipe = plain_recipe(tmp_path)
    for value in (1, 2):
        step = Toy(lambda record, value=value: {"n": value})  # type: ignore[misc]
        mill(recipe, tmp_path / str(value), dag=dag(Stage("all", (step,))))

    assert set(table(tmp_path / "1", "index", "n")) == {(1,)}
    assert set(table(tmp_path / "2", "index", "n")) == {(2,)}


def test_given_an_output_that_is_a_file_then_one_line_says_so(tmp_path: Path, out: Path) -> None:
    out.write_text("a file")

    with pytest.raises(UserError, match=f"{out}: is a file; give a folder"):
        mill(plain_recipe(tmp_path), out)


def test_given_the_same_content_in_another_place_then_the_build_goes_on(tmp_path: Path, out: Path) -> None:
    recipe = good_pairs(tmp_path / "here", 6).save()
    first = mill(recipe, out)
    shutil.move(tmp_path / "here", tmp_path / "there")
    (out / "manifest.json").unlink()
    (out / "units/000001.json").unlink()

    again = mill(tmp_path / "there/recipe.yaml", out)

    assert again["dataset_digest"] == first["dataset_digest"]
