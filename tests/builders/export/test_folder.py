"""What every export of grounded captions keeps: nothing half, nothing overwritten, one line where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builders.export import coco, grit, kosmos2, qwen_vl, referring
from builders.export.folder import new_folder
from builders.shards.store import Store
from schemas.errors import BuildError, UserError
from tests.builders.conftest import BuildDataset
from tests.builders.grit_dataset import DOG, MEADOW, TWO, Pair, grit_dataset, record_of

Export = Callable[[Store, Path], int]
EXPORTS = [
    pytest.param(module.export, id=module.__name__.rsplit(".")[-1])
    for module in (coco, grit, kosmos2, qwen_vl, referring)
]


@pytest.mark.parametrize("export", EXPORTS)
def test_an_empty_folder_is_filled_and_the_same_export_has_the_same_bytes(export: Export, tmp_path: Path) -> None:
    store = grit_dataset(tmp_path / "made", [MEADOW], [TWO])
    (tmp_path / "a").mkdir()
    for name in ("a", "b/deep"):
        assert export(store, tmp_path / name) == 2
    files = [sorted(path for path in (tmp_path / name).rglob("*") if path.is_file()) for name in ("a", "b/deep")]
    assert [[path.read_bytes() for path in found] for found in files[:1]] == [[path.read_bytes() for path in files[1]]]
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


@pytest.mark.parametrize("export", EXPORTS)
def test_a_folder_with_anything_in_it_is_refused_and_left_as_it_is(export: Export, tmp_path: Path) -> None:
    store = grit_dataset(tmp_path / "made", [MEADOW])
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("x")
    for taken in (tmp_path / "out", tmp_path / "out/mine"):
        with pytest.raises(UserError, match=r"^export: .* is not an empty folder; give another$"):
            export(store, taken)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@pytest.mark.parametrize("export", EXPORTS)
def test_a_dataset_of_another_kind_is_refused_and_leaves_nothing(
    export: Export, tmp_path: Path, dataset: BuildDataset
) -> None:
    store = dataset(tmp_path / "made")
    with pytest.raises(UserError, match=r"holds no grounded captions \(sample 000x000\); build one of kind grit$"):
        export(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("export", EXPORTS)
def test_a_shard_that_ends_too_early_leaves_nothing(export: Export, tmp_path: Path) -> None:
    store = grit_dataset(tmp_path / "made", [MEADOW], [TWO])
    shard = tmp_path / "made/data/000001.tar"
    shard.write_bytes(shard.read_bytes()[:900])
    (tmp_path / "out").mkdir()
    with pytest.raises(BuildError, match=r"000001\.tar: ends before"):
        export(store, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("export", EXPORTS)
def test_a_caption_that_readers_would_take_tokens_from_is_named(export: Export, tmp_path: Path) -> None:
    made = record_of(Pair("k7", "a dog [/phrase] x", (("a dog", "a dog", [DOG]),)))
    made["json"] = made["json"].replace(b"[/phrase]", b"</phrase>")
    with pytest.raises(UserError, match=r"^export: the caption of sample k7 holds '<', .* build the dataset again"):
        export(grit_dataset(tmp_path / "made", records=[made]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_written_appears_when_the_block_ends(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as place:
        (place / "list").write_text("x")
        assert not (tmp_path / "out/list").exists()
    assert (tmp_path / "out/list").read_text() == "x"


def test_a_disk_that_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    mended = r"^export: could not write .*; mend that and run the same command again$"
    with pytest.raises(BuildError, match=mended), new_folder(tmp_path / "file/out"):
        pass
