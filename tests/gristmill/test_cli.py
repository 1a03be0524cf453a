"""The command as its user meets it: what it prints, and the exit code: 0 good, 1 the build or check failed, 2 misused.

Most tests call the command's own entry in this process; those that ask whether it is one program start it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gristmill
from tests.gristmill.running import Cli, assert_one_line

ROOT = Path(__file__).resolve().parents[2]

# -- one program


def started(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.slow
def test_the_installed_command_and_the_two_modules_are_one_program(recipe: Path) -> None:
    script = Path(sys.executable).with_name("gristmill")
    ways = ([script], [sys.executable, "-m", "gristmill"], [sys.executable, "-m", "pipelines"])

    plans = [started(*way, "plan", recipe) for way in ways]
    wrong = [started(*way, "plan", recipe, "--set", "sed=1") for way in ways]

    assert {plan.returncode for plan in plans} == {0}
    assert len({plan.stdout for plan in plans}) == 1
    assert "units: 2 in all" in plans[0].stdout
    assert {said.returncode for said in wrong} == {2}
    assert {said.stderr for said in wrong} == {"gristmill: --set: there is no field sed; did you mean seed?\n"}


def test_the_command_tells_its_version(cli: Cli) -> None:
    said = cli("--version")

    assert (said.code, said.out) == (0, f"gristmill {gristmill.__version__}\n")


def test_help_names_every_command(cli: Cli) -> None:
    said = cli("--help")

    assert said.code == 0
    for command in ("plan", "build", "submit", "verify", "query", "show"):
        assert re.search(rf"^\W*{command}\b", said.out, re.MULTILINE), command


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "module"),  # where pipelines/ is run as a module, typer is there: only the front door looks for it
    [(name, module) for name in ("ray", "spacy") for module in ("gristmill", "pipelines")] + [("typer", "gristmill")],
)
def test_given_no_packages_for_building_then_it_says_how_to_get_them(
    recipe: Path, tmp_path: Path, missing: str, module: str
) -> None:
    """As after a plain `pip install gristmill`: here a module that cannot be imported stands before the real one."""
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError(name={missing!r})")

    said = subprocess.run(
        [sys.executable, "-m", module, "build", str(recipe), "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert said.returncode == 2
    assert said.stderr == f"gristmill: {missing} is not installed; pip install 'gristmill[build]'\n"
    assert not (tmp_path / "out").exists()


# -- misused: exit 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("mill",), ("build",), ("build", "recipe.yaml"), ("plan", "recipe.yaml", "--frobnicate"), ("query", "somewhere")],
)
def test_given_a_command_that_is_not_one_then_exit_2_and_no_traceback(cli: Cli, arguments: tuple[str, ...]) -> None:
    said = cli(*arguments)

    assert said.code == 2
    assert said.err
    assert "Traceback" not in said.err


def test_given_a_limit_that_is_no_count_then_exit_2(cli: Cli, recipe: Path) -> None:
    assert cli("plan", recipe, "--limit", "0").code == 2
    assert cli("plan", recipe, "--limit", "some").code == 2


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("kind: grit\nsorce: {}\n", ["sorce", "did you mean source?"]),
        ("kind: grit\nsource:\n  kind: coco\n  imagse: here\n", ["source.imagse", "did you mean source.images?"]),
        ("kind: grit\nsource: [\n", ["recipe.yaml, line 3, column 1"]),
        ("kind: grit\n\tseed: 1\n", ["recipe.yaml, line 2, column 1"]),
        ("kind: grit\nseed: 1\nseed: 2\n", ["line 3", "'seed' stands twice"]),
        ("a: &a [1]\nb: *a\n", ["line 2", "aliases"]),
        ("a: !!python/object/apply:os.system ['true']\n", ["line 1"]),
        ("kind: gritt\n", ["kind is 'gritt'", "grit"]),
        ("[]\n", ["a recipe is a mapping"]),
        ("", ["a recipe is a mapping"]),
        (
            "kind: grit\nsource: {kind: coco, images: null, captions: null, instances: null}\n",
            ["source.images is not given"],
        ),
    ],
)
def test_given_a_recipe_that_is_wrong_then_one_line_names_the_place_and_the_mend(
    cli: Cli, tmp_path: Path, text: str, parts: list[str]
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)

    assert_one_line(cli("plan", file), 2, *parts)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("output.unit=0", ["output.unit is 0", "greater than or equal to 1"]),
        ("output.unit=many", ["output.unit is 'many'", "whole number"]),
        ("output.size=3", ["output.size", "did you mean output.unit?"]),
        ("max_failed=2", ["max_failed is 2"]),
        ("min_score=.nan", ["min_score"]),
        ("kind=grits", ["--set: kind is 'grits'", "grit"]),
        ("detector.synonyms={a: person}", ["--set: detector.synonyms.a", "must be a list"]),
        ("unit", ["--set unit", "field=value"]),
        ("seed.of=1", ["seed"]),
        ("parser=en_core_web_xxl", ["parser", "en_core_web_xxl", "spacy download"]),
        ("detector.synonyms={pup: [wolf]}", ["detector.synonyms", "wolf"]),
    ],
)
def test_given_a_field_that_is_wrong_then_one_line_names_it(
    cli: Cli, recipe: Path, change: str, parts: list[str]
) -> None:
    assert_one_line(cli("plan", recipe, "--set", change), 2, *parts)


@pytest.mark.parametrize("field", ["images", "captions", "instances"])
def test_given_an_input_that_is_not_there_then_one_line_names_field_and_path(
    cli: Cli, recipe: Path, field: str
) -> None:
    for command in ("plan", "build"):
        out = ("--out", recipe.parent / "out") if command == "build" else ()
        said = cli(command, recipe, "--set", f"source.{field}=/nowhere/{field}", *out)
        assert_one_line(said, 2, f"source.{field}", f"/nowhere/{field}")
    assert not (recipe.parent / "out").exists()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"images": [],\n  "annotations": [}', ["captions.json, line 2, column 19"]),
        ("", ["captions.json, line 1, column 1"]),
        ("{}", ["no list 'images'", "COCO"]),
        ("[]", ["no list 'images'", "COCO"]),
        ('{"images": [], "annotations": []}', ["no caption"]),
        ('{"images": [{"id": 1, "file_name": "../../etc/passwd"}], "annotations": []}', ["images[0]", "leaves"]),
        ('{"images": [{"id": 1, "file_name": "/etc/passwd"}], "annotations": []}', ["images[0]", "leaves"]),
        ('{"images": [7], "annotations": []}', ["images[0] is not an object"]),
        ("[" * 100_000, ["nested too deeply"]),
        ("\udcff", ["not UTF-8"]),
    ],
)
def test_given_captions_that_are_malformed_then_one_line_names_the_place(
    cli: Cli, recipe: Path, text: str, parts: list[str]
) -> None:
    (recipe.parent / "captions.json").write_text(text, errors="surrogateescape")

    assert_one_line(cli("plan", recipe), 2, "source.captions", *parts)


@pytest.mark.parametrize("where", ["", "/nowhere/recipe.yaml", "."])
def test_given_a_recipe_that_is_not_there_then_one_line_says_so(cli: Cli, tmp_path: Path, where: str) -> None:
    assert_one_line(cli("plan", tmp_path / where if where != "." else tmp_path), 2, "recipe")


@pytest.mark.parametrize("command", [("verify",), ("show",), ("query",)])
def test_given_a_folder_that_is_no_dataset_then_one_line_says_so(
    cli: Cli, tmp_path: Path, command: tuple[str, ...]
) -> None:
    more = ("select 1",) if command == ("query",) else ()
    (tmp_path / "notes.txt").write_text("")

    assert_one_line(cli(*command, tmp_path, *more), 2, "no gristmill dataset")
    assert_one_line(cli(*command, tmp_path / "nowhere", *more), 2, "no gristmill dataset")
    assert_one_line(cli(*command, tmp_path / "notes.txt", *more), 2, "no gristmill dataset")


@pytest.mark.parametrize("out", ["/proc/nowhere/out", "FILE", "FILE/out", "ftp://bucket/out", "package://skimage/out"])
def test_given_an_output_that_cannot_be_written_then_one_line_says_so(
    cli: Cli, recipe: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").write_text("")

    said = cli("build", recipe, "--out", out.replace("FILE", str(tmp_path / "file")))

    assert said.code in (1, 2)
    assert_one_line(said, said.code, out.replace("FILE", str(tmp_path / "file")))
