"""The command as its user meets it: what it prints, and the exit code: 0 good, 1 the build or check failed, 2 misused.

Most tests call the command's own entry in this process; those that ask whether it is one program start it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import gristmill
from gristmill.__main__ import main
from tests.pipelines.coco import Coco, good_pairs

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs the command with some arguments."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["gristmill", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0 if code is None else 1, said.out, said.err)

    return run


@pytest.fixture
def coco(tmp_path: Path) -> Coco:
    coco = good_pairs(tmp_path / "coco", 6)
    coco.save()
    return coco


@pytest.fixture
def recipe(coco: Coco) -> Path:
    return coco.folder / "recipe.yaml"


def assert_one_line(said: Said, code: int, *parts: str) -> None:
    """The command ended with `code` and one line for people, which holds `parts`. A build told its inputs."""
    assert said.code == code, said
    ours = [line for line in said.err.splitlines() if line.startswith("gristmill: ")]
    assert [said.err.splitlines()[-1]] == ours, said.err
    assert "Traceback" not in said.err + said.out
    for part in parts:
        assert part in ours[0]


# -- one program


def started(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


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
    for command in ("plan", "build", "verify", "query", "show"):
        assert re.search(rf"^\W*{command}\b", said.out, re.MULTILINE), command


@pytest.mark.parametrize("module", ["gristmill", "pipelines"])
@pytest.mark.parametrize("missing", ["ray", "spacy", "typer"])
def test_given_no_packages_for_building_then_it_says_how_to_get_them(
    recipe: Path, tmp_path: Path, missing: str, module: str
) -> None:
    """As after a plain `pip install gristmill`: here a module that cannot be imported stands before the real one."""
    if (missing, module) == ("typer", "pipelines"):
        pytest.skip("typer is there wherever pipelines/ is run as a module; the front door alone looks for it")
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
        ("output.unit=many", ["output.unit is 'many'"]),
        ("output.size=3", ["output.size", "did you mean output.unit?"]),
        ("max_failed=2", ["max_failed is 2"]),
        ("min_score=.nan", ["min_score"]),
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


@pytest.mark.parametrize("out", ["/proc/nowhere/out", "FILE", "FILE/out", "s3://bucket/out"])
def test_given_an_output_that_cannot_be_written_then_one_line_says_so(
    cli: Cli, recipe: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").write_text("")

    said = cli("build", recipe, "--out", out.replace("FILE", str(tmp_path / "file")))

    assert said.code in (1, 2)
    assert_one_line(said, said.code, out.replace("FILE", str(tmp_path / "file")))


# -- built


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, one_ray: None) -> Path:
    """A dataset of 6 samples in 2 units, and two rejects."""
    from tests.pipelines.milling import mill

    coco = good_pairs(tmp_path_factory.mktemp("coco"), 6)
    coco.caption(1, "")
    coco.caption(2, "")
    out = coco.folder / "out"
    mill(coco.save(), out)
    return out


@pytest.fixture
def dataset(finished: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(finished, tmp_path / "dataset"))


@pytest.mark.ray
def test_given_a_good_recipe_when_built_then_the_funnel_and_the_digest_are_printed(
    cli: Cli, recipe: Path, tmp_path: Path, one_ray: None
) -> None:
    said = cli("build", recipe, "--out", tmp_path / "out", "--limit", "5")

    assert said.code == 0
    digest = json.loads((tmp_path / "out/manifest.json").read_text())["dataset_digest"]
    assert said.out.splitlines()[0].split() == ["inputs", "5"]
    assert said.out.splitlines()[-1] == f"{tmp_path / 'out'}: 5 samples, digest {digest}"
    assert "Traceback" not in said.err


@pytest.mark.ray
def test_given_a_build_with_too_many_failures_then_exit_1_and_one_line_tells_the_commonest(
    cli: Cli, coco: Coco, recipe: Path, tmp_path: Path, one_ray: None
) -> None:
    (coco.folder / "photos/000002.jpg").unlink()

    said = cli("build", recipe, "--out", tmp_path / "out")

    assert_one_line(said, 1, "1 of 6 records failed", "read_image/FileNotFoundError (1)", "max_failed")


@pytest.mark.ray
def test_given_a_build_over_other_content_then_exit_2_and_the_difference(cli: Cli, recipe: Path, dataset: Path) -> None:
    assert_one_line(cli("build", recipe, "--out", dataset), 2, "inputs.source.captions", "--overwrite")


@pytest.mark.ray
def test_given_a_good_dataset_when_verified_then_exit_0_and_its_size_is_told(cli: Cli, dataset: Path) -> None:
    said = cli("verify", dataset)

    assert said.code == 0
    assert "good: 6 samples in 2 units" in said.out


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def forget(path: Path) -> None:
    path.unlink()


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.ray
@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("data/000000.tar", flip),
        ("data/000001.tar", shorten),
        ("data/000000.tar", forget),
        ("index/000001.parquet", flip),
        ("index/000001.parquet", forget),
        ("rejects/000000.parquet", empty),
        ("units/000001.json", forget),
        ("units/000000.json", empty),
        ("manifest.json", empty),
        ("build.json", shorten),
        ("build.json", forget),
    ],
)
def test_given_a_dataset_that_was_damaged_when_verified_then_exit_1_and_the_file_is_named(
    cli: Cli, dataset: Path, name: str, spoil: Callable[[Path], None]
) -> None:
    spoil(dataset / name)

    said = cli("verify", dataset)

    assert said.code == (2 if (name, spoil) == ("build.json", forget) else 1)
    assert "Traceback" not in said.err
    number = str(int(name[-8:-5])) if name.startswith("units/") else name
    assert number in said.err or "holds no gristmill dataset" in said.err
    assert "good" not in said.out


@pytest.mark.ray
def test_given_a_manifest_that_was_altered_when_verified_then_exit_1_and_both_numbers_are_told(
    cli: Cli, dataset: Path
) -> None:
    manifest = json.loads((dataset / "manifest.json").read_text())
    (dataset / "manifest.json").write_text(json.dumps({**manifest, "samples": 7}))

    said = cli("verify", dataset)

    assert said.code == 1
    assert "samples 7, found 6" in said.err


@pytest.mark.ray
@pytest.mark.parametrize("command", [("verify",), ("show",)])
def test_given_a_build_that_has_not_finished_then_exit_2_and_it_says_how_to_go_on(
    cli: Cli, dataset: Path, command: tuple[str, ...]
) -> None:
    (dataset / "manifest.json").unlink()

    assert_one_line(cli(*command, dataset), 2, "has not finished", "run the same build command again")


@pytest.mark.ray
def test_given_a_build_that_has_not_finished_then_what_is_committed_can_be_asked(cli: Cli, dataset: Path) -> None:
    for path in ("manifest.json", "units/000001.json"):
        (dataset / path).unlink()

    said = cli("query", dataset, "select count(*) as n from samples")

    assert said.code == 0
    assert "4" in said.out


@pytest.mark.ray
def test_given_sql_then_the_answer_is_printed_whole(cli: Cli, dataset: Path) -> None:
    said = cli("query", dataset, "select key, n_boxes from samples order by n_boxes desc, key")

    assert said.code == 0
    assert "000000000003-3" in said.out
    assert said.out.count("00000000000") == 6


@pytest.mark.ray
@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        ("selct 1", ["syntax error", "selct"]),
        ("select nothing from samples", ["nothing"]),
        ("select * from sample", ["sample"]),
        ("select 'a'::int", ["Conversion"]),
        ("", []),
    ],
)
def test_given_bad_sql_then_exit_2_and_duckdbs_own_words_in_one_line(
    cli: Cli, dataset: Path, sql: str, parts: list[str]
) -> None:
    if sql:
        assert_one_line(cli("query", dataset, sql), 2, "sql", *parts)
    else:
        assert "Traceback" not in cli("query", dataset, sql).err


@pytest.mark.ray
def test_given_a_dataset_when_shown_then_grounded_captions_and_a_sheet_are_there(
    cli: Cli, dataset: Path, tmp_path: Path
) -> None:
    said = cli("show", dataset, "--count", "3", "--sheet", tmp_path / "sheet.png")

    assert said.code == 0
    assert said.out.count("<grounding>") == 3
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
