"""From a recipe file and `--set` to a checked recipe; whatever is wrong is one line that says where, and the mend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.errors import UserError
from schemas.load import MAX_BYTES, load_recipe, parse_yaml
from schemas.recipe import GritRecipe

RECIPE = """\
kind: grit
source:
  images: photos
  captions: captions.json
  instances: instances.json
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A whole recipe, in a folder that is not the working directory."""
    (tmp_path / "recipes").mkdir()
    path = tmp_path / "recipes" / "mine.yaml"
    path.write_text(RECIPE)
    return path


def refused(path: Path, *sets: str) -> str:
    """The one line that the user reads."""
    with pytest.raises(UserError) as error:
        load_recipe(path, sets)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- a good one ------------------------------------------------------------------------------------------------------


def test_a_recipe_of_source_alone_has_every_default(recipe: Path) -> None:
    loaded = load_recipe(recipe)
    assert isinstance(loaded, GritRecipe)
    assert (loaded.seed, loaded.nms_iou, loaded.min_score, loaded.max_failed) == (0, 0.5, None, 0.05)
    assert (loaded.output.unit, loaded.tokens.lower_right, loaded.parser) == (1000, "transformers", None)


def test_a_recipe_is_named_after_its_file_unless_it_names_itself(recipe: Path) -> None:
    assert load_recipe(recipe).name == "mine"
    assert load_recipe(recipe, ["name=other"]).name == "other"


def test_every_recipe_that_gristmill_brings_is_good() -> None:
    folder = Path(__file__).resolve().parents[2] / "recipes"
    found = sorted(folder.rglob("*.yaml"))
    assert found
    coco = ["source.images", "source.captions", "source.instances"]
    units = ["source.path", "units.vocabulary"]
    missing = {"grit": coco, "llava": coco, "llava_template": coco, "speech_crossmodal": units, "speech_chain": units}
    for path in found:
        fields = [] if path.parent.name == "demo" else missing.get(path.stem, ["source.path"])
        assert load_recipe(path, [f"{name}=x" for name in fields]).kind in path.read_text()


# ---- --set -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("seed=7", 7),
        ("nms_iou=0.3", 0.3),
        ("nms_iou=1", 1.0),
        ("output.unit=16", 16),
        ("tokens.lower_right=unilm", "unilm"),
        ("abstract_nouns=[View, scene]", ["scene", "view"]),
        ("detector.synonyms={pickup: [truck]}", {"pickup": ["truck"]}),
        ("source.limit=5", 5),
        ("name=a=b", "a=b"),
        ("name='5'", "5"),
        (" seed = 3 ", 3),
    ],
)
def test_set_reads_values_as_the_recipe_would(recipe: Path, item: str, value: Any) -> None:
    found: Any = load_recipe(recipe, [item])
    for name in item.split("=")[0].strip().split("."):
        found = getattr(found, name)
    assert found == value and type(found) is type(value)


def test_the_last_set_of_a_field_wins(recipe: Path) -> None:
    assert load_recipe(recipe, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize("item", ["seed", "=5", " =5", ""])
def test_a_set_without_field_or_value_says_how_to_write_it(recipe: Path, item: str) -> None:
    assert "write it as field=value" in refused(recipe, item)


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("seed=many", "--set: seed is 'many': "),
        ("output.unit=0", "--set: output.unit is 0: "),
        ("output.unit=1.5", "--set: output.unit is 1.5: "),
        ("nms_iou=2", "--set: nms_iou is 2: "),
        ("nms_iou=.nan", "--set: nms_iou is nan: "),
        ("min_score=.inf", "--set: min_score is inf: "),
        ("seed=[1", "--set seed, line 1, column 3: "),
        ("seed.x=5", "--set"),
        ("tokens.lower_right=left", "--set: tokens.lower_right is 'left': "),
        ("kind=gritt", "kind is 'gritt', but must be one of: grit"),
        ("source.kind=tsv", "--set: source.kind is 'tsv', but must be one of: coco, csv, folder"),
        ("seed=*x", "aliases are not allowed"),
        ("seed=2020-13-45", "--set seed, line 1, column 1: not a value that YAML can hold: month must be in 1..12"),
    ],
)
def test_a_set_that_does_not_fit_names_its_field_and_what_is_wrong(recipe: Path, item: str, told: str) -> None:
    assert told in refused(recipe, item)


def test_a_field_inside_what_is_no_mapping_is_refused(recipe: Path) -> None:
    recipe.write_text(RECIPE + "seed: 3\n")
    assert refused(recipe, "seed.deep=5") == "--set seed.deep: seed holds 3, so it has no field deep"


# ---- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("recipe")
def test_paths_in_the_file_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = load_recipe("recipes/mine.yaml").source
    assert source.images == str(tmp_path / "recipes" / "photos")
    assert source.captions == str(tmp_path / "recipes" / "captions.json")


def test_paths_in_set_are_relative_to_the_working_directory(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = load_recipe(recipe, ["source.images=photos", "source.captions=../c.json"]).source
    assert source.images == str(tmp_path / "photos")
    assert source.captions == str(tmp_path.parent / "c.json")
    assert source.instances == str(tmp_path / "recipes" / "instances.json")


@pytest.mark.parametrize("path", ["/data/photos", "package://skimage/data", "file:///data", "s3://bucket/x"])
def test_an_absolute_path_or_a_uri_stays_as_it_is(recipe: Path, path: str) -> None:
    assert load_recipe(recipe, [f"source.images={path}"]).source.images == path
    recipe.write_text(RECIPE.replace("images: photos", f"images: {path}"))
    assert load_recipe(recipe).source.images == path


def test_a_path_from_home_is_expanded(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/miller")
    assert load_recipe(recipe, ["source.images=~/photos"]).source.images == "/home/miller/photos"


@pytest.mark.parametrize("name", ["2017", "2024-01-01", "yes", "a #b", "a: b", "@old", "[x]", "*", "1e3"])
def test_a_path_in_set_is_taken_as_it_is_written(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_recipe(recipe, [f"source.images={name}"]).source.images == str(tmp_path / name)


def test_a_parser_is_a_path_where_one_is_there_and_otherwise_a_packages_name(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_recipe(recipe, ["parser=en_core_web_sm"]).parser == "en_core_web_sm"
    assert load_recipe(recipe, ["parser=./mine"]).parser == str(tmp_path / "mine")
    (tmp_path / "theirs").mkdir()
    assert load_recipe(recipe, ["parser=theirs"]).parser == str(tmp_path / "theirs")
    (recipe.parent / "near").mkdir()
    recipe.write_text(RECIPE + "parser: near\n")
    assert load_recipe(recipe).parser == str(recipe.parent / "near")


# ---- what is missing or misspelt -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["images", "captions", "instances"])
@pytest.mark.parametrize("value", ["null", "", None])
def test_a_source_field_that_is_not_given_is_named_with_the_mend(recipe: Path, name: str, value: str | None) -> None:
    lines = [line for line in RECIPE.splitlines() if f"{name}:" not in line]
    if value is not None:
        lines.append(f"  {name}: {value}")
    recipe.write_text("\n".join(lines))
    told = f"{recipe}: source.{name} is not given; set it in the recipe or with --set source.{name}=…"
    assert refused(recipe) == told
    assert load_recipe(recipe, [f"source.{name}=/x"]).source


def test_a_recipe_without_source_says_so(recipe: Path) -> None:
    recipe.write_text("kind: grit\n")
    assert "source is not given" in refused(recipe)


@pytest.mark.parametrize(
    ("field", "near"),
    [
        ("sead", "seed"),
        ("max_fail", "max_failed"),
        ("abstract_noun", "abstract_nouns"),
        ("nms_IoU", "nms_iou"),
        ("detektor", "detector"),
    ],
)
def test_an_unknown_field_suggests_the_nearest(recipe: Path, field: str, near: str) -> None:
    recipe.write_text(RECIPE + f"{field}: 1\n")
    assert refused(recipe) == f"{recipe}: there is no field {field}; did you mean {near}?"


def test_an_unknown_field_that_is_like_none_is_told_with_all_there_are(recipe: Path) -> None:
    recipe.write_text(RECIPE + "zzz: 1\n")
    assert refused(recipe).startswith(
        f"{recipe}: there is no field zzz; the fields are name, seed, output, output.unit, "
    )


def test_an_unknown_field_deeper_down_suggests_the_nearest_too(recipe: Path) -> None:
    recipe.write_text(RECIPE + "output:\n  units: 5\n")
    assert refused(recipe) == f"{recipe}: there is no field output.units; did you mean output.unit?"


def test_a_misspelt_field_is_told_before_the_one_that_is_missing_for_it(recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("images:", "imagse:"))
    assert refused(recipe) == f"{recipe}: there is no field source.imagse; did you mean source.images?"


@pytest.mark.parametrize(("item", "field"), [("sorce.images=x", "sorce"), ("source.imges=x", "source.imges")])
def test_a_misspelt_set_is_told_as_a_set(recipe: Path, item: str, field: str) -> None:
    assert refused(recipe, item).startswith(f"--set: there is no field {field}; did you mean source")


@pytest.mark.parametrize("content", ["", "[]", "grit", "5", "- kind: grit"])
def test_what_is_no_mapping_is_no_recipe(recipe: Path, content: str) -> None:
    recipe.write_text(content)
    assert "a recipe is a mapping of fields" in refused(recipe)


@pytest.mark.parametrize("content", ["seed: 1", "kind: null", "kind: [grit]", "kind: Grit"])
def test_a_recipe_of_no_known_kind_is_told_the_kinds(recipe: Path, content: str) -> None:
    recipe.write_text(content)
    assert "but must be one of: grit" in refused(recipe)


@pytest.mark.parametrize("chosen", ["drawn", "3", "[coco]"])
@pytest.mark.parametrize(
    ("field", "known"),
    [
        ("source", "coco, csv, folder, jsonl, parquet, scenes, webdataset"),
        ("detector", "annotations, glip, http, zero_shot"),
    ],
    ids=["source", "detector"],
)
def test_a_part_of_no_known_kind_is_told_the_kinds(recipe: Path, field: str, known: str, chosen: str) -> None:
    data = yaml.safe_load(RECIPE)
    data.setdefault(field, {})["kind"] = yaml.safe_load(chosen)
    recipe.write_text(yaml.safe_dump(data))
    value = data[field]["kind"]
    told = f"{field}.kind is {value!r}, but must be one of: {known}"
    assert refused(recipe) == f"{recipe}: {told}"
    assert refused(recipe, "source.images=x") == f"{recipe}: {told}"  # the file is to blame, not the option
    recipe.write_text(RECIPE)
    assert refused(recipe, f"{field}.kind={chosen}") == f"--set: {told}"


# ---- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("kind: grit\nseed: [1,\n", "line 3, column 1"),
        ("kind: grit\n  seed: 1\n", "line 2, column 7"),
        ("kind: grit\n\tseed: 1\n", "line 2, column 1"),
        ("kind: 'grit\n", "line 2, column 1"),
        ("a: &x 1\nb: *x\n", "line 2, column 4"),
        ("kind: grit\nseed: 1\nseed: 2\n", "line 3, column 1"),
        ("kind: grit\noutput:\n  unit: 1\n  unit: 2\n", "line 4, column 3"),
        ("? [a, b]\n: 1\n", "line 1, column 3"),
        ("a: !!python/object/apply:os.system [ls]\n", "line 1, column 4"),
        ("<<: {a: 1}\n", "line 1, column 1"),
    ],
)
def test_malformed_yaml_names_line_and_column(recipe: Path, text: str, place: str) -> None:
    recipe.write_text(text)
    assert refused(recipe).startswith(f"{recipe}, {place}: ")


def test_what_is_refused_in_yaml_is_named(recipe: Path) -> None:
    recipe.write_text("a: &x 1\nb: *x\n")
    assert refused(recipe).endswith("aliases are not allowed in a recipe")
    recipe.write_text("seed: 1\nseed: 2\n")
    assert refused(recipe).endswith("the key 'seed' stands twice")


def test_a_bomb_of_aliases_is_refused_at_once(recipe: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    recipe.write_text("\n".join(lines))
    assert "aliases are not allowed" in refused(recipe)


@pytest.mark.slow
def test_yaml_nested_without_end_is_refused(recipe: Path) -> None:
    recipe.write_text("[" * 50_000)
    assert "nested too deeply" in refused(recipe)


def test_a_file_that_is_no_page_is_not_read(recipe: Path) -> None:
    recipe.write_text("# " + "x" * MAX_BYTES)
    assert f"larger than {MAX_BYTES:,} bytes" in refused(recipe)


def test_a_file_that_is_not_utf_8_names_the_byte(recipe: Path) -> None:
    recipe.write_bytes(b"kind: grit # \xff")
    assert refused(recipe) == f"{recipe}: not UTF-8 text at byte 13"


def test_a_file_that_is_not_there_or_a_folder_says_what_to_give(recipe: Path) -> None:
    assert "give the path of a recipe" in refused(recipe.with_name("none.yaml"))
    assert "give the path of a recipe" in refused(recipe.parent)


TAGS = st.sampled_from(["!!int x", "!!float x", "!!bool x", "!!timestamp x", "!!binary é", "2020-13-45", "9" * 5000])


@given(st.text(max_size=40) | st.text("ab:-[]{}&*!?|>'\"#,\n ", max_size=40) | TAGS)
@example("!!set {a}")
def test_whatever_the_text_yaml_is_a_value_or_one_line(text: str) -> None:
    try:
        parse_yaml(text, "x")
    except UserError as error:
        assert re.match(r"x(, line \d+, column \d+)?: ", str(error))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
FIELDS = ["kind", "name", "seed", "source", "parser", "abstract_nouns", "detector", "nms_iou", "tokens", "output"]


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), VALUES, max_size=4))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example({"\n": None})
def test_whatever_the_fields_a_recipe_is_good_or_one_line(recipe: Path, changes: dict[str, Any]) -> None:
    data = {**yaml.safe_load(RECIPE), **changes}
    recipe.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    try:
        assert isinstance(load_recipe(recipe), GritRecipe)
    except UserError as error:
        assert "\n" not in str(error)
