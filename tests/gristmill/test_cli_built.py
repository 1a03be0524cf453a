"""The command over a dataset: built, verified, damaged, queried, shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gristmill.running import Cli, assert_one_line
from tests.pipelines.coco import Coco, good_pairs

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

    assert said.code == 1
    assert "Traceback" not in said.err
    number = str(int(name[-8:-5])) if name.startswith("units/") else name
    assert number in said.err
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
        ("", ["is empty"]),
    ],
)
def test_given_bad_sql_then_exit_2_and_duckdbs_own_words_in_one_line(
    cli: Cli, dataset: Path, sql: str, parts: list[str]
) -> None:
    assert_one_line(cli("query", dataset, sql), 2, "sql", *parts)


@pytest.mark.ray
def test_given_a_dataset_when_shown_then_grounded_captions_and_a_sheet_are_there(
    cli: Cli, dataset: Path, tmp_path: Path
) -> None:
    said = cli("show", dataset, "--count", "3", "--sheet", tmp_path / "sheet.png")

    assert said.code == 0
    assert said.out.count("<grounding>") == 3
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert_one_line(cli("show", dataset, "--sheet", tmp_path / "sheet.doc"), 2, "--sheet", "sheet.doc", ".png")
