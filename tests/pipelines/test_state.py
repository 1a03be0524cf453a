"""What may change between two runs of one build, and what may not. No Ray."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.shards import finish
from builders.shards.store import Store
from builders.step import Child, Record
from pipelines.dag import Dag, Stage
from pipelines.kinds import make_dag
from pipelines.state import State, look, make_claim, prepare
from schemas.errors import BuildError, UserError
from schemas.load import load_recipe
from tests.pipelines.coco import Coco, good_pairs
from tests.pipelines.milling import commit_by_hand, times
from tests.pipelines.toys import INT, Numbers, Toy, dag, number


@pytest.fixture
def coco(tmp_path: Path) -> Coco:
    return good_pairs(tmp_path / "coco", 6)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "out"))


def begin(recipe: Path, store: Store, *sets: str, **options: Any) -> State:
    checked = load_recipe(recipe, sets)
    whole = make_dag(checked)
    return prepare(
        store,
        make_claim(checked, whole),
        whole.source,
        **{"overwrite": False, "retry_failed": False, **options},
    )


# -- content


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("seed=7", "recipe.seed: 0 -> 7"),
        ("output.unit=3", "recipe.output.unit: 4 -> 3"),
        ("min_score=0.7", "recipe.min_score: null -> 0.7"),
        ("abstract_nouns=[joy]", 'recipe.abstract_nouns: [] -> ["joy"]'),
        ("tokens.lower_right=unilm", 'recipe.tokens.lower_right: "transformers" -> "unilm"'),
        ("source.limit=2", "recipe.source.limit: null -> 2"),
    ],
)
def test_given_another_content_field_then_it_is_refused_and_the_field_is_named_with_both_values(
    coco: Coco, store: Store, change: str, told: str
) -> None:
    begin(coco.save(), store)

    with pytest.raises(UserError) as refused:
        begin(coco.save(), store, change)

    line = str(refused.value)
    assert told in line
    assert "--overwrite" in line
    assert "\n" not in line
    assert line.count("->") == 1, "nothing else differs"


def test_given_several_differences_then_each_is_named(coco: Coco, store: Store) -> None:
    begin(coco.save(), store)

    with pytest.raises(UserError, match=r"recipe\.nms_iou: 0\.5 -> 0\.1; recipe\.seed: 0 -> 1"):
        begin(coco.save(), store, "seed=1", "nms_iou=0.1")


def test_given_other_captions_under_the_same_path_then_their_digest_gives_them_away(coco: Coco, store: Store) -> None:
    begin(coco.save(), store)
    coco.caption(1, "One more.")

    with pytest.raises(UserError, match=r"inputs\.source\.captions: "):
        begin(coco.save(), store)


@pytest.mark.slow
def test_given_another_parser_then_the_models_digest_gives_it_away(coco: Coco, store: Store, tmp_path: Path) -> None:
    checked = load_recipe(coco.save())
    whole = make_dag(checked)
    assert whole.models is not None
    other = shutil.copytree(whole.models["parser"], tmp_path / "parser")
    (other / "note.txt").write_text("trained otherwise")
    begin(coco.save(), store)

    with pytest.raises(UserError, match=r"models\.parser: "):
        begin(coco.save(), store, f"parser={other}")


def test_given_another_version_of_what_decides_bytes_then_it_is_refused(
    coco: Coco, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(coco.save(), store)
    monkeypatch.setattr(finish.importlib.metadata, "version", lambda name: "999")  # type: ignore[attr-defined]

    with pytest.raises(UserError, match=r'versions\.spacy: "[\d.]+" -> "999"'):
        begin(coco.save(), store)


# -- running


@pytest.mark.parametrize("change", ["max_failed=0.9", "name=other"])
def test_given_another_running_field_then_the_build_goes_on(coco: Coco, store: Store, change: str) -> None:
    first = begin(coco.save(), store)

    assert begin(coco.save(), store, change).claim == first.claim


def test_given_equal_content_under_other_paths_then_the_build_goes_on(coco: Coco, store: Store, tmp_path: Path) -> None:
    first = begin(coco.save(), store)
    shutil.move(tmp_path / "coco", tmp_path / "moved")

    assert begin(tmp_path / "moved/recipe.yaml", store).claim == first.claim


def test_given_the_same_parser_in_another_folder_then_the_build_goes_on(
    coco: Coco, store: Store, tmp_path: Path
) -> None:
    first = begin(coco.save(), store)
    models = make_dag(load_recipe(coco.save())).models
    assert models is not None
    copy = shutil.copytree(models["parser"], tmp_path / "parser")

    assert begin(coco.save(), store, f"parser={copy}").claim == first.claim


# -- units


def fails_on_five(record: Any) -> Any:
    if number(record) == 5:
        raise ValueError("five")
    return {"n": 0}


@pytest.fixture
def whole() -> Dag:
    return dag(Stage("all", (Toy(fails_on_five),)), source=Numbers((4, 4, 3)))


def test_given_nothing_yet_then_looking_writes_nothing_and_preparing_claims_the_output(
    coco: Coco, store: Store, whole: Dag
) -> None:
    claim = make_claim(load_recipe(coco.save()), whole)

    assert look(store, claim, whole.source).left == [0, 1, 2]
    assert not store.root.exists()

    prepare(store, claim, whole.source, overwrite=False, retry_failed=False)
    assert look(store, claim, whole.source).claimed


def test_given_committed_units_then_those_without_marker_are_left_whatever_else_lies_there(
    coco: Coco, store: Store, whole: Dag
) -> None:
    recipe = load_recipe(coco.save())
    commit_by_hand(recipe, whole, store.root, [0, 2])
    (store.root / "data/000001.tar").write_bytes(b"a shard whose marker was never written")

    state = look(store, make_claim(recipe, whole), whole.source)

    assert state.left == [1]
    assert (state.inputs, state.funnel.total) == (11, 7)


def test_given_failed_records_when_retried_then_their_units_are_taken_back_and_the_old_markers_are_kept(
    coco: Coco, store: Store, whole: Dag
) -> None:
    recipe = load_recipe(coco.save())
    commit_by_hand(recipe, whole, store.root, [0, 1, 2])
    old, before = (store.root / "units/000001.json").read_bytes(), times(store.root)

    state = prepare(store, make_claim(recipe, whole), whole.source, overwrite=False, retry_failed=True)

    assert state.left == [1]
    assert sorted(times(store.root)) == ["000000.json", "000002.json"]
    assert times(store.root).items() <= before.items()
    assert [path.read_bytes() for path in (store.root / "retired").iterdir()] == [old]


def test_given_a_failed_child_of_an_input_that_is_kept_when_retried_then_its_unit_is_taken_back_too(
    coco: Coco, store: Store, whole: Dag
) -> None:
    def split(record: Record) -> list[Child]:
        return [Child(suffix, {"n": number(record)}) for suffix in "ab"]

    def check(record: Record) -> Record:
        if record["key"] == "k009-b":
            raise ValueError("the second child")
        return {"m": 0}

    steps = (Toy(split, name="split"), Toy(check, name="check", adds={"m": INT["n"]}))
    split_up, recipe = replace(whole, stages=(Stage("all", steps),)), load_recipe(coco.save())
    commit_by_hand(recipe, split_up, store.root, [0, 1, 2])

    state = prepare(store, make_claim(recipe, split_up), whole.source, overwrite=False, retry_failed=True)

    assert state.left == [2]


def test_given_a_retry_that_was_killed_before_it_built_then_the_next_run_still_builds_its_units(
    coco: Coco, store: Store, whole: Dag
) -> None:
    recipe = load_recipe(coco.save())
    commit_by_hand(recipe, whole, store.root, [0, 1, 2])
    prepare(store, make_claim(recipe, whole), whole.source, overwrite=False, retry_failed=True)

    state = prepare(store, make_claim(recipe, whole), whole.source, overwrite=False, retry_failed=False)

    assert state.left == [1]


def test_given_overwrite_then_the_datasets_own_files_go_and_nothing_else(coco: Coco, store: Store, whole: Dag) -> None:
    recipe = load_recipe(coco.save())
    commit_by_hand(recipe, whole, store.root, [0, 1])
    (store.root / "notes.txt").write_text("mine")

    state = prepare(store, make_claim(recipe, whole), whole.source, overwrite=True, retry_failed=False)

    assert state.left == [0, 1, 2]
    files = sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())
    assert files == ["build.json", "notes.txt"]


def test_given_overwrite_in_a_folder_that_is_no_dataset_then_it_is_refused(coco: Coco, store: Store) -> None:
    store.root.mkdir()
    (store.root / "notes.txt").write_text("mine")

    with pytest.raises(UserError, match="not empty"):
        begin(coco.save(), store, overwrite=True)
    assert (store.root / "notes.txt").exists()


# -- files that changed


@pytest.fixture
def replaced(whole: Dag) -> Dag:
    """The same source, after the files of units 1 and 2 were replaced."""
    assert isinstance(whole.source, Numbers)
    return replace(whole, source=replace(whole.source, files=("0", "new", "new")))


def test_given_files_that_changed_under_committed_units_then_it_is_refused_and_the_units_are_counted(
    coco: Coco, store: Store, whole: Dag, replaced: Dag
) -> None:
    recipe = load_recipe(coco.save())
    commit_by_hand(recipe, whole, store.root, [0, 1, 2])

    told = r"files have changed .* since 2 units, the first 1, were built; --overwrite"
    with pytest.raises(UserError, match=told):
        prepare(store, make_claim(recipe, replaced), replaced.source, overwrite=False, retry_failed=False)
    with pytest.raises(UserError, match="since unit 2 was built"):  # unit 1 holds a failed record, unit 2 does not
        prepare(store, make_claim(recipe, replaced), replaced.source, overwrite=False, retry_failed=True)
    assert sorted(times(store.root)) == ["000000.json", "000001.json", "000002.json"], "nothing was taken back"


def test_given_files_mended_where_records_failed_then_a_retry_takes_them(
    coco: Coco, store: Store, whole: Dag, replaced: Dag
) -> None:
    recipe = load_recipe(coco.save())
    commit_by_hand(recipe, whole, store.root, [0, 1])
    claim, now = make_claim(recipe, replaced), replaced.source

    with pytest.raises(UserError, match="--retry-failed builds them again"):
        prepare(store, claim, now, overwrite=False, retry_failed=False)
    assert prepare(store, claim, now, overwrite=False, retry_failed=True).left == [1, 2]


def test_given_files_that_changed_before_their_unit_was_built_then_the_build_goes_on(
    coco: Coco, store: Store, whole: Dag, replaced: Dag
) -> None:
    recipe = load_recipe(coco.save())
    commit_by_hand(recipe, whole, store.root, [0])

    state = prepare(store, make_claim(recipe, replaced), replaced.source, overwrite=False, retry_failed=False)

    assert state.left == [1, 2]


# -- damage


def test_given_a_dataset_of_another_format_then_it_is_refused(coco: Coco, store: Store) -> None:
    begin(coco.save(), store)
    claim = json.loads((store.root / "build.json").read_text())
    (store.root / "build.json").write_text(json.dumps({**claim, "format": 99}))

    with pytest.raises(UserError, match="format 99"):
        begin(coco.save(), store)


@pytest.mark.parametrize("text", ["", "{}", '{"unit": 0}', "[1]"])
def test_given_a_marker_that_cannot_be_read_then_one_line_names_the_file(
    coco: Coco, store: Store, whole: Dag, text: str
) -> None:
    recipe = load_recipe(coco.save())
    commit_by_hand(recipe, whole, store.root, [0])
    (store.root / "units/000000.json").write_text(text)

    with pytest.raises(BuildError, match=r"units/000000\.json"):
        look(store, make_claim(recipe, whole), whole.source)


def test_given_a_stray_file_among_the_markers_then_it_is_no_unit(coco: Coco, store: Store, whole: Dag) -> None:
    recipe = load_recipe(coco.save())
    commit_by_hand(recipe, whole, store.root, [0])
    (store.root / "units/notes.json").write_text("{}")
    (store.root / "units/.DS_Store").write_text("")

    assert look(store, make_claim(recipe, whole), whole.source).left == [1, 2]


# -- another cut


def test_given_a_photo_so_much_larger_that_units_are_cut_elsewhere_then_those_of_the_first_run_still_count(
    coco: Coco, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin(coco.save(), store)
    monkeypatch.setattr("builders.sources.cut.UNIT_BYTES", 1)

    again = begin(coco.save(), store)

    assert again.claim.unit_sizes == first.claim.unit_sizes
    checked = load_recipe(coco.save())
    assert len(make_dag(checked).source.unit_sizes) > len(first.claim.unit_sizes)
