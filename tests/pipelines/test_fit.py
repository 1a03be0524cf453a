"""A DAG that ends in an artefact: drawn of what was kept, made once, whole or not at all, and checked like a shard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from builders.fit import Artefact, Drawn
from builders.shards.store import Store
from builders.shards.unit import Layout, Member
from builders.shards.verify import verify
from builders.step import Failed, Record, Rejected, Result
from pipelines.dag import Dag, Fitting, Stage
from schemas.errors import BuildError
from tests.pipelines.coco import Coco
from tests.pipelines.milling import mill
from tests.pipelines.toys import Numbers, Toy, number

pytestmark = pytest.mark.ray


@dataclass(frozen=True)
class Sum:
    """Draws every other record that was kept, and adds up the members that they are given."""

    reads: ClassVar = ("key", "n")
    same: ClassVar = "n"
    intended: ClassVar = "a sum of every other"

    def draw(self, index: pa.Table) -> Drawn:
        keys = tuple(index["key"].to_pylist()[::2][::-1])
        return Drawn(keys, f"sum: of {len(keys)}", {"of": index.num_rows}, ("few numbers",))

    def make(self, drawn: Drawn, members: Mapping[str, bytes]) -> Artefact:
        total = [int(members[key]) for key in drawn.keys]
        return Artefact({"sum/total.json": json.dumps(total).encode()}, f"added {len(total)}", drawn.facts)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return Coco(tmp_path).save()


def odd_is_unwanted(record: Record) -> Result:
    return Rejected("odd") if number(record) % 4 == 3 else {"n": number(record)}


def doubled(record: Record) -> Result:
    return {"n": number(record), "twice": b"%d" % (2 * number(record))}


def fitting(again: Any = doubled, gpus: float = 0) -> Dag:
    first = Stage("first", (Toy(odd_is_unwanted),), gpus=gpus)
    then = Stage("then", (Toy(again, name="double", adds={"n": pa.int64(), "twice": pa.large_binary()}),), gpus=gpus)
    return Dag("toys", Numbers((4, 4, 3)), (first,), Layout(()), fit=Fitting(Sum(), (then,), Member("twice", "txt")))


def test_an_artefact_is_made_of_what_was_drawn_and_stands_in_the_manifest(
    recipe: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = mill(recipe, out, dag=fitting())

    # k000 to k010 without k003 and k007, every other one, the last first
    assert json.loads((out / "fitted/sum/total.json").read_text()) == [20, 16, 10, 4, 0]
    assert [file["path"] for file in manifest["artefacts"]] == ["fitted/sum/total.json"]
    assert (manifest["fit"], manifest["shards"]) == ({"told": "added 5", "of": 9}, 0)
    assert manifest["funnel"]["inputs"]["kept"] == 9
    assert "few numbers\nsum: of 5\n" in capsys.readouterr().err
    assert not (out / "data").exists() and not list((out / "drawn").glob("*"))
    report = verify(Store(out))
    assert (report.problems, report.notes) == ([], [])


def test_a_stage_that_wants_a_gpu_where_there_is_none_is_told_once_before_its_units_run(
    recipe: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mill(recipe, out, dag=fitting(gpus=1))

    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("stage ")]
    assert lines == [f"stage {name}: tasks of 1 CPU (a GPU stage: there is none)" for name in ("first", "then")]
    assert said.index("stage first") < said.index("unit_committed")


def test_the_same_command_again_does_nothing_and_makes_a_lost_artefact_anew(recipe: Path, out: Path) -> None:
    first = mill(recipe, out, dag=fitting())
    assert mill(recipe, out, dag=fitting()) == first

    (out / "fitted/sum/total.json").unlink()
    assert any("is missing; the same build command" in line for line in verify(Store(out)).problems)
    again = mill(recipe, out, dag=fitting())

    assert (again["dataset_digest"], again["artefacts"]) == (first["dataset_digest"], first["artefacts"])
    assert verify(Store(out)).problems == []


def test_a_changed_artefact_is_told(recipe: Path, out: Path) -> None:
    mill(recipe, out, dag=fitting())
    (out / "fitted/sum/total.json").write_text("[20, 16, 10, 4, 1]")

    assert any("total.json has other bytes" in line for line in verify(Store(out)).problems)


def test_a_build_that_was_stopped_between_sample_and_artefact_goes_on_there(recipe: Path, out: Path) -> None:
    unharmed = mill(recipe, out.parent / "unharmed", dag=fitting())

    class Stopped(Sum):
        def make(self, drawn: Drawn, members: Mapping[str, bytes]) -> Artefact:
            raise KeyboardInterrupt

    dag = fitting()
    assert dag.fit is not None
    stopped = Dag("toys", dag.source, dag.stages, dag.layout, fit=Fitting(Stopped(), dag.fit.stages, dag.fit.member))
    with pytest.raises(KeyboardInterrupt):
        mill(recipe, out, dag=stopped)
    assert list((out / "drawn").glob("*/units/*.json")) and not (out / "manifest.json").exists()

    assert mill(recipe, out, dag=dag)["dataset_digest"] == unharmed["dataset_digest"]
    assert not (out / "drawn").exists()


def test_what_was_kept_and_cannot_be_had_again_stops_the_fit_and_is_named(recipe: Path, out: Path) -> None:
    def gone(record: Record) -> Result:
        return Failed("gone", "no file") if number(record) == 8 else doubled(record)

    with pytest.raises(BuildError, match=r"1 of 5 drawn ones .* k008 first \(failed/double/gone \(1\)\); run"):
        mill(recipe, out, "max_failed=0.5", dag=fitting(gone))

    assert mill(recipe, out, "max_failed=0.5", dag=fitting())["fit"]["of"] == 9


def test_what_has_changed_since_it_was_kept_stops_the_fit_and_the_source_as_it_was_goes_on(
    recipe: Path, out: Path
) -> None:
    def other(record: Record) -> Result:
        return {"n": 7, "twice": b"14"} if number(record) == 8 else doubled(record)

    with pytest.raises(BuildError, match=r"1 of 5 .* no longer what was kept, k008 first \(they have changed\)"):
        mill(recipe, out, dag=fitting(other))

    mill(recipe, out, dag=fitting())
    assert json.loads((out / "fitted/sum/total.json").read_text()) == [20, 16, 10, 4, 0]


def test_an_artefact_is_deleted_with_its_dataset_to_be_built_again(recipe: Path, out: Path) -> None:
    first = mill(recipe, out, dag=fitting())
    (out / "fitted/sum/other.json").write_text("{}")

    again = mill(recipe, out, dag=fitting(), overwrite=True)

    assert again["dataset_digest"] == first["dataset_digest"]
    assert [path.name for path in (out / "fitted/sum").iterdir()] == ["total.json"]
