"""`--retry-failed`: which inputs run again, and what the dataset holds afterwards."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from builders.shards.store import Store
from builders.shards.unit import Layout, Member
from builders.shards.verify import verify
from builders.step import Child, Record, Rejected
from pipelines.dag import Dag, Stage
from tests.pipelines.coco import good_pairs
from tests.pipelines.milling import marker, mill, times
from tests.pipelines.toys import Grouped, Numbers, Toy, dag, number

pytestmark = pytest.mark.ray

FAILING = {1, 5}
"""Inputs that fail at first: 1 at the first step, and of 5 one child of two. The units: 0-3, 4-7, 8-11, 12-13."""


@dataclass(frozen=True)
class World:
    """What lies beside a build: which numbers fail now, and which keys were handed to which step."""

    folder: Path

    @property
    def recipe(self) -> Path:
        """Any recipe: these builds bring their own DAG."""
        path = self.folder / "coco/recipe.yaml"
        return path if path.exists() else good_pairs(self.folder / "coco", 1).save()

    def break_(self, numbers: set[int]) -> None:
        (self.folder / "broken").write_text(json.dumps(sorted(numbers)))

    def fails(self, record: Record) -> bool:
        return number(record) in json.loads((self.folder / "broken").read_text())

    def ran(self, step: str) -> Counter[str]:
        """How often each key was handed to a step since the last time that this was asked."""
        log = self.folder / step
        keys = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return Counter(keys)

    def note(self, step: str, record: Record) -> None:
        with (self.folder / step).open("a") as log:
            log.write(record["key"] + "\n")

    def dag(self) -> Dag:
        """Every third input is rejected at once, with its color known; of the others one of two children may be."""

        def fetch(record: Record) -> Any:
            self.note("fetch", record)
            if self.fails(record) and number(record) == 1:
                raise OSError("no answer")
            if number(record) % 3 == 0:
                return Rejected("third", record["key"], {"color": "grey"})
            return {"image": b"image of " + record["key"].encode() * 300, "color": "red"}

        def split(record: Record) -> Any:
            self.note("split", record)
            return [Child(suffix, {"n": number(record) + i}) for i, suffix in enumerate("ab")]

        def embed(record: Record) -> Any:
            self.note("embed", record)
            if self.fails(record) and (number(record) != 5 or record["key"].endswith("b")):
                raise OSError("no memory")
            if record["n"] % 4 == 0:
                return Rejected("fourth", known={"score": record["n"] / 7})
            return {"score": record["n"] / 7, "vector": [record["n"] / 3, 1.0]}

        vectors: dict[str, Any] = {"score": pa.float32(), "vector": pa.list_(pa.float16(), 2)}
        steps = (
            Toy(fetch, name="fetch", adds={"image": pa.large_binary(), "color": pa.string()}),
            Toy(split, name="split"),
            Toy(embed, name="embed", reads=("key", "n"), adds=vectors),
        )
        made = dag(Stage("first", steps[:2], batch=3), Stage("second", steps[2:]), source=Numbers((4, 4, 4, 2)))
        members = (Member("image", "bin"), Member("text", "txt"))
        return replace(made, layout=Layout(members, ("n",), ("vector",)))

    def mill(self, out: Path, *, retry_failed: bool = False, dag: Dag | None = None) -> dict[str, Any]:
        return mill(self.recipe, out, "max_failed=0.9", dag=dag or self.dag(), retry_failed=retry_failed)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.break_(FAILING)
    return made


def contents(out: Path) -> dict[str, Any]:
    """The bytes of every file of the dataset, but what the markers tell of time."""
    folders = ("data", "index", "rejects", "embeddings")
    found: dict[str, Any] = {
        path.relative_to(out).as_posix(): path.read_bytes() for folder in folders for path in (out / folder).iterdir()
    }
    timeless = {"seconds": {}, "committed": ""}
    return found | {f"unit {unit}": marker(out, unit) | timeless for unit in range(len(times(out)))}


def unharmed(world: World) -> dict[str, Any]:
    """What a build holds in which nothing ever failed."""
    world.break_(set())
    out = world.folder / "unharmed"
    world.mill(out)
    for step in ("fetch", "split", "embed"):
        world.ran(step)
    return contents(out)


def test_given_failed_records_when_retried_then_their_inputs_alone_run_again_and_the_bytes_are_as_if_nothing_had_failed(
    world: World, out: Path
) -> None:
    first = world.mill(out)
    assert first["funnel"]["inputs"]["reasons"]["failed/fetch/OSError"] == 1
    assert (marker(out, 1)["inputs"]["failed"], marker(out, 1)["records"]["failed"]) == (0, 1)
    expected, before = unharmed(world), times(out)

    again = world.mill(out, retry_failed=True)

    assert world.ran("fetch") == Counter(["k001", "k005"])
    assert world.ran("split") == Counter(["k001", "k005"])
    assert world.ran("embed") == Counter(["k001-a", "k001-b", "k005-a", "k005-b"])
    assert contents(out) == expected
    assert {name for name, when in times(out).items() if when != before[name]} == {"000000.json", "000001.json"}
    assert sorted(lost["unit"] for lost in again["exceptions"]) == [0, 1]
    assert again["funnel"]["records"]["failed"] == 0
    assert verify(Store(str(out))).problems == []


def test_given_records_that_fail_again_when_retried_twice_then_each_time_only_they_run(world: World, out: Path) -> None:
    world.mill(out)
    expected = unharmed(world)
    world.break_({5})
    world.mill(out, retry_failed=True)
    assert world.ran("fetch") == Counter(["k001", "k005"])
    assert world.mill(out, retry_failed=True)["funnel"]["records"]["failed"] == 1
    assert world.ran("fetch") == Counter(["k005"])

    world.break_(set())
    world.mill(out, retry_failed=True)

    assert world.ran("fetch") == Counter(["k005"])
    assert contents(out) == expected


def test_given_a_retry_that_was_killed_when_resumed_then_what_is_left_is_carried_unless_its_files_are_half_new(
    world: World, out: Path
) -> None:
    world.break_({1, 5, 10})
    world.mill(out)
    expected = unharmed(world)
    old = Path(shutil.copytree(out, world.folder / "old"))
    world.mill(out, retry_failed=True)
    world.ran("fetch")

    # As a kill leaves it: unit 0 is committed, unit 1 not begun, and of unit 2 the shard is new, the index is not.
    (out / "manifest.json").unlink()
    for name in ("data/000001.tar", *(f"{folder}/00000{u}.parquet" for folder in ("index", "rejects") for u in (1, 2))):
        shutil.copy(old / name, out / name)
    for unit in (1, 2):
        shutil.copy(old / f"embeddings/00000{unit}.parquet", out / "embeddings")
        (out / f"units/00000{unit}.json").unlink()
    before = times(out)

    world.mill(out)

    assert world.ran("fetch") == Counter(["k005", "k008", "k009", "k010", "k011"])
    assert times(out).items() >= before.items()
    assert contents(out) == expected


def test_given_a_unit_whose_source_files_changed_when_retried_then_all_of_it_runs_again(
    world: World, out: Path
) -> None:
    world.mill(out)
    expected = unharmed(world)
    made = world.dag()

    world.mill(out, retry_failed=True, dag=replace(made, source=replace(made.source, files=("new", "1", "2", "3"))))

    assert world.ran("fetch") == Counter(["k000", "k001", "k002", "k003", "k005"])
    assert {name for name, data in contents(out).items() if data != expected[name]} == {"unit 0"}


def test_given_a_pack_when_retried_then_the_whole_unit_runs_again(world: World, out: Path) -> None:
    made = world.dag()
    layout = Layout((Member("joined", "txt"),))
    packed = replace(made, layout=layout, pack=Grouped(lambda n: [tuple(range(n))]))
    world.mill(out, dag=packed)
    world.break_(set())
    world.ran("fetch")

    world.mill(out, retry_failed=True, dag=packed)

    assert world.ran("fetch") == Counter(["k000", "k001", "k002", "k003", "k004", "k005", "k006", "k007"])
    assert verify(Store(str(out))).problems == []
