"""Others read what we wrote, each with its own plain means: none of gristmill's code stands between."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import webdataset
from PIL import Image

from tests.pipelines.milling import table

pytestmark = pytest.mark.ray


@pytest.fixture(scope="session")
def shards(built: Path) -> list[str]:
    return [str(path) for path in sorted((built / "data").glob("*.tar"))]


@pytest.fixture(scope="session")
def captions(built: Path) -> dict[str, str]:
    """What the samples must hold, by the index: key -> caption."""
    return dict(table(built, "index", "key", "caption"))


def test_the_shards_have_a_gap_where_a_unit_kept_nothing(shards: list[str], captions: dict[str, str]) -> None:
    assert [Path(shard).name for shard in shards] == ["000000.tar", "000001.tar", "000003.tar", "000004.tar"]
    assert len(captions) == 15


# -- webdataset


def test_plain_webdataset_reads_every_sample_in_order(shards: list[str], captions: dict[str, str]) -> None:
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))

    assert [sample["__key__"] for sample in samples] == list(captions)
    for sample in samples:
        (suffix,) = {"jpg", "png", "webp"} & sample.keys()
        record = sample["json"]
        assert isinstance(sample[suffix], Image.Image)
        assert sample[suffix].size == (record["width"], record["height"]) == (64, 48)
        assert sample["txt"] == record["caption"] == captions[sample["__key__"]]
        assert record["key"] == sample["__key__"]
        assert record["grounded_caption"].startswith("<grounding>")
        assert {name for name in sample if not name.startswith("__")} == {suffix, "txt", "json"}


def test_the_snippet_in_the_datasets_card_works(
    built: Path, captions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = (built / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(built)
    names: dict[str, Any] = {}

    exec(code, names)

    assert sum(1 for _ in names["data"]) == len(captions)


def test_webdataset_pairs_images_of_every_format_with_texts_as_clip_trainers_ask_for_them(
    shards: list[str], captions: dict[str, str]
) -> None:
    data = (
        webdataset.WebDataset(shards, shardshuffle=False)
        .decode("pilrgb")
        .rename(image="jpg;png;webp", text="txt")
        .to_tuple("image", "text")
        .batched(4)
    )

    batches = list(data)

    assert [len(texts) for _, texts in batches] == [4, 4, 4, 3]
    assert [text for _, texts in batches for text in texts] == list(captions.values())
    assert {image.mode for images, _ in batches for image in images} == {"RGB"}


def test_webdataset_with_workers_and_shuffle_reads_each_sample_once(
    shards: list[str], captions: dict[str, str]
) -> None:
    data = webdataset.WebDataset(shards, shardshuffle=4, seed=7).shuffle(8).decode("pil")
    loader = webdataset.WebLoader(data, batch_size=None, num_workers=2)

    assert sorted(sample["__key__"] for sample in loader) == sorted(captions)


# -- open_clip


@pytest.mark.consumers
def test_open_clips_own_loader_reads_every_sample(shards: list[str], captions: dict[str, str], kosmos2: object) -> None:
    """Its loader for evaluation; that for training does not run beside the webdataset that img2dataset lets us have.

    `kosmos2` makes torchvision, which open_clip_train imports, importable beside a CPU-only torch.
    """
    data = pytest.importorskip("open_clip_train.data")
    import torch

    args = SimpleNamespace(val_data="::".join(shards), val_num_samples=None, batch_size=4, workers=0)
    known = sorted(set(captions.values()))

    def preprocess(image: Image.Image) -> Any:
        return torch.tensor([*image.size, len(image.getbands())])

    def tokenize(text: str) -> Any:
        return torch.tensor([[known.index(text)]])

    batches = list(data.get_wds_dataset(args, preprocess, is_train=False, tokenizer=tokenize).dataloader)

    assert [known[number] for _, numbers in batches for number in numbers] == list(captions.values())
    assert {tuple(image.tolist()) for images, _ in batches for image in images} == {(64, 48, 3)}


# -- tar


def test_tarfile_finds_plain_ustar_members_in_order_and_nothing_that_could_differ_between_builds(
    shards: list[str], captions: dict[str, str]
) -> None:
    names = []
    for shard in shards:
        with tarfile.open(shard, mode="r:") as tar:
            members = tar.getmembers()
        for member in members:
            assert member.isreg()
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname, member.mode) == (
                *(0, 0, 0, "", ""),
                0o644,
            )
        names += [member.name for member in members]
    keys = [name.split(".")[0] for name in names[::3]]
    assert keys == list(captions)
    assert [name.split(".")[1] for name in names[1::3]] == ["txt"] * len(captions)
    assert [name.split(".")[1] for name in names[2::3]] == ["json"] * len(captions)


def test_a_shard_can_be_read_as_a_stream(shards: list[str]) -> None:
    with Path(shards[0]).open("rb") as file, tarfile.open(fileobj=file, mode="r|") as tar:
        assert sum(1 for _ in tar) == 12


# -- the index


def test_duckdb_asks_the_index_files_directly(built: Path, captions: dict[str, str]) -> None:
    sql = f"select count(*), min(n_boxes), sum(n_phrases) from read_parquet('{built}/index/*.parquet')"
    rows, boxes, phrases = duckdb.sql(sql).fetchall()[0]

    assert rows == len(captions)
    assert boxes >= 2
    assert phrases >= rows


def test_by_the_index_alone_a_sample_is_read_by_its_range(built: Path, captions: dict[str, str]) -> None:
    for key, shard, offset, size, members in table(built, "index", "key", "shard", '"offset"', "size", "members"):
        data = (built / shard).read_bytes()
        with tarfile.open(fileobj=io.BytesIO(data[offset : offset + size])) as tar:
            assert [member.name for member in tar] == [member["name"] for member in members]
        parts = {m["name"].split(".")[1]: data[m["offset"] : m["offset"] + m["size"]] for m in members}
        assert parts["txt"].decode() == captions[key]
        assert json.loads(parts["json"])["key"] == key


def test_the_index_and_the_rejects_hold_scalars_alone_and_none_of_the_inner_columns(built: Path) -> None:
    for view in ("index", "rejects"):
        described = duckdb.sql(f"describe select * from read_parquet('{built}/{view}/*.parquet')").fetchall()
        columns = {name: kind for name, kind, *_ in described}
        assert not [name for name in columns if name.startswith("_")]
        nested = {name for name, kind in columns.items() if "[" in kind or "STRUCT" in kind or kind == "BLOB"}
        assert nested == ({"members"} if view == "index" else set())


def test_the_units_whose_shards_are_missing_tell_why(built: Path) -> None:
    sql = f"select unit, inputs.rejected from read_json('{built}/units/*.json') where shard is null"

    assert duckdb.sql(sql).fetchall() == [(2, 4)]
